"""What answers about plans look like; described in ``doc/reference/json.rst``."""

from . import schemas
from .fields import Field

STATES = (
    "draft", "starting", "running", "paused", "stopped", "cancelling", "done", "cancelled",
)  # fmt: skip
PHASES = ("queued", "waiting", "running", "done", "failed", "cancelled")


def _field(name: str, type: str, text: str, **more: object) -> Field:
    return Field(name, type, text, required=True, **more)  # type: ignore[arg-type]


def _time(name: str, text: str) -> Field:
    return _field(
        name, "string", text + " ISO 8601, UTC.", nullable=True, example="2026-11-23T06:22:26Z"
    )


PLAN = (
    _field("name", "string", "The plan's name.", example="nvme-move"),
    _field("state", "string", "Where it is.", choices=STATES),
    _field("goal", "string", "How far each migration goes.", choices=schemas.GOALS),
    _field("verify", "string", "What is compared before a commit.", choices=schemas.VERIFY),
    _field("priority", "integer", "Higher goes first."),
    _field("rate_limit", "integer", "Bytes per second of all its copies.", nullable=True),
    _field("max_copies", "integer", "Its copies at once; 0 is no limit."),
    _field("window", "string", "When its copies may run; null is always.", nullable=True),
    _field("wave", "integer", "The wave that is under way, from 1; 0 before it started."),
    _field("waves", "integer", "How many there are; 0 before it started."),
    _field("wave_size", "integer", "Images in a wave."),
    _field("stop_after_failures", "integer", "Failures after which it stops; 0 is never."),
    _field("total", "integer", "Images; 0 before it started."),
    _field(
        "counts",
        "object",
        "Images by phase.",
        fields=tuple(_field(phase, "integer", "How many.") for phase in PHASES),
    ),
    _field("percent", "integer", "How much of it is done, 0 to 100."),
    _field("bytes_total", "integer", "Bytes of what has begun, as far as they are known."),
    _field("bytes_copied", "integer", "How many of them are on the targets."),
    _field("rate", "integer", "Bytes per second of its copies now."),
    _field("eta_seconds", "integer", "Until what has begun is copied.", nullable=True),
    _field("problems", "array", "At most 20 sentences about what failed or waits."),
    _time("created", "When it was made."),
    _time("started", "When its images were chosen."),
    _time("ended", "When it was done or cancelled."),
    _field("next", "string", "What happens next, or what to do; may be empty."),
    _field("selects", "array", "What its selectors pick, for people."),
    _field("pools", "array", "The pools that it is about."),
)
ITEM = (
    _field("source", "string", "Image spec of the source, or a name for an import's."),
    _field("target", "string", "Image spec of the target."),
    _field("migration", "string", "The id that its migration has, or will have."),
    _field("wave", "integer", "Its wave, from 1."),
    _field("phase", "string", "Where it is in the plan.", choices=PHASES),
    _field("state", "string", "Of a migration under way.", choices=schemas.STATES, nullable=True),
    _field("percent", "integer", "How much is copied, 0 to 100."),
    _field("bytes_total", "integer", "Bytes that the source holds.", nullable=True),
    _field("bytes_copied", "integer", "How many of them are on the target."),
    _field("message", "string", "Why it failed or waits; may be empty."),
)
PLAN_DETAIL = (*PLAN, _field("items", "array", "Its images, in order.", fields=ITEM))
POOL = (
    _field("pool", "string", "A pool that takes data."),
    _field("bytes_needed", "integer", "What it has to take at the peak."),
    _field("bytes_in_all", "integer", "The same if no source were removed meanwhile."),
    _field("bytes_free", "integer", "What it can take.", nullable=True),
    _field("fits", "boolean", "It is enough, as far as is known."),
)
PLAN_CHECK = (
    _field("plan", "string", "The plan's name."),
    _field("done", "boolean", "All images are checked; ask again until they are."),
    _field("checked", "integer", "How many are."),
    _field("total", "integer", "How many there are; null until they are chosen.", nullable=True),
    _field("ok", "boolean", "All of them can begin, and all fits."),
    _field("blocked", "integer", "How many cannot begin as things are."),
    _field("problem", "string", "Why nothing can be checked; empty mostly."),
    _field("bytes_to_copy", "integer", "Bytes that are copied at most."),
    _field("seconds", "integer", "What they take at the rate that is set.", nullable=True),
    _field("pools", "array", "The pools that take data.", fields=POOL),
    _time("ended", "When the check ended."),
    _field("items", "array", "What was found about each image.", fields=schemas.CHECK),
)
