"""The routes of plans. Each is a command; the plan that one gives is an object or a file's text."""

from typing import Any, Tuple

from .fields import Field

_GIVEN = (
    Field("definition", "object", "The plan, with the fields of a plan file."),
    Field("file", "string", "Or the text of a plan file.", longest=512 << 10),
)
_FORCE = Field("force", "boolean", "Abort also what clients may have written to.")
_EXAMPLE = {
    "definition": {
        "plan": "nvme-move",
        "select": [{"pool": "hdd", "name": "vm-*"}],
        "map": {"target_pool": "nvme"},
        "waves": {"size": 20, "stop_after_failures": 2},
        "policy": {"goal": "committed", "verify": "sample"},
    }
}


def plan_routes(
    route: Any, plan: Tuple[Field, ...], detail: Any, checked: Any, committed: Any
) -> Tuple[Any, ...]:
    """The routes, made with ``route``; the others are what their answers look like."""

    def one(name: str, method: str, summary: str, permission: str = "update", **more: Any) -> Any:
        path = "/plan/{plan}" + ("" if name in ("show", "rm") else f"/{name}")
        return route(
            **{
                "name": f"plan_{name}",
                "method": method,
                "path": path,
                "permission": permission,
                "summary": summary,
                "description": f"The command `ceph rbd migration plan {name}`.",
                "answer": detail,
                "command": f"plan {name}",
                **more,
            }
        )

    def given(name: str, method: str, permission: str, summary: str, status: int) -> Any:
        return route(
            name=f"plan_{name}",
            method=method,
            path="/plan",
            permission=permission,
            summary=summary,
            description=f"The command `ceph rbd migration plan {name}`.",
            answer=detail,
            body=_GIVEN,
            command=f"plan {name}",
            status=status,
            example=_EXAMPLE,
        )

    return (
        route(
            name="plan_ls",
            method="GET",
            path="/plan",
            permission="read",
            summary="List plans",
            description="The command `ceph rbd migration plan ls`.",
            answer=plan,
            command="plan ls",
            many=True,
        ),
        given("create", "POST", "create", "Make a plan; nothing begins", 201),
        given("apply", "PUT", "update", "Make a plan, or change the one of its name", 200),
        one("show", "GET", "Show a plan and its images", "read"),
        one("rm", "DELETE", "Forget a plan of which nothing is under way", "delete"),
        one(
            "check",
            "POST",
            "Look at all images of a plan",
            "create",  # it reads the sources of imports
            answer=checked,
        ),
        one("start", "POST", "Choose the images of a plan, and begin", "create"),
        one("pause", "POST", "Begin nothing more, and stop its copies"),
        one("resume", "POST", "Go on with a plan"),
        one(
            "retry",
            "POST",
            "Try again what of a plan failed",
            command="retry",
            description="The command `ceph rbd migration retry --plan`.",
        ),
        one(
            "skip",
            "POST",
            "Leave out an image that has not begun",
            body=(Field("image", "string", "Image spec of its source or target.", required=True),),
            example={"image": "hdd/vm-05"},
        ),
        one(
            "commit",
            "POST",
            "Commit what of a plan is copied and waits for that",
            command="commit",
            description="The command `ceph rbd migration commit --plan`.",
            answer=committed,
        ),
        one("cancel", "POST", "Abort what of a plan is under way", body=(_FORCE,)),
    )
