"""The routes: the requests of the REST API, declared once for both servers and the documentation.

A route that names a ``command`` runs that command: its fields become the command's arguments.
"""

from dataclasses import dataclass, replace
from typing import Any, Collection, Dict, Optional, Tuple

from . import plan_schemas, schemas
from .fields import Field
from .plan_routes import plan_routes

BASE = "/api/block/migration"
PERMISSIONS = ("read", "create", "update", "delete")
_IMPORT_FIELDS = ("import_only", "source_spec", "inline_secrets")
_SIZE = "in bytes, or with a unit such as 4M"


@dataclass(frozen=True)
class Route:
    """A method on a path. ``permission`` is the dashboard's for the scope ``rbd-image``.

    ``answer`` are the fields of the answer, or of each of its items if ``many``. ``defaults`` are
    arguments of the command for fields that were left out. ``import_permission`` is required as
    well if the fields ask for an import.
    """

    name: str
    method: str
    path: str
    permission: str
    summary: str
    description: str
    answer: Tuple[Field, ...]
    query: Tuple[Field, ...] = ()
    body: Tuple[Field, ...] = ()
    command: str = ""
    defaults: Tuple[Tuple[str, Any], ...] = ()
    many: bool = False
    status: int = 200
    example: Optional[Dict[str, Any]] = None
    import_permission: str = ""

    def missing(self, args: Dict[str, Any], permissions: Collection[str]) -> str:
        """Return the permission that such a request needs and that is missing, or an empty text."""
        asks = any(args.get(name) not in (None, False) for name in _IMPORT_FIELDS)
        needed = self.import_permission if asks else ""
        return needed if needed not in permissions else ""

    @property
    def parameter(self) -> Optional[Field]:
        """The field in the path: a migration by its target, or a plan; None without one."""
        named = (field for field in (TARGET, PLAN) if f"{{{field.name}}}" in self.path)
        return next(named, None)

    @property
    def url(self) -> str:
        """The path from the server's root."""
        return BASE + self.path


TARGET = Field(
    "target",
    "string",
    "Image spec of the target, `[pool/[namespace/]]image`, with / written as %2F.",
    required=True,
    example="nvme/vm1",
)
PLAN = Field("plan", "string", "The plan's name.", required=True, example="nvme-move")
_FORCE = Field("force", "boolean", "Override a refusal; its message says what is at risk.")
_GOAL = Field("goal", "string", "How far the migration goes by itself.", choices=schemas.GOALS)
_POLICY = (
    Field("rate", "size", f"Bytes per second, {_SIZE}; `off` is no limit.", example="50M"),
    Field("priority", "integer", "Higher goes first.", minimum=-(1 << 31), maximum=(1 << 31) - 1),
    Field("window", "string", "When the copy may run; `off` is always.", example="Sat-Sun"),
    Field(
        "verify",
        "string",
        "The verification before the commit; `auto`, for new migrations, depends on the image.",
        choices=schemas.VERIFY_ASKED,
    ),
    Field(
        "soak",
        "size",
        "How long to wait between verification and commit, such as 30m.",
        example="1h",
    ),
)
LAYOUT = Field(
    "layout",
    "object",
    "The layout of the target, as `rbd create` names it.",
    fields=(
        Field("object_size", "size", f"Size of objects, {_SIZE}.", example="4M"),
        Field("image_feature", "array", "Image features.", example=["layering", "exclusive-lock"]),
        Field("image_shared", "boolean", "Without the features that require a single writer."),
        Field("stripe_unit", "size", f"Stripe unit, {_SIZE}."),
        Field("stripe_count", "integer", "Stripe count.", minimum=0),
        Field("data_pool", "string", "The pool that takes the data."),
        Field("journal_splay_width", "integer", "Number of active journal objects.", minimum=0),
        Field("journal_object_size", "size", f"Size of the journal's objects, {_SIZE}."),
        Field("journal_pool", "string", "The pool that takes the journal."),
        Field(
            "image_format", "integer", "Image format; only 2 is supported.", minimum=1, maximum=2
        ),
        Field(
            "flatten",
            "boolean",
            "Copy the data of a clone's parent, and detach the target from it.",
        ),
    ),
)
_WISH = (
    Field("source", "string", "Image spec of the source.", example="hdd/vm1"),
    Field("target", "string", "Image spec of the target; in place without it.", example="nvme/vm1"),
    LAYOUT,
    Field(
        "import_only", "boolean", "Read the source without changing it; `source` is image@snapshot."
    ),
    Field("source_spec", "object", "The source-spec of an import, instead of `source`."),
    Field("inline_secrets", "boolean", "Allow secrets of the source-spec in the image's header."),
    Field(
        "method",
        "string",
        "How to copy; `copy` is for imports, `warm` for images.",
        choices=schemas.METHODS,
    ),
    Field("force", "boolean", "Allow a migration in place without a new layout."),
)
_LISTED = (
    Field("offset", "integer", "Number of migrations to skip.", default=0, minimum=0),
    Field("limit", "integer", "Maximum number to return.", default=50, minimum=1, maximum=1000),
    Field(
        "sort",
        "string",
        "Sort key, with a prefix + (ascending) or - (descending).",
        default="+target",
        choices=tuple(
            sign + key
            for sign in ("", "+", "-")
            for key in (
                "target", "source", "state", "goal", "percent", "priority", "rate", "created",
                "ended", "bytes_total",
            )
        ),
    ),
    Field("search", "string", "A part of the source, target or id."),
    Field("state", "array", "Only migrations in one of these states.", choices=schemas.STATES),
    Field("goal", "array", "Only migrations with one of these goals.", choices=schemas.GOALS),
    Field("pool", "string", "Only migrations from or to this pool."),
    Field("plan", "string", "Only migrations of this plan."),
    Field("ended", "boolean", "Include migrations that have ended.", default=False),
)  # fmt: skip
_SINCE = Field(
    "since", "string", "Only migrations that ended within this time, such as 7d.", example="7d"
)
_RATE, _TIMEZONE = _POLICY[0], Field("timezone", "string", "Such as Europe/Berlin.")
_TEXT_POOL = Field("pool", "string", "A pool, instead of the whole cluster.")


