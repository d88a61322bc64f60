"""The fields of answers about plans; described in ``doc/reference/json.rst``."""

from . import schemas
from .fields import field
from .schemas import time_field

STATES = (
    "draft", "starting", "running", "paused", "stopped", "cancelling", "done",
    "done-with-failures", "cancelled",
)  # fmt: skip
PHASES = ("queued", "waiting", "running", "paused", "done", "failed", "cancelled", "skipped")


PLAN = (
    field("name", "string", "The plan's name.", example="nvme-move"),
    field("state", "string", "Where it is.", choices=STATES),
    field("goal", "string", "How far each migration goes.", choices=schemas.GOALS),
    field("method", "string", "How images are copied.", choices=schemas.METHODS_ASKED),
    field("verify", "string", "The verification before a commit.", choices=schemas.VERIFY_ASKED),
    field("priority", "integer", "Higher goes first."),
    field(
        "rate_limit",
        "integer",
        "The limit of all its copies together, in bytes per second.",
        nullable=True,
    ),
    field("max_copies", "integer", "Maximum number of its copies at once; 0 is no limit."),
    field("window", "string", "When its copies may run; null is always.", nullable=True),
    field("wave", "integer", "The wave that is under way, from 1; 0 before it started."),
    field("waves", "integer", "Number of waves; 0 before it started."),
    field("wave_size", "integer", "Images in a wave."),
    field("stop_after_failures", "integer", "Failures after which it stops; 0 is never."),
    field(
        "wait_seconds",
        "integer",
        "How long a wave waits for an image that cannot begin; null is without end.",
        nullable=True,
    ),
    field("total", "integer", "Images; 0 before it started."),
    field(
        "counts",
        "object",
        "Images by phase.",
        fields=tuple(field(phase, "integer", "How many.") for phase in PHASES),
    ),
    field("percent", "integer", "Progress of the plan, 0 to 100."),
    field("bytes_total", "integer", "Bytes of the migrations that have begun, as far as known."),
    field("bytes_copied", "integer", "How many of them are on the targets."),
    field("rate", "integer", "Bytes per second of its copies now."),
    field(
        "eta_seconds",
        "integer",
        "Seconds until the migrations that have begun are copied.",
        nullable=True,
    ),
    field(
        "eta_total_seconds",
        "integer",
        "Seconds until all images are copied; one that has not begun "
        "counts with the mean size of the others.",
        nullable=True,
    ),
    field("seconds", "integer", "Seconds since it started, or that it took.", nullable=True),
    field("problems", "array", "At most 20 sentences about images that failed or wait."),
    time_field("created", "When it was created."),
    time_field("started", "When its images were selected."),
    time_field("ended", "When it was done or cancelled."),
    field("next", "string", "What happens next, or what to do; may be empty."),
    field(
        "warnings",
        "array",
        "Warnings for clients of its targets.",
        fields=schemas.WARNING,
    ),
    field("selects", "array", "Its selectors, in words."),
    field("pools", "array", "The pools that it concerns."),
)
ITEM = (
    field("source", "string", "Image spec of the source, or a name for an import's."),
    field("target", "string", "Image spec of the target."),
    field("method", "string", "How it is copied.", choices=schemas.METHODS_ASKED),
    field("migration", "string", "The id that its migration has, or will have."),
    field("wave", "integer", "Its wave, from 1."),
    field("phase", "string", "The phase of the image in the plan.", choices=PHASES),
    field("postponed", "boolean", "It is retried when all other images have ended."),
    field("state", "string", "Of a migration under way.", choices=schemas.STATES, nullable=True),
    field("percent", "integer", "How much is copied, 0 to 100."),
    field("bytes_total", "integer", "Bytes that the source holds.", nullable=True),
    field("bytes_copied", "integer", "How many of them are on the target."),
    field("message", "string", "Why the image failed or waits; may be empty."),
)
TIMELINE = (
    time_field("at", "When it happened.", nullable=False),
    field("state", "string", "The plan's state since then.", choices=STATES),
    field("message", "string", "What happened, where the state does not say it; may be empty."),
    field("by", "string", "Who asked for it, or the plan itself; null: not known.", nullable=True),
)
PLAN_DETAIL = (
    *PLAN,
    field("items", "array", "Its images, in order.", fields=ITEM),
    field("timeline", "array", "What happened to it, the oldest first.", fields=TIMELINE),
)
POOL = (
    field("pool", "string", "A target or data pool."),
    field("bytes_needed", "integer", "Bytes that it needs at the peak."),
    field("bytes_in_all", "integer", "The same, if no source were removed in the meantime."),
    field("bytes_free", "integer", "Bytes that can still be written to it.", nullable=True),
    field("fits", "boolean", "The free space is enough, as far as known."),
)
PLAN_CHECK = (
    field("plan", "string", "The plan's name."),
    field("done", "boolean", "All images are checked; repeat the request until they are."),
    field("checked", "integer", "How many are."),
    field("total", "integer", "Number of images; null until they are selected.", nullable=True),
    field("ok", "boolean", "All images can begin, and their data fits into the pools."),
    field("blocked", "integer", "Number of images that cannot begin at present."),
    field("problem", "string", "Why the plan cannot start; usually empty."),
    field("bytes_to_copy", "integer", "Upper limit of the bytes to copy."),
    field("seconds", "integer", "Seconds to copy them at the configured rate.", nullable=True),
    field("pools", "array", "The target and data pools.", fields=POOL),
    time_field("ended", "When the check ended."),
    field("items", "array", "The findings about each image.", fields=schemas.CHECK),
)
PLAN_COMPARISON = (
    field("plan", "string", "The plan's name."),
    field("state", "string", "Where it is; null: there is none.", choices=STATES, nullable=True),
    field("same", "boolean", "It has the definition that was given."),
)
PLAN_READ = (
    field("definition", "object", "The fields of a plan file that it has."),
    field("problem", "string", "Why that is not a plan yet; empty if it is one."),
)
