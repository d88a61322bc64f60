"""The routes of plans. Each is a command; a request gives a plan as an object or a file's text."""

from dataclasses import replace
from typing import Any

from . import plan_schemas, report_schemas, schemas
from .fields import Field
from .route import Route

_GIVEN = (
    Field("definition", "object", "The plan, with the fields of a plan file."),
    Field("file", "string", "Or the text of a plan file.", longest=512 << 10),
)
_FORCE = Field(
    "force", "boolean", "Also abort migrations to whose targets clients may have written."
)
_EXAMPLE = {
    "definition": {
        "plan": "nvme-move",
        "select": [{"pool": "hdd", "name": "vm-*"}],
        "map": {"target_pool": "nvme"},
        "waves": {"size": 20, "stop_after_failures": 2},
        "policy": {"goal": "committed", "verify": "sample"},
    }
}


def _one(name: str, method: str, summary: str, permission: str = "update", **more: Any) -> Route:
    """Return the route of a command on one plan; ``more`` are fields of the route."""
    path = "/plan/{plan}" + ("" if name in ("show", "rm") else f"/{name}")
    return Route(
        **{
            "name": f"plan_{name}",
            "method": method,
            "path": path,
            "permission": permission,
            "summary": summary,
            "description": f"The command `ceph rbd migration plan {name}`.",
            "answer": plan_schemas.PLAN_DETAIL,
            "command": f"plan {name}",
            **more,
        }
    )


def _given(name: str, method: str, permission: str, summary: str, status: int) -> Route:
    """Return the route of a command that takes a plan."""
    return Route(
        name=f"plan_{name}",
        method=method,
        path="/plan",
        permission=permission,
        summary=summary,
        description=f"The command `ceph rbd migration plan {name}`.",
        answer=plan_schemas.PLAN_DETAIL,
        body=_GIVEN,
        command=f"plan {name}",
        status=status,
        example=_EXAMPLE,
    )


PLAN_ROUTES = (
    Route(
        name="plan_ls",
        method="GET",
        path="/plan",
        permission="read",
        summary="List plans",
        description="The command `ceph rbd migration plan ls`.",
        answer=plan_schemas.PLAN,
        command="plan ls",
        many=True,
    ),
    _given("create", "POST", "create", "Create a plan without starting it", 201),
    _given("apply", "PUT", "update", "Create a plan, or change the plan of that name", 200),
    Route(
        name="plan_compare",
        method="POST",
        path="/plan/compare",
        permission="read",
        summary="Compare a plan with the plan of its name",
        description="The command `ceph rbd migration plan compare`, which changes nothing.",
        answer=plan_schemas.PLAN_COMPARISON,
        body=_GIVEN,
        command="plan compare",
        example=_EXAMPLE,
    ),
    Route(
        name="plan_read",
        method="POST",
        path="/plan-file",
        permission="create",
        summary="Read the text of a plan file",
        description="Nothing is kept: for forms that show a plan file as fields.",
        answer=plan_schemas.PLAN_READ,
        body=(replace(_GIVEN[1], required=True),),
        example={"file": "plan: nvme-move\nselect: [{pool: hdd}]\nmap: {target_pool: nvme}\n"},
    ),
    _one("show", "GET", "Show a plan and its images", "read"),
    _one(
        "report",
        "GET",
        "Report what became of each image of a plan",
        "read",
        answer=report_schemas.PLAN_REPORT,
        query=(
            Field(
                "export",
                "string",
                "The format; `html` is a page to print.",
                default="json",
                choices=("json", "csv", "html"),
            ),
        ),
        download="plan-{plan}",
    ),
    _one("rm", "DELETE", "Remove a plan that has no migrations under way", "delete"),
    _one(
        "check",
        "POST",
        "Check all images of a plan",
        "create",  # it reads the sources of imports
        answer=plan_schemas.PLAN_CHECK,
    ),
    _one("start", "POST", "Select the images of a plan and begin to migrate them", "create"),
    _one("pause", "POST", "Interrupt the copies of a plan and begin no more images"),
    _one("resume", "POST", "Continue a plan that was paused or has stopped"),
    _one(
        "retry",
        "POST",
        "Retry the failed images of a plan",
        command="retry",
        description="The command `ceph rbd migration retry --plan`.",
    ),
    _one(
        "skip",
        "POST",
        "Skip an image that has not begun",
        body=(Field("image", "string", "Image spec of its source or target.", required=True),),
        example={"image": "hdd/vm-05"},
    ),
    _one(
        "commit",
        "POST",
        "Commit the migrations of a plan that are copied and wait for a commit",
        command="commit",
        description="The command `ceph rbd migration commit --plan`.",
        answer=schemas.BULK,
    ),
    _one("cancel", "POST", "Abort the migrations under way of a plan", body=(_FORCE,)),
)
