"""The fields of answers. Those of a Report are described in ``doc/reference/json.rst``."""

from typing import Tuple

from .fields import Field, field
from .source_schemas import SOURCE

STATES = (
    "queued", "preparing", "prepared", "executing", "executed", "cutting-over", "cut-over",
    "verifying", "verified", "committing", "committed", "aborting", "aborted", "failed",
)  # fmt: skip
METHODS = ("live", "copy", "warm")
METHODS_ASKED = ("auto", *METHODS)  # auto: depends on the image
CLIENTS = ("source", "target")
CUTOVERS = ("refuse", "when-closed", "agent", "hook")
ENDS = ("committed", "aborted")
GOALS = ("prepared", "executed", "cut-over", "verified", "committed")
VERIFY = ("none", "sample", "full")
VERIFY_ASKED = ("auto", *VERIFY)  # auto: depends on the image
HOLDS = (
    "paused", "window", "limit", "health", "source", "retry", "soak", "operator", "plan", "clients",
    "hook",
)  # fmt: skip


def time_field(name: str, text: str, nullable: bool = True) -> Field:
    return field(
        name, "string", text + " ISO 8601, UTC.", nullable=nullable, example="2026-11-23T06:22:26Z"
    )


HOLD = (
    field("reason", "string", "Why the migration waits.", choices=HOLDS),
    field("message", "string", "A sentence for people."),
    time_field("until", "When the waiting ends by itself."),
)
HELD_SECONDS = field(
    "held_seconds",
    "object",
    "Seconds for which it was held so far, by reason.",
    fields=tuple(Field(reason, "integer", "Seconds.") for reason in HOLDS),
)
FAILURE = (
    field("errno", "integer", "A positive errno."),
    field("code", "string", "Its name.", example="EBUSY"),
    field("message", "string", "A sentence for people."),
    time_field("at", "When it happened.", nullable=False),
    field("transient", "boolean", "The operation is retried automatically."),
)
TIMELINE = (
    time_field("at", "When it changed.", nullable=False),
    field("state", "string", "The new state.", choices=STATES),
    field("message", "string", "The reason, or what was asked for; may be empty."),
    field("by", "string", "Who asked for it; null: it came by itself.", nullable=True),
)
WARNING = (
    field("code", "string", "Code of the warning.", example="SNAPSHOT_REMOVE"),
    field("message", "string", "What clients must or must not do, and what happens otherwise."),
)
VIEW = (
    field("snapshot", "string", "The snapshot; null is the head.", nullable=True),
    field("compared", "boolean", "The comparison of this view is complete."),
    field("skipped", "string", "Why it is not; may be empty."),
    field("bytes", "integer", "Bytes read on each side."),
    field("extents", "integer", "Extents read on each side."),
    field("digest", "string", "A chain of SHA-256 over offsets and contents."),
    field("different", "integer", "How many extents differ."),
    field(
        "differences",
        "array",
        "The first 20 different extents.",
        fields=(
            field("offset", "integer", "Bytes."),
            field("length", "integer", "Bytes."),
        ),
    ),
)
VERIFICATION = (
    field("mode", "string", "What was compared.", choices=VERIFY[1:]),
    field(
        "outcome",
        "string",
        "Null while it is under way.",
        choices=("passed", "failed", "partial"),
        nullable=True,
    ),
    field("reasons", "array", "What was not compared and why, one sentence each."),
    field("fraction", "number", "The share of the blocks with data that is compared."),
    field("seed", "integer", "How the blocks were chosen."),
    field(
        "miss_probability",
        "number",
        "The probability that one differing block was missed.",
        nullable=True,
    ),
    field("bytes", "integer", "Bytes read on each side."),
    field("extents", "integer", "Extents read on each side."),
    field("seconds", "number", "Duration of the comparison."),
    time_field("started", "When the comparison began.", nullable=False),
    time_field("at", "When it ended."),
    field("release", "string", "The module's version and Ceph's."),
    field("views", "array", "Each snapshot and the head.", fields=VIEW),
)
LAYOUT = (
    Field("object_size", "integer", "Bytes."),
    Field("stripe_unit", "integer", "Bytes."),
    Field("stripe_count", "integer", "Objects."),
    Field("features", "array", "Image features."),
    Field("shared", "boolean", "Without the features that require a single writer."),
    Field("flatten", "boolean", "Without a parent."),
    Field("data_pool", "string", "The pool that takes the data."),
    Field("journal_object_size", "integer", "Bytes."),
    Field("journal_splay_width", "integer", "Objects at once."),
    Field("journal_pool", "string", "The pool that takes the journal."),
)
ROUNDS = (
    field("count", "integer", "How many were copied."),
    field("bytes", "integer", "Bytes that the last one copied."),
    field("seconds", "number", "Seconds that the last one took."),
    field(
        "age_seconds",
        "integer",
        "Seconds since the source was as the target is; null after the cutover.",
        nullable=True,
    ),
    field(
        "pause_seconds",
        "number",
        "Seconds that the cutover took, or that its guest was paused.",
        nullable=True,
    ),
    field(
        "pause_estimate_seconds",
        "number",
        "Seconds that a cutover would take now; null after it.",
        nullable=True,
    ),
)
WAY_BACK = (
    field(
        "bytes",
        "integer",
        "What clients wrote since the cutover or the last reverse round, about; null: not known.",
        nullable=True,
    ),
    field("seconds", "number", "How long they would wait for it, about; or null.", nullable=True),
    time_field("at", "When that was measured.", nullable=False),
)
REVERSE_ROUNDS = (
    field(
        "every_seconds",
        "integer",
        "Seconds between two of them; null: they begin only when asked for.",
        nullable=True,
    ),
    field("count", "integer", "How many were completed."),
    field("bytes", "integer", "Bytes that the last one copied."),
    field("seconds", "number", "Seconds that the last one took."),
    field(
        "age_seconds",
        "integer",
        "Seconds since the target was as the source is; null while no source is kept.",
        nullable=True,
    ),
    field("problem", "string", "Why the last one failed; it is tried again.", nullable=True),
)
CUTOVER = (
    field("mode", "string", "How clients are made to leave the source.", choices=CUTOVERS),
    field("max_pause_seconds", "number", "Seconds that a guest may be paused."),
    field("name_changes", "boolean", "Clients find the image under its new name."),
    field("window", "string", "When it may cut over; null is always.", nullable=True),
    field(
        "pause_seconds",
        "number",
        "Seconds that clients could use neither image, or that a guest was paused; null before.",
        nullable=True,
    ),
)
REPORT: Tuple[Field, ...] = (
    field("id", "string", "The migration's id.", example="235bf36ad5de"),
    field("source", "string", "Image spec of the source.", example="hdd/vm1"),
    field(
        "source_image_id",
        "string",
        "The source's RBD image id; of format 1 the prefix of its data objects and its name; "
        "empty for an import.",
    ),
    field("method", "string", "How it is copied.", choices=METHODS),
    field("method_reason", "string", "Why `auto` chose the method.", nullable=True),
    field("clients", "string", "The image that clients use now.", choices=CLIENTS),
    field(
        "cutover",
        "object",
        "How its cutover is done; null for other methods than warm.",
        fields=CUTOVER,
        nullable=True,
    ),
    field("rounds", "object", "The rounds of a warm migration.", fields=ROUNDS, nullable=True),
    field(
        "way_back",
        "object",
        "What an abort after a warm cutover would copy back; null where that was not measured.",
        fields=WAY_BACK,
        nullable=True,
    ),
    field(
        "reverse_rounds",
        "object",
        "The rounds that refresh the source after a warm cutover; null where there are none.",
        fields=REVERSE_ROUNDS,
        nullable=True,
    ),
    *SOURCE,
    field("target", "string", "Image spec of the target.", example="nvme/vm1"),
    field("target_image_id", "string", "The target's RBD image id; empty until prepared."),
    field("plan", "string", "The plan that it belongs to.", nullable=True),
    field("by", "string", "Who asked for it; null: not known.", nullable=True),
    field("state", "string", "Where it is.", choices=STATES),
    field("goal", "string", "How far the migration goes by itself.", choices=(*GOALS, "aborted")),
    field("percent", "integer", "Percentage copied, or compared during a verification, 0 to 100."),
    field("bytes_total", "integer", "Bytes that the source holds.", nullable=True),
    field("bytes_copied", "integer", "How many of them are on the target."),
    field("rate", "integer", "Bytes per second now.", nullable=True),
    field("rate_limit", "integer", "Bytes per second that the throttle gives.", nullable=True),
    field("own_rate", "integer", "Its own limit in bytes per second.", nullable=True),
    field("window", "string", "When the copy may run; null is always.", nullable=True),
    field("verify", "string", "The verification before the commit.", choices=VERIFY),
    field("soak_seconds", "integer", "Seconds to wait between verification and commit."),
    field("verification", "object", "The last one.", fields=VERIFICATION, nullable=True),
    field("eta_seconds", "integer", "Seconds until the copy is complete.", nullable=True),
    time_field("copy_begun", "When the running copy began."),
    time_field("copy_ends", "When the copy will be complete at this rate."),
    field("slowed", "array", "A sentence for each thing that slows the copy down."),
    field("objects_done", "integer", "Number of objects whose copy has begun.", nullable=True),
    field("objects_total", "integer", "Objects of the image.", nullable=True),
    field(
        "hold",
        "object",
        "Why the migration waits; null if it does not.",
        fields=HOLD,
        nullable=True,
    ),
    HELD_SECONDS,
    field("failure", "object", "What went wrong last.", fields=FAILURE, nullable=True),
    field("attempts", "integer", "Failures in a row of the current act."),
    field("priority", "integer", "Higher goes first."),
    field("paused", "boolean", "It was paused and not resumed."),
    field("adopted", "boolean", "It was taken over from plain rbd migration."),
    field("acting", "boolean", "An act is running."),
    field("copied_by", "string", "The client that copies in place of the worker; may be empty."),
    field("layout", "object", "The requested layout options.", fields=LAYOUT),
    time_field("created", "When the migration was requested.", nullable=False),
    time_field("prepared", "When it was first seen prepared."),
    time_field("executed", "When it was last seen to become executed."),
    time_field("cut_over", "When the target got its name, with the method warm."),
    time_field("ended", "When it was committed or aborted."),
    field("timeline", "array", "The changes of state, oldest first.", fields=TIMELINE),
    field("next", "string", "What happens next, or what to do; empty when it has ended."),
    field(
        "warnings",
        "array",
        "Warnings about what clients must not do, or have done.",
        fields=WARNING,
    ),
)
FINDING = (
    field("code", "string", "Which check found it."),
    field("severity", "string", "Severity.", choices=("error", "warning", "info")),
    field("object", "string", "The image or pool that it concerns."),
    field("message", "string", "A sentence for people."),
    field("remedy", "string", "What to do; may be empty."),
)
METHOD_CHOICE = (
    field("method", "string", "The method.", choices=METHODS),
    field("ok", "boolean", "It can do the job."),
    field("recommended", "boolean", "It is the best one that can."),
    field("code", "string", "The finding that refuses it; empty if it can do the job."),
    field("reason", "string", "A sentence for people."),
)
CHECK = (
    field("source", "string", "Image spec of the source."),
    field("target", "string", "Image spec of the target."),
    field("ok", "boolean", "No error was found."),
    field("method", "string", "How it would be copied.", choices=METHODS, nullable=True),
    field("methods", "array", "The methods that come into question.", fields=METHOD_CHOICE),
    field("bytes_to_copy", "integer", "Upper limit of the bytes to copy.", nullable=True),
    field("bytes_free", "integer", "Bytes that the target's pool can take.", nullable=True),
    field("findings", "array", "The worst first.", fields=FINDING),
)
BULK = (
    field("done", "array", "The targets for which it was begun or done."),
    field(
        "refused",
        "array",
        "The targets for which it was refused.",
        fields=(
            field("target", "string", "Image spec of the target."),
            field("code", "string", "The errno's name."),
            field("message", "string", "Why, one sentence."),
        ),
    ),
    field(
        "left", "integer", "Number of targets that there was no time for; send the request again."
    ),
)
POOLS = (
    field("pool", "string", "The pool's name."),
    field("namespaces", "array", "Its RBD namespaces; an empty text is the default one."),
    field("answers", "boolean", "False: the pool does not answer now."),
)
IMAGES = (
    field("images", "array", "Names of images, in their order."),
    field("more", "boolean", "There are more than these."),
)
ERROR = (
    field("detail", "string", "A sentence: what, why, what to do."),
    field("code", "string", "The errno's name.", example="EBUSY"),
    field("component", "string", "Always rbd_migration.", example="rbd_migration"),
)
