"""The fields of exports and reports, described in ``doc/reference/json.rst``."""

from . import schemas
from .fields import field
from .plan_schemas import PHASES, STATES
from .schemas import time_field

HISTORY_ROW = (
    field("id", "string", "The migration's id."),
    field("source", "string", "Image spec of the source."),
    field("target", "string", "Image spec of the target."),
    field("state", "string", "How it ended.", choices=schemas.STATES),
    field("method", "string", "How it was copied.", choices=schemas.METHODS),
    time_field("created", "When it was requested.", nullable=False),
    time_field("ended", "When it ended.", nullable=False),
    field("seconds", "integer", "Seconds in between."),
    field("bytes", "integer", "Bytes of data that it moved.", nullable=True),
    field("bytes_per_second", "integer", "Mean rate of the copy with all waits.", nullable=True),
    field("pause_seconds", "number", "How long clients waited.", nullable=True),
    field("verified", "string", "Mode and outcome of the last verification; may be empty."),
    schemas.HELD_SECONDS,
    field("plan", "string", "Its plan; may be empty."),
    field("by", "string", "Who asked for it; may be empty."),
)
_EMPTY = "empty: it did not come to that."
REPORT_ROW = (
    field("source", "string", "Image spec of the source, or a name for an import's."),
    field("source_image_id", "string", "The source's RBD image id; may be empty."),
    field("target", "string", "Image spec of the target."),
    field("target_image_id", "string", "The target's RBD image id; may be empty."),
    field("wave", "integer", "Its wave, from 1."),
    field("phase", "string", "The phase of the image in the plan.", choices=PHASES),
    field("message", "string", "Why the image failed or waits; may be empty."),
    field("state", "string", "Of its migration; empty where there is none."),
    field("method", "string", "How it was copied; may be empty."),
    field("layout", "string", "The layout options that were asked for."),
    field("bytes", "integer", "Bytes that the source held.", nullable=True),
    *(
        field(name, "string", f"{text} ISO 8601, UTC; {_EMPTY}")
        for name, text in (
            ("created", "When the migration was requested."),
            ("prepared", "When it was prepared."),
            ("executed", "When it was executed."),
            ("cut_over", "When the target got its name."),
            ("ended", "When it was committed or aborted."),
        )
    ),
    field("seconds", "integer", "Seconds from the request to the end.", nullable=True),
    field("bytes_per_second", "integer", "Mean rate of the copy with all waits.", nullable=True),
    field("pause_seconds", "number", "How long clients waited.", nullable=True),
    field("longest_pause_seconds", "number", "How long they were allowed to.", nullable=True),
    schemas.HELD_SECONDS,
    field("verification", "string", "Mode and outcome; may be empty."),
    field("coverage", "number", "The share of the data compared, 0 to 1.", nullable=True),
    field("miss_probability", "number", "As in a verification.", nullable=True),
    field("not_compared", "string", "What was not compared and why."),
    field("digests", "string", "`head=` and each snapshot's name, with its digest."),
    field("by", "string", "Who asked for the migration."),
    field("requests", "string", "What was asked for, when and by whom."),
)
PLAN_REPORT = (
    field("plan", "string", "The plan's name."),
    field("state", "string", "The plan's state.", choices=STATES),
    field("created", "string", "When it was created."),
    field("started", "string", f"When its images were selected; {_EMPTY}"),
    field("ended", "string", f"When it was done or cancelled; {_EMPTY}"),
    field(
        "counts",
        "object",
        "Images by phase.",
        fields=tuple(field(phase, "integer", "How many.") for phase in PHASES),
    ),
    field("timeline", "string", "What happened to the plan, when and by whom."),
    field("images", "array", "Its images, in order.", fields=REPORT_ROW),
)
