"""The routes of migrations: lists, requests about one of them, and checks."""

from dataclasses import replace

from . import cluster_schemas, schemas
from .fields import Field
from .pace_routes import RATE, SIZE
from .route import Route

_FORCE = Field("force", "boolean", "Override a refusal; its message says what is at risk.")
_GOAL = Field("goal", "string", "How far the migration goes by itself.", choices=schemas.GOALS)
_POLICY = (
    RATE,
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
_CUTOVER_WINDOW = Field(
    "cutover_window", "string", "When it may cut over; `off` is always.", example="Sun 02:00-04:00"
)
_REFRESH_SOURCE = Field(
    "refresh_source",
    "size",
    "How often the source of a warm migration is refreshed between cutover and commit; `off` is "
    "never by itself.",
    example="6h",
)
_CUTOVER = (
    Field(
        "cutover",
        "string",
        "How clients are made to leave the source of a warm migration.",
        choices=schemas.CUTOVERS,
    ),
    Field("max_pause", "size", "How long a guest may be paused, such as 3s.", example="3s"),
    Field("name_changes", "boolean", "Clients are known to find the image under its new name."),
)
_LAYOUT = Field(
    "layout",
    "object",
    "The layout of the target, as `rbd create` names it.",
    fields=(
        Field("object_size", "size", f"Size of objects, {SIZE}.", example="4M"),
        Field("image_feature", "array", "Image features.", example=["layering", "exclusive-lock"]),
        Field("image_shared", "boolean", "Without the features that require a single writer."),
        Field("stripe_unit", "size", f"Stripe unit, {SIZE}."),
        Field("stripe_count", "integer", "Stripe count.", minimum=0),
        Field("data_pool", "string", "The pool that takes the data."),
        Field("journal_splay_width", "integer", "Number of active journal objects.", minimum=0),
        Field("journal_object_size", "size", f"Size of the journal's objects, {SIZE}."),
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
    _LAYOUT,
    Field(
        "import_only", "boolean", "Read the source without changing it; `source` is image@snapshot."
    ),
    Field("source_spec", "object", "The source-spec of an import, instead of `source`."),
    Field("inline_secrets", "boolean", "Allow secrets of the source-spec in the image's header."),
    Field("as_raw", "boolean", "Import the bytes of a file of another format as they are."),
    Field(
        "checksum",
        "string",
        "What the bytes of an import's source have to have, such as sha256:DIGITS.",
    ),
    Field(
        "method",
        "string",
        "How to copy; `copy` is for imports, `warm` for images. The default is `live` with the "
        "goal `prepared`, else `auto`.",
        choices=schemas.METHODS_ASKED,
    ),
    Field("force", "boolean", "Allow a migration in place without a new layout."),
)
BULK_ACTIONS = (
    "execute", "cutover", "commit", "abort", "pause", "resume", "cancel", "retry",
)  # fmt: skip
_SORTS = (
    "target", "source", "state", "goal", "percent", "priority", "rate", "created", "ended",
    "seconds", "bytes_total", "plan", "by",
)  # fmt: skip
SORT = Field(
    "sort",
    "string",
    "Sort key, with a prefix + (ascending) or - (descending).",
    default="+target",
    choices=tuple(sign + key for sign in ("", "+", "-") for key in _SORTS),
)
_LISTED = (
    Field("offset", "integer", "Number of migrations to skip.", default=0, minimum=0),
    Field("limit", "integer", "Maximum number to return.", default=50, minimum=1, maximum=1000),
    SORT,
    Field("search", "string", "A part of the source, target or id."),
    Field("state", "array", "Only migrations in one of these states.", choices=schemas.STATES),
    Field("goal", "array", "Only migrations with one of these goals.", choices=schemas.GOALS),
    Field("pool", "string", "Only migrations from or to this pool."),
    Field("plan", "string", "Only migrations of this plan."),
    Field("hold", "array", "Only migrations that wait for this.", choices=schemas.HOLDS),
    Field(
        "awaiting_commit",
        "boolean",
        "Only migrations with all data copied that wait for a request to commit or cut over.",
        default=False,
    ),
    Field("ended", "boolean", "Include migrations that have ended.", default=False),
)


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


_SNAP = Field(
    "snap",
    "string",
    "A later snapshot of the image that an import reads; what changed until then is copied.",
)
_MODE = Field("mode", "string", "How much to compare.", choices=("sample", "full"))
MIGRATION_ROUTES = (
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
        body=(
            *_WISH,
            replace(_GOAL, default="prepared"),
            *_POLICY,
            *_CUTOVER,
            _CUTOVER_WINDOW,
            _REFRESH_SOURCE,
        ),
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
        answer=cluster_schemas.SUMMARY,
    ),
    Route(
        name="throughput",
        method="GET",
        path="/throughput",
        permission="read",
        summary="Show the throughput of copies over the last hour",
        description="A point for every ten seconds that this manager was active, oldest first. "
        "With `target` or `plan` only those in which that was copied.",
        answer=cluster_schemas.THROUGHPUT,
        query=(
            Field("target", "string", "Only the migration under way to this image spec."),
            Field("plan", "string", "Only the migrations of this plan."),
        ),
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
        body=(_GOAL, *_POLICY, _CUTOVER_WINDOW, _REFRESH_SOURCE),
        command="set",
        example={"rate": "20M", "priority": 5},
    ),
    Route(
        name="bulk",
        method="POST",
        path="/bulk",
        permission="update",
        summary="Do the same to several migrations",
        description="Each target is judged by itself, as if there were a request for it alone. "
        "Nothing is forced, and there is no wait for the outcome of what has begun.",
        answer=schemas.BULK,
        body=(
            Field("action", "string", "What to do.", required=True, choices=BULK_ACTIONS),
            Field(
                "targets",
                "array",
                "Image specs of the targets.",
                required=True,
                example=["nvme/vm1", "nvme/vm2"],
            ),
            *_CUTOVER,
        ),
        example={"action": "commit", "targets": ["nvme/vm1", "nvme/vm2"]},
    ),
    _act("execute", "Copy the data in the background", _SNAP, _FORCE),
    _act("cutover", "Let clients change to the target of a warm migration", *_CUTOVER),
    _act("commit", "Finish: remove the source", _FORCE),
    _act("abort", "Go back: remove the target", _FORCE, *_CUTOVER),
    _act("pause", "Pause: interrupt the copy", _FORCE),
    _act("resume", "Continue a paused migration"),
    _act("cancel", "Stop a migration in any state and undo it", _FORCE),
    _act("retry", "Try a failed migration again"),
    _act("verify", "Compare source and target", _MODE),
)
