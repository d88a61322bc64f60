"""What the answers look like. The fields of a Report are those of ``doc/reference/json.rst``."""

from typing import Any, Tuple

from .fields import Field

STATES = (
    "queued", "preparing", "prepared", "executing", "executed", "verifying", "verified",
    "committing", "committed", "aborting", "aborted", "failed",
)  # fmt: skip
GOALS = ("prepared", "executed", "verified", "committed")
VERIFY = ("none", "sample", "full")
HOLDS = ("paused", "window", "limit", "health", "retry", "soak", "operator", "plan")


def _field(name: str, type: str, text: str, **more: Any) -> Field:
    """A field that is always there."""
    return Field(name, type, text, required=True, **more)


def _time(name: str, text: str, nullable: bool = True) -> Field:
    return _field(
        name, "string", text + " ISO 8601, UTC.", nullable=nullable, example="2026-11-23T06:22:26Z"
    )


HOLD = (
    _field("reason", "string", "Why it does not move.", choices=HOLDS),
    _field("message", "string", "A sentence for people."),
    _time("until", "When it ends by itself."),
)
FAILURE = (
    _field("errno", "integer", "A positive errno."),
    _field("code", "string", "Its name.", example="EBUSY"),
    _field("message", "string", "A sentence for people."),
    _time("at", "When it happened.", nullable=False),
    _field("transient", "boolean", "It is tried again by itself."),
)
TIMELINE = (
    _time("at", "When it changed.", nullable=False),
    _field("state", "string", "The new state.", choices=STATES),
    _field("message", "string", "Why, where the state alone does not say it; may be empty."),
)
VIEW = (
    _field("snapshot", "string", "The snapshot; null is the head.", nullable=True),
    _field("compared", "boolean", "It was compared to its end."),
    _field("skipped", "string", "Why it was not; may be empty."),
    _field("bytes", "integer", "Bytes read on each side."),
    _field("extents", "integer", "Extents read on each side."),
    _field("digest", "string", "A chain of SHA-256 over offsets and contents."),
    _field("different", "integer", "How many extents differ."),
    _field(
        "differences",
        "array",
        "The first 20 of them.",
        fields=(
            _field("offset", "integer", "Bytes."),
            _field("length", "integer", "Bytes."),
        ),
    ),
)
VERIFICATION = (
    _field("mode", "string", "What was compared.", choices=VERIFY[1:]),
    _field(
        "outcome",
        "string",
        "Null while it is under way.",
        choices=("passed", "failed", "partial"),
        nullable=True,
    ),
    _field("reasons", "array", "What was not compared and why, a sentence each."),
    _field("fraction", "number", "What part of the blocks with data is compared."),
    _field("seed", "integer", "How the blocks were chosen."),
    _field(
        "miss_probability",
        "number",
        "The probability that one differing block was missed.",
        nullable=True,
    ),
    _field("bytes", "integer", "Bytes read on each side."),
    _field("extents", "integer", "Extents read on each side."),
    _field("seconds", "number", "What the comparing took."),
    _time("started", "When it was begun.", nullable=False),
    _time("at", "When it ended."),
    _field("release", "string", "The module's version and Ceph's."),
    _field("views", "array", "Each snapshot and the head.", fields=VIEW),
)
LAYOUT = (
    Field("object_size", "integer", "Bytes."),
    Field("stripe_unit", "integer", "Bytes."),
    Field("stripe_count", "integer", "Objects."),
    Field("features", "array", "Image features."),
    Field("shared", "boolean", "Without the features that need one writer."),
    Field("flatten", "boolean", "Without a parent."),
    Field("data_pool", "string", "The pool that takes the data."),
    Field("journal_object_size", "integer", "Bytes."),
    Field("journal_splay_width", "integer", "Objects at once."),
    Field("journal_pool", "string", "The pool that takes the journal."),
)
REPORT: Tuple[Field, ...] = (
    _field("id", "string", "The migration's id.", example="235bf36ad5de"),
    _field("source", "string", "Image spec of the source.", example="hdd/vm1"),
    _field("source_image_id", "string", "The source's RBD image id; empty for an import."),
    _field("import_only", "boolean", "The source is read and left as it is."),
    _field("source_spec", "object", "Of an import, without its secrets.", nullable=True),
    _field("source_changes", "array", "What changed at an import's source while it was copied."),
    _field("target", "string", "Image spec of the target.", example="nvme/vm1"),
    _field("target_image_id", "string", "The target's RBD image id; empty until prepared."),
    _field("plan", "string", "The plan that it belongs to.", nullable=True),
    _field("state", "string", "Where it is.", choices=STATES),
    _field("goal", "string", "How far it goes by itself.", choices=(*GOALS, "aborted")),
    _field("percent", "integer", "How much is copied, or compared, 0 to 100."),
    _field("bytes_total", "integer", "Bytes that the source holds.", nullable=True),
    _field("bytes_copied", "integer", "How many of them are on the target."),
    _field("rate", "integer", "Bytes per second now.", nullable=True),
    _field("rate_limit", "integer", "Bytes per second that the throttle gives.", nullable=True),
    _field("own_rate", "integer", "Its own limit in bytes per second.", nullable=True),
    _field("window", "string", "When it may be copied; null is always.", nullable=True),
    _field("verify", "string", "What is compared before the commit.", choices=VERIFY),
    _field("soak_seconds", "integer", "How long it waits between verification and commit."),
    _field("verification", "object", "The last one.", fields=VERIFICATION, nullable=True),
    _field("eta_seconds", "integer", "Seconds until the copy is complete.", nullable=True),
    _time("copy_begun", "When the running copy was begun."),
    _time("copy_ends", "When it is complete at this rate."),
    _field("slowed", "array", "A sentence for each thing that slows the copy down."),
    _field("objects_done", "integer", "Objects of the copy that were begun.", nullable=True),
    _field("objects_total", "integer", "Objects of the image.", nullable=True),
    _field("hold", "object", "Why it does not move right now.", fields=HOLD, nullable=True),
    _field("failure", "object", "What went wrong last.", fields=FAILURE, nullable=True),
    _field("attempts", "integer", "Failures in a row of the current act."),
    _field("priority", "integer", "Higher goes first."),
    _field("paused", "boolean", "It was paused and not resumed."),
    _field("adopted", "boolean", "It was taken over from plain rbd migration."),
    _field("acting", "boolean", "An act was begun and has not ended."),
    _field("copied_by", "string", "The client that copies in place of the worker; may be empty."),
    _field("layout", "object", "The layout options that were asked for.", fields=LAYOUT),
    _time("created", "When it was asked for.", nullable=False),
    _time("prepared", "When it was first seen prepared."),
    _time("executed", "When it was last seen to become executed."),
    _time("ended", "When it was committed or aborted."),
    _field("timeline", "array", "The changes of state, the oldest first.", fields=TIMELINE),
    _field("next", "string", "What happens next, or what to do; empty when it has ended."),
)
FINDING = (
    _field("code", "string", "Which check found it."),
    _field("severity", "string", "How bad it is.", choices=("error", "warning", "info")),
    _field("object", "string", "What it is about."),
    _field("message", "string", "A sentence for people."),
    _field("remedy", "string", "What to do; may be empty."),
)
CHECK = (
    _field("source", "string", "Image spec of the source."),
    _field("target", "string", "Image spec of the target."),
    _field("ok", "boolean", "No error was found."),
    _field("bytes_to_copy", "integer", "Bytes that would be copied at most.", nullable=True),
    _field("bytes_free", "integer", "Bytes that the target's pool can take.", nullable=True),
    _field("findings", "array", "The worst first.", fields=FINDING),
)
GATE = (
    _field("gate", "string", "Which health gate.", example="nearfull-osds"),
    _field("level", "string", "What it does.", choices=("slow", "wait")),
    _field("pool", "string", "The pool that it is about, if it is about one.", nullable=True),
    _field("message", "string", "A sentence for people."),
)
_GATES = _field("gates", "array", "Health gates that are not open.", fields=GATE)
GUARD = (
    _field("factor", "number", "How many times as long clients' operations may take."),
    _field("rate", "integer", "Bytes per second that it gives to all copies.", nullable=True),
    _field("latency_ms", "number", "What they take now.", nullable=True),
    _field("baseline_ms", "number", "What they take without copies.", nullable=True),
    _field("message", "string", "A sentence for people."),
)
_GUARD = _field("guard", "object", "The latency guard; null is off.", fields=GUARD, nullable=True)
THROTTLE = (
    _field("timetable", "string", "The rate or timetable that was set.", example="50M"),
    _field("timezone", "string", "The time zone of timetable and windows."),
    _field("rate_now", "integer", "Bytes per second now; null is no limit.", nullable=True),
    _field("pools", "object", "Bytes per second by pool."),
    _GATES,
    _GUARD,
)
WINDOW = (
    _field("window", "string", "When copies may run; empty is always."),
    _field("timezone", "string", "The time zone."),
)
LIMITS = tuple(
    _field(name, "integer", text)
    for name, text in (
        ("max_copies", "Copies at once."),
        ("per_source_pool", "Copies at once that read from one pool; 0 is no limit."),
        ("per_target_pool", "Copies at once that write to one pool; 0 is no limit."),
        ("per_source_host", "Imports at once that read from one host; 0 is no limit."),
        ("max_steps", "Prepares, commits and aborts at once."),
        ("max_verifies", "Verifications at once."),
    )
)
SUMMARY = (
    _field("version", "string", "The module's version."),
    _field("ceph_release", "string", "The manager's release.", example="16.2.15"),
    _field(
        "permissions",
        "object",
        "What the caller may do.",
        fields=tuple(
            _field(name, "boolean", "Whether they may.")
            for name in ("read", "create", "update", "delete")
        ),
    ),
    _field(
        "counts",
        "object",
        "Migrations under way by state.",
        fields=tuple(_field(state, "integer", "How many.") for state in STATES),
    ),
    _field(
        "holds",
        "object",
        "Migrations that do not move, by reason.",
        fields=tuple(Field(reason, "integer", "How many.") for reason in HOLDS),
    ),
    _field("total", "integer", "Migrations under way."),
    _field("copying", "integer", "How many of them are copied now."),
    _field("bytes_total", "integer", "Bytes that all of them have to copy, where known."),
    _field("bytes_copied", "integer", "How many of them are on the targets."),
    _field("rate", "integer", "Bytes per second of all copies together."),
    _field("eta_seconds", "integer", "Seconds until the running copies end.", nullable=True),
    _field("attention", "array", "At most 20 that wait for the administrator.", fields=REPORT),
    _field("attention_total", "integer", "How many there are."),
    _field("cluster_rate", "integer", "The throttle now; null is no limit.", nullable=True),
    _GATES,
    _GUARD,
    _field("limits", "object", "The limits.", fields=LIMITS),
)
THROUGHPUT = (
    _time("at", "When these ten seconds began.", nullable=False),
    _field("rate", "integer", "Bytes per second of all copies together, on average."),
    _field("limit", "integer", "The cluster's throttle; null is no limit.", nullable=True),
)
ERROR = (
    _field("detail", "string", "A sentence: what, why, what to do."),
    _field("code", "string", "The errno's name.", example="EBUSY"),
    _field("component", "string", "Always rbd_migration.", example="rbd_migration"),
)
