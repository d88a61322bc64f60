"""What answers about plans look like; described in ``doc/reference/json.rst``."""

from . import schemas
from .schemas import field, time_field

STATES = (
    "draft", "starting", "running", "paused", "stopped", "cancelling", "done",
    "done-with-failures", "cancelled",
)  # fmt: skip
PHASES = ("queued", "waiting", "running", "paused", "done", "failed", "cancelled", "skipped")


PLAN = (
    field("name", "string", "The plan's name.", example="nvme-move"),
    field("state", "string", "Where it is.", choices=STATES),
    field("goal", "string", "How far each migration goes.", choices=schemas.GOALS),
    field("verify", "string", "What is compared before a commit.", choices=schemas.VERIFY_ASKED),
    field("priority", "integer", "Higher goes first."),
    field("rate_limit", "integer", "Bytes per second of all its copies.", nullable=True),
    field("max_copies", "integer", "Its copies at once; 0 is no limit."),
    field("window", "string", "When its copies may run; null is always.", nullable=True),
    field("wave", "integer", "The wave that is under way, from 1; 0 before it started."),
    field("waves", "integer", "How many there are; 0 before it started."),
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
    field("percent", "integer", "How much of it is done, 0 to 100."),
    field("bytes_total", "integer", "Bytes of what has begun, as far as they are known."),
    field("bytes_copied", "integer", "How many of them are on the targets."),
    field("rate", "integer", "Bytes per second of its copies now."),
    field("eta_seconds", "integer", "Until what has begun is copied.", nullable=True),
    field(
        "eta_total_seconds",
        "integer",
        "Until all of it is copied; an image that has not begun "
        "counts with the mean size of the others.",
        nullable=True,
    ),
    field("seconds", "integer", "How long it has run, or ran.", nullable=True),
    field("problems", "array", "At most 20 sentences about what failed or waits."),
    time_field("created", "When it was made."),
    time_field("started", "When its images were chosen."),
    time_field("ended", "When it was done or cancelled."),
    field("next", "string", "What happens next, or what to do; may be empty."),
    field(
        "warnings",
        "array",
        "What clients of its targets must not do.",
        fields=schemas.WARNING,
    ),
    field("selects", "array", "What its selectors pick, for people."),
    field("pools", "array", "The pools that it is about."),
)
ITEM = (
    field("source", "string", "Image spec of the source, or a name for an import's."),
    field("target", "string", "Image spec of the target."),
    field("migration", "string", "The id that its migration has, or will have."),
    field("wave", "integer", "Its wave, from 1."),
    field("phase", "string", "Where it is in the plan.", choices=PHASES),
    field("postponed", "boolean", "It is tried again when all others have ended."),
    field("state", "string", "Of a migration under way.", choices=schemas.STATES, nullable=True),
    field("percent", "integer", "How much is copied, 0 to 100."),
    field("bytes_total", "integer", "Bytes that the source holds.", nullable=True),
    field("bytes_copied", "integer", "How many of them are on the target."),
    field("message", "string", "Why it failed or waits; may be empty."),
)
PLAN_DETAIL = (*PLAN, field("items", "array", "Its images, in order.", fields=ITEM))
PLAN_COMMIT = (
    field("done", "array", "The targets whose commit has begun."),
    field(
        "refused",
        "array",
        "Those that were refused.",
        fields=(
            field("target", "string", "Image spec of the target."),
            field("code", "string", "The errno's name."),
            field("message", "string", "Why, one sentence."),
        ),
    ),
    field("left", "integer", "How many there was no time for: ask again."),
)
POOL = (
    field("pool", "string", "A pool that takes data."),
    field("bytes_needed", "integer", "What it has to take at the peak."),
    field("bytes_in_all", "integer", "The same if no source were removed meanwhile."),
    field("bytes_free", "integer", "What it can take.", nullable=True),
    field("fits", "boolean", "It is enough, as far as is known."),
)
PLAN_CHECK = (
    field("plan", "string", "The plan's name."),
    field("done", "boolean", "All images are checked; ask again until they are."),
    field("checked", "integer", "How many are."),
    field("total", "integer", "How many there are; null until they are chosen.", nullable=True),
    field("ok", "boolean", "All of them can begin, and all fits."),
    field("blocked", "integer", "How many cannot begin as things are."),
    field("problem", "string", "Why nothing can be checked; empty mostly."),
    field("bytes_to_copy", "integer", "Bytes that are copied at most."),
    field("seconds", "integer", "What they take at the rate that is set.", nullable=True),
    field("pools", "array", "The pools that take data.", fields=POOL),
    time_field("ended", "When the check ended."),
    field("items", "array", "What was found about each image.", fields=schemas.CHECK),
)