def _act(name: str, summary: str, *body: Field, permission: str = "update") -> Route:
    """Return the route of a command on one migration."""
    return Route(
        name=name,
        method="POST",
        path="/at/{target}/" + name,
        permission=permission,
        summary=summary,
        description=f"The command `ceph rbd migration {name}`.",
        answer=schemas.REPORT,
        body=body,
        command=name,
        example={field.name: field.example for field in body if field.example is not None},
    )


_MODE = Field("mode", "string", "How much to compare.", choices=("sample", "full"))
ROUTES = (
    Route(
        name="list",
        method="GET",
        path="",
        permission="read",
        summary="List migrations",
        description="A page of the migrations. The header `X-Total-Count` has the number of all.",
        answer=schemas.REPORT,
        query=_LISTED,
        many=True,
    ),
    Route(
        name="create",
        method="POST",
        path="",
        permission="create",
        summary="Begin a migration",
        description="The command `ceph rbd migration run`, with the goal `prepared` unless another "
        "is given. It waits for the prepare up to `command_wait` seconds.",
        answer=schemas.REPORT,
        body=(*_WISH, replace(_GOAL, default="prepared"), *_POLICY),
        command="run",
        status=201,
        example={"source": "hdd/vm1", "target": "nvme/vm1", "goal": "executed", "rate": "50M"},
    ),
    Route(
        name="summary",
        method="GET",
        path="/summary",
        permission="read",
        summary="Show totals of all migrations",
        description="The data of an overview, in one request.",
        answer=schemas.SUMMARY,
    ),
    Route(
        name="throughput",
        method="GET",
        path="/throughput",
        permission="read",
        summary="Show the throughput of all copies over the last hour",
        description="A point for every ten seconds that this manager was active, oldest first.",
        answer=schemas.THROUGHPUT,
        many=True,
    ),
    Route(
        name="check",
        method="POST",
        path="/check",
        permission="read",
        summary="Check whether an image can be migrated",
        description="The command `ceph rbd migration check`: preflight, which changes nothing. "
        "An import requires the permission `create`, because its source is read.",
        answer=schemas.CHECK,
        body=_WISH,
        command="check",
        example={"source": "hdd/vm1", "target": "nvme/vm1"},
        import_permission="create",
    ),
    Route(
        name="get",
        method="GET",
        path="/at/{target}",
        permission="read",
        summary="Show a migration",
        description="The migration to a target, or if none is under way the last one that ended.",
        answer=schemas.REPORT,
        command="status",
    ),
    Route(
        name="set",
        method="PUT",
        path="/at/{target}",
        permission="update",
        summary="Change the settings of a migration",
        description="The command `ceph rbd migration set`; fields left out are not changed.",
        answer=schemas.REPORT,
        body=(_GOAL, *_POLICY),
        command="set",
        example={"rate": "20M", "priority": 5},
    ),
    _act("execute", "Copy the data in the background"),
    _act("cutover", "Let clients change to the target of a warm migration"),
    _act("commit", "Finish: remove the source", _FORCE),
    _act("abort", "Go back: remove the target", _FORCE),
    _act("pause", "Pause: interrupt the copy", _FORCE),
    _act("resume", "Continue a paused migration"),
    _act("cancel", "Stop a migration in any state and undo it", _FORCE),
    _act("retry", "Try a failed migration again"),
    _act("verify", "Compare source and target", _MODE),
    Route(
        name="history",
        method="GET",
        path="/history",
        permission="read",
        summary="List ended migrations",
        description="The command `ceph rbd migration history`, newest first.",
        answer=schemas.REPORT,
        query=(
            Field("target", "string", "Only migrations to this image spec."),
            _SINCE,
            Field(
                "limit",
                "integer",
                "Maximum number of migrations.",
                default=100,
                minimum=1,
                maximum=10000,
            ),
        ),
        command="history",
        many=True,
    ),
    Route(
        name="throttle_get",
        method="GET",
        path="/throttle",
        permission="read",
        summary="Show the throttle",
        description="The command `ceph rbd migration throttle get`.",
        answer=schemas.THROTTLE,
        command="throttle get",
    ),
    Route(
        name="throttle_set",
        method="PUT",
        path="/throttle",
        permission="update",
        summary="Limit the bytes per second",
        description="The command `ceph rbd migration throttle set`: a rate or a timetable for all "
        "copies, a rate for those from or to a pool, or the factor of the latency guard.",
        answer=schemas.THROTTLE,
        body=(
            _RATE,
            Field(
                "timetable",
                "string",
                "Rates over the week.",
                example="Mon-Fri 08:00,50M 18:00,off",
            ),
            _TIMEZONE,
            _TEXT_POOL,
            Field("guard", "string", "A factor from 1.05 to 100, or off.", example="1.5"),
        ),
        command="throttle set",
        example={"rate": "200M"},
    ),
    Route(
        name="throttle_clear",
        method="DELETE",
        path="/throttle",
        permission="update",
        summary="Remove a throttle",
        description="The command `ceph rbd migration throttle clear`.",
        answer=schemas.THROTTLE,
        query=(_TEXT_POOL,),
        command="throttle clear",
    ),
    Route(
        name="limit_get",
        method="GET",
        path="/limit",
        permission="read",
        summary="Show the limits",
        description="The command `ceph rbd migration limit get`.",
        answer=schemas.LIMITS,
        command="limit get",
    ),
    Route(
        name="limit_set",
        method="PUT",
        path="/limit",
        permission="update",
        summary="Limit how much happens at once",
        description="The command `ceph rbd migration limit set`; fields left out are not changed.",
        answer=schemas.LIMITS,
        body=tuple(
            replace(field, required=False, minimum=0, maximum=1 << 31) for field in schemas.LIMITS
        ),
        command="limit set",
        example={"max_copies": 4},
    ),
    Route(
        name="window_get",
        method="GET",
        path="/window",
        permission="read",
        summary="Show when copies may run",
        description="The command `ceph rbd migration window get`.",
        answer=schemas.WINDOW,
        command="window get",
    ),
    Route(
        name="window_set",
        method="PUT",
        path="/window",
        permission="update",
        summary="Let copies run only at certain times",
        description="The command `ceph rbd migration window set`.",
        answer=schemas.WINDOW,
        body=(
            Field("window", "string", "When copies may run.", example="Mon-Fri 20:00-06:00"),
            _TIMEZONE,
        ),
        command="window set",
        example={"window": "Mon-Fri 20:00-06:00, Sat-Sun"},
    ),
    Route(
        name="window_clear",
        method="DELETE",
        path="/window",
        permission="update",
        summary="Let copies run at any time",
        description="The command `ceph rbd migration window clear`.",
        answer=schemas.WINDOW,
        command="window clear",
    ),
    *plan_routes(
        Route,
        plan_schemas.PLAN,
        plan_schemas.PLAN_DETAIL,
        plan_schemas.PLAN_CHECK,
        plan_schemas.PLAN_COMMIT,
    ),
)
BY_NAME = {route.name: route for route in ROUTES}
