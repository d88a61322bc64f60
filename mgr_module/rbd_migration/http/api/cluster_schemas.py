"""The fields of answers about all of the cluster: its pace, its limits, and the summary."""

from .fields import Field, field
from .schemas import HOLDS, REPORT, STATES, time_field

GATE = (
    field("gate", "string", "Which health gate.", example="nearfull-osds"),
    field("level", "string", "What it does.", choices=("slow", "wait")),
    field("pool", "string", "The pool that it concerns, if it concerns one.", nullable=True),
    field("message", "string", "A sentence for people."),
)
_GATES = field("gates", "array", "Health gates that are not open.", fields=GATE)
GUARD = (
    field(
        "factor",
        "number",
        "Maximum latency of clients, as a multiple of the latency without copies.",
    ),
    field(
        "rate",
        "integer",
        "Bytes per second that the guard allows all copies together.",
        nullable=True,
    ),
    field("latency_ms", "number", "Latency of clients' operations now.", nullable=True),
    field("baseline_ms", "number", "Latency of clients' operations without copies.", nullable=True),
    field("message", "string", "A sentence for people."),
)
_GUARD = field("guard", "object", "The latency guard; null is off.", fields=GUARD, nullable=True)
THROTTLE = (
    field("timetable", "string", "The rate or timetable that was set.", example="50M"),
    field("timezone", "string", "The time zone of timetable and windows."),
    field("rate_now", "integer", "Bytes per second now; null is no limit.", nullable=True),
    field("pools", "object", "Bytes per second by pool."),
    _GATES,
    _GUARD,
)
WINDOW = (
    field("window", "string", "When copies may run; empty is always."),
    field("timezone", "string", "The time zone."),
)
LIMITS = tuple(
    field(name, "integer", text)
    for name, text in (
        ("max_copies", "Copies at once."),
        ("per_source_pool", "Copies at once that read from one pool; 0 is no limit."),
        ("per_target_pool", "Copies at once that write to one pool; 0 is no limit."),
        ("per_source_host", "Imports at once that read from one host; 0 is no limit."),
        ("max_steps", "Prepares, commits and aborts at once."),
        ("max_verifies", "Verifications at once."),
        ("max_cutovers", "Cutovers at once; 0 is no limit."),
    )
)
SUMMARY = (
    field("version", "string", "The module's version."),
    field("ceph_release", "string", "The manager's release.", example="16.2.15"),
    field(
        "permissions",
        "object",
        "The permissions of the caller.",
        fields=tuple(
            field(name, "boolean", "Whether they may.")
            for name in ("read", "create", "update", "delete")
        ),
    ),
    field(
        "counts",
        "object",
        "Migrations under way by state.",
        fields=tuple(field(state, "integer", "How many.") for state in STATES),
    ),
    field(
        "holds",
        "object",
        "Migrations that wait, by reason.",
        fields=tuple(Field(reason, "integer", "How many.") for reason in HOLDS),
    ),
    field("total", "integer", "Migrations under way."),
    field("copying", "integer", "Number of migrations that are copied now."),
    field(
        "awaiting_commit",
        "integer",
        "Number of migrations with all data copied that wait for a request to commit or cut over.",
    ),
    field("bytes_total", "integer", "Bytes to copy of all migrations under way, where known."),
    field("bytes_copied", "integer", "Bytes of them that are on the targets."),
    field("rate", "integer", "Bytes per second of all copies together."),
    field("eta_seconds", "integer", "Seconds until the running copies end.", nullable=True),
    field(
        "attention", "array", "At most 20 migrations that need the administrator.", fields=REPORT
    ),
    field("attention_total", "integer", "Number of migrations that need the administrator."),
    field("cluster_rate", "integer", "The throttle now; null is no limit.", nullable=True),
    _GATES,
    _GUARD,
    field("limits", "object", "The limits.", fields=LIMITS),
)
THROUGHPUT = (
    time_field("at", "When these ten seconds began.", nullable=False),
    field("rate", "integer", "Bytes per second, on average."),
    field("limit", "integer", "The throttle; null is no limit.", nullable=True),
    field(
        "latency_ms",
        "number",
        "Latency of clients' operations; null while the latency guard is off.",
        nullable=True,
    ),
)
