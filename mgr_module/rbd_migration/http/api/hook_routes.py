"""The routes of hooks."""

from rbdmigrate.model.hooks import SUBSCRIBED
from rbdmigrate.sources.tls import MAX_CA

from . import schemas
from .fields import Field, field
from .route import Route

_EVENTS = tuple(event.value for event in SUBSCRIBED)
_CALL = (
    schemas.time_field("at", "When it was sent.", nullable=False),
    field("event", "string", "What it said."),
    field("about", "string", "The target or the plan; null for a test.", nullable=True),
    field("outcome", "string", "What came of it.", choices=("taken", "veto", "later", "failed")),
    field("reason", "string", "Of a veto or a failure.", nullable=True),
)
SHOWN = (
    field("name", "string", "Its name."),
    field("url", "string", "Where messages are sent, without the query."),
    field("events", "array", "What it is told."),
    field("pool", "string", "Only images from or to this pool.", nullable=True),
    field("timeout_seconds", "number", "For one message and its answer."),
    field("own_ca", "boolean", "It was added with certificates that are trusted."),
    schemas.time_field("created", "When it was added.", nullable=False),
    field("waiting", "integer", "Messages that it did not take yet."),
    field("failing", "boolean", "A message failed several times."),
    field("lost", "integer", "Messages given up since this manager is active."),
    schemas.time_field("last_at", "When the last message was sent."),
    field("last_event", "string", "What that was.", nullable=True),
    field("last_failure", "string", "Why it was not taken.", nullable=True),
    field("recent", "array", "The last messages, the latest first.", fields=_CALL),
    field("questions", "array", "Targets of migrations that wait for its answer."),
)
_DONE = (
    field("hook", "string", "The hook."),
    field("target", "string", "The target of the migration."),
    field("event", "string", "The question."),
    field("veto", "string", "Why not; null is yes.", nullable=True),
)

HOOK_ROUTES = (
    Route(
        name="hook_ls",
        method="GET",
        path="/hook",
        permission="read",
        summary="List the hooks",
        description="The command `ceph rbd migration hook ls`.",
        answer=SHOWN,
        command="hook ls",
        many=True,
    ),
    Route(
        name="hook_add",
        method="POST",
        path="/hook",
        permission="create",
        summary="Register a hook",
        description="The command `ceph rbd migration hook add`.",
        answer=SHOWN,
        body=(
            Field("hook", "string", "Its name.", required=True, example="proxmox"),
            Field(
                "url",
                "string",
                "Where messages are sent.",
                required=True,
                example="https://hooks.example.com/rbd",
            ),
            Field(
                "events",
                "string",
                f"What it is told, with commas: of {', '.join(_EVENTS)}; without it all.",
                example="before_cutover,after_cutover,cutover_failed",
            ),
            Field("pool", "string", "Only images from or to this pool."),
            Field(
                "secret",
                "string",
                "The text that signs its messages, or `config://` and a config-key with it.",
                required=True,
            ),
            Field("timeout", "size", "For one message and its answer, such as 10s.", example="10s"),
            Field("ca", "string", "Certificates in PEM, instead of the system's.", longest=MAX_CA),
        ),
        command="hook add",
        status=201,
        example={
            "hook": "proxmox",
            "url": "https://hooks.example.com/rbd",
            "secret": "config://rbd/migration-hook-secret/proxmox",
        },
    ),
    Route(
        name="hook_rm",
        method="DELETE",
        path="/hook/{hook}",
        permission="delete",
        summary="Remove a hook",
        description="The command `ceph rbd migration hook rm`.",
        answer=SHOWN,
        command="hook rm",
    ),
    Route(
        name="hook_test",
        method="POST",
        path="/hook/{hook}/test",
        permission="update",
        summary="Send a hook a message",
        description="The command `ceph rbd migration hook test`.",
        answer=SHOWN,
        command="hook test",
    ),
    Route(
        name="hook_done",
        method="POST",
        path="/at/{target}/hook",
        permission="update",
        summary="Answer for a hook that put a question off",
        description="The command `ceph rbd migration hook done`.",
        answer=_DONE,
        body=(
            Field("hook", "string", "The hook.", required=True, example="proxmox"),
            Field("veto", "string", "Why not; yes without it."),
        ),
        command="hook done",
        example={"hook": "proxmox"},
    ),
)
