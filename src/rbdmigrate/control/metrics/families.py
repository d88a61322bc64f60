"""The counters and histograms: names, texts, labels with all their values, and buckets.

Every combination of labels is there from the start, with 0: a series that appears with its first
event hides that event from ``rate()``, and an alert on a series that is not there never fires.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from ...model.cutover import CutoverMode
from ...model.states import ActKind, HoldReason, Method
from ...model.verification import Outcome, Verify

PREFIX = "rbd_migration_"
KINDS = ("image", "snapshot", "import")
ENDS = ("committed", "aborted")
RESULTS = ("done", "failed", "interrupted")
CODES = ("2xx", "3xx", "4xx", "5xx")

_METHOD = ("method", tuple(method.value for method in Method))
_KIND = ("kind", KINDS)
_ACT = ("act", tuple(act.value for act in ActKind))
_STEPS = (0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 43200.0, 259200.0)
_PAUSES = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0)
_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0)


@dataclass(frozen=True)
class Family:
    """A counter, or with ``buckets`` (upper bounds, ascending) a histogram.

    ``labels``: their names, each with all values that it can have. ``lasting``: it goes on with the
    next manager; others begin at 0 there.
    """

    name: str
    text: str
    labels: tuple[tuple[str, tuple[str, ...]], ...] = ()
    buckets: tuple[float, ...] = ()
    lasting: bool = True

    def series(self) -> list[tuple[str, ...]]:
        """Every combination of the labels' values."""
        return list(product(*(values for _, values in self.labels)))

    def knows(self, labels: tuple[str, ...]) -> bool:
        """Whether these are values of its labels."""
        return len(labels) == len(self.labels) and all(
            value in values for value, (_, values) in zip(labels, self.labels)
        )


FAMILIES = (
    Family("begun_total", "Migrations that were begun.", (_METHOD, _KIND)),
    Family(
        "ended_total",
        "Migrations that ended, by how.",
        (("outcome", ENDS), _METHOD, _KIND),
    ),
    Family("failures_total", "Failures that need the administrator, by act.", (_ACT,)),
    Family("retries_total", "Failures after which an act is tried again by itself.", (_ACT,)),
    Family("copied_bytes_total", "Bytes of data that were copied to targets.", (_METHOD,)),
    Family("copied_back_bytes_total", "Bytes that reverse rounds copied to kept sources."),
    Family("reverse_round_failures_total", "Reverse rounds that failed, and are tried again."),
    Family("verified_bytes_total", "Bytes that verifications read on each side."),
    Family(
        "verifications_total",
        "Verifications that ended, by mode and outcome.",
        (
            ("mode", (Verify.SAMPLE.value, Verify.FULL.value)),
            ("outcome", tuple(outcome.value for outcome in Outcome)),
        ),
    ),
    Family(
        "held_seconds_total",
        "Seconds that migrations waited, all together, by reason.",
        (("reason", tuple(reason.value for reason in HoldReason)),),
    ),
    Family(
        "step_duration_seconds",
        "Duration of acts on images, by act and result.",
        (_ACT, ("result", RESULTS)),
        _STEPS,
    ),
    Family(
        "cutover_pause_seconds",
        "How long a cutover took, or the guest was paused, by how clients left the source.",
        (("mode", tuple(mode.value for mode in CutoverMode)),),
        _PAUSES,
    ),
    Family("worker_starts_total", "Worker processes that were started.", lasting=False),
    Family("worker_losses_total", "Worker processes that ended by themselves.", lasting=False),
    Family(
        "store_write_duration_seconds",
        "Duration of writes of records to RADOS.",
        buckets=_QUICK,
        lasting=False,
    ),
    Family(
        "loop_duration_seconds",
        "Duration of the rounds of the loop that schedules acts.",
        buckets=_QUICK,
        lasting=False,
    ),
    Family(
        "http_requests_total",
        "Requests that the module's own server answered, by class of the status.",
        (("code", CODES),),
        lasting=False,
    ),
)
BY_NAME = {family.name: family for family in FAMILIES}
