"""Health gates: when they close, what they say, and that they do not flap."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.control.pace.gate_metrics import Threshold, Thresholds
from rbdmigrate.control.pace.health_gates import RELEASE, Gates, Level, evaluate, verdict
from rbdmigrate.model.health import ClusterHealth, HealthError

HDD, NVME, DATA = 1, 2, 3
T = Thresholds()
OPEN, SLOW, WAIT = Level.OPEN, Level.SLOW, Level.WAIT
GiB = 1 << 30
GOOD = ClusterHealth(
    free={HDD: 0, NVME: 100 * GiB, DATA: 100 * GiB},
    pool_names={HDD: "hdd", NVME: "nvme", DATA: "data"},
    mons=5,
    mons_in_quorum=5,
)


def decide(health, to_come=None, thresholds=T, former=Gates(), now=0.0):  # noqa: B008
    gates = evaluate(health, thresholds, to_come or {}, former, now)
    return verdict(gates, HDD, [NVME, DATA])


TABLE = [
    ("well", {}, {}, OPEN, "", ""),
    ("some recovery", {"misplaced": 0.019}, {}, OPEN, "", ""),
    (
        "more recovery",
        {"misplaced": 0.05},
        {},
        SLOW,
        "recovery",
        (
            "The cluster is recovering: 5 % of the objects are misplaced; copies run at 50 % "
            "of their rate until it is below 1.6 %."
        ),
    ),
    (
        "much recovery",
        {"misplaced": 0.12},
        {},
        WAIT,
        "recovery",
        (
            "The cluster is recovering: 12 % of the objects are misplaced; copies wait until "
            "it is below 8 %."
        ),
    ),
    (
        "both kinds",
        {"misplaced": 0.06, "degraded": 0.0525},
        {},
        WAIT,
        "recovery",
        (
            "The cluster is recovering: 11.25 % of the objects are misplaced or degraded; "
            "copies wait until it is below 8 %."
        ),
    ),
    (
        "backfill",
        {"recovering_pgs": 0.6},
        {},
        WAIT,
        "backfill",
        (
            "The cluster is recovering: 60 % of the placement groups recover or are "
            "backfilled; copies wait until it is below 40 %."
        ),
    ),
    (
        "an error of the storage",
        {"errors": (HealthError("OSD_FULL"), HealthError("MGR_MODULE_ERROR"))},
        {},
        WAIT,
        "health-error",
        (
            "The cluster has a health error that concerns storage, OSD_FULL (the option "
            "gate_health_errors says which do); copies wait until that is over for 30 s."
        ),
    ),
    (
        "errors of other things",
        {"errors": tuple(map(HealthError, ("MGR_MODULE_ERROR", "CEPHADM_X", "RBD_MIGRATION_X")))},
        {},
        OPEN,
        "",
        "",
    ),
    (
        "damage in the target pool",
        {"errors": (HealthError("OSD_SCRUB_ERRORS"), HealthError("PG_DAMAGED", frozenset({NVME})))},
        {},
        WAIT,
        "health-error",
        (
            "The pool nvme has a health error that concerns storage, PG_DAMAGED (the option "
            "gate_health_errors says which do); its copies wait until that is over for 30 s."
        ),
    ),
    (
        "damage in the source pool",
        {"errors": (HealthError("PG_DAMAGED", frozenset({HDD})),)},
        {},
        WAIT,
        "health-error",
        "The pool hdd has",
    ),
    (
        "damage elsewhere",
        {"errors": (HealthError("PG_DAMAGED", frozenset({99})),)},
        {},
        OPEN,
        "",
        "",
    ),
    (
        "slow ops",
        {"slow_ops": 3},
        {},
        SLOW,
        "slow-ops",
        (
            "3 operations of the cluster are slow; copies run at 50 % of their rate until "
            "none is slow for 30 s."
        ),
    ),
    ("many slow ops", {"slow_ops": 50}, {}, WAIT, "slow-ops", "50 operations"),
    ("a monitor is out", {"mons_in_quorum": 4}, {}, SLOW, "mons", "1 of 5 monitors is out"),
    ("two are out", {"mons_in_quorum": 3}, {}, WAIT, "mons", "2 of 5 monitors are out of quorum"),
    (
        "an OSD is near full",
        {"nearfull_osds": (7,)},
        {},
        SLOW,
        "nearfull-osds",
        ("osd.7 is near full; copies run at 50 % of their rate until none is near full for 30 s."),
    ),
    (
        "OSDs are full",
        {"full_osds": tuple(range(8))},
        {},
        WAIT,
        "full-osds",
        "osd.0, osd.1, osd.2, osd.3, osd.4 and 3 more are full; copies wait",
    ),
    (
        "the target pool is near full",
        {"nearfull_pools": frozenset({NVME})},
        {},
        WAIT,
        "pool-nearfull",
        "The pool nvme is near full; its copies wait until that is over for 30 s.",
    ),
    ("the data pool is", {"nearfull_pools": frozenset({DATA})}, {}, WAIT, "pool-nearfull", "data"),
    ("the source pool is", {"nearfull_pools": frozenset({HDD})}, {}, OPEN, "", ""),
    ("the source pool is full", {"full_pools": frozenset({HDD})}, {}, WAIT, "pool-full", "hdd"),
    ("another pool is full", {"full_pools": frozenset({99})}, {}, OPEN, "", ""),
    ("it fits", {}, {NVME: 94 * GiB}, OPEN, "", ""),
    (
        "it does not fit",
        {},
        {NVME: 96 * GiB},
        WAIT,
        "space",
        (
            "The pool nvme has 100 GiB free and 96 GiB to be written; its copies wait "
            "until the data to be written is below 76 % of the free space."
        ),
    ),
    ("nothing is free", {"free": {NVME: 0}}, {NVME: 1}, WAIT, "space", "0 B free"),
    ("nothing is free, nothing comes", {"free": {NVME: 0}}, {NVME: 0}, OPEN, "", ""),
    ("what is free is not known", {"free": {}}, {NVME: GiB}, OPEN, "", ""),
]


@pytest.mark.parametrize(
    ("health", "to_come", "level", "name", "says"),
    [row[1:] for row in TABLE],
    ids=[row[0] for row in TABLE],
)
def test_what_closes_which_gate(health, to_come, level, name, says):
    found = decide(replace(GOOD, **health), to_come)
    assert (found.level, found.name) == (level, name)
    assert found.factor == {OPEN: 1.0, SLOW: 0.5, WAIT: 0.0}[level]
    assert says in found.message
    if says.endswith("."):
        assert found.message == says


def test_the_worst_gate_speaks_and_all_are_told():
    found = decide(replace(GOOD, slow_ops=2, misplaced=0.2, nearfull_osds=(1, 2)))
    assert (found.level, found.name) == (WAIT, "recovery")
    assert [text.split(";")[0] for text in found.messages] == [
        "The cluster is recovering: 20 % of the objects are misplaced",
        "2 operations of the cluster are slow",
        "osd.1, osd.2 are near full",
    ]


def test_a_gate_can_be_switched_off_or_moved():
    bad = replace(GOOD, errors=(HealthError("OSD_FULL"),), misplaced=0.5)
    off = replace(T, health_error=Threshold(), recovery=Threshold(slow=0.3), slow_factor=0.25)
    found = decide(bad, thresholds=off)
    assert (found.level, found.name, found.factor) == (SLOW, "recovery", 0.25)
    assert "run at 25 %" in found.message
    assert "below 24 %" in found.message


class Cluster:
    """The gates over time."""

    def __init__(self, thresholds=T) -> None:
        self.gates, self.now, self.thresholds = Gates(), 0.0, thresholds

    def pass_by(self, seconds: float, **health):
        """The level after ``seconds``, at the end of which the health is this."""
        self.now += seconds
        self.gates = evaluate(replace(GOOD, **health), self.thresholds, {}, self.gates, self.now)
        return verdict(self.gates, HDD, [NVME]).level


def test_a_fraction_opens_at_once_when_it_is_well_below():
    cluster = Cluster()
    assert cluster.pass_by(1, misplaced=0.10) is WAIT
    assert cluster.pass_by(1, misplaced=0.085) is WAIT
    assert cluster.pass_by(1, misplaced=0.079) is SLOW
    assert cluster.pass_by(1, misplaced=0.017) is SLOW
    assert cluster.pass_by(1, misplaced=0.015) is OPEN


def test_a_fraction_that_falls_from_wait_to_nearly_nothing_passes_slow():
    cluster = Cluster()
    assert cluster.pass_by(1, misplaced=0.2) is WAIT
    assert cluster.pass_by(1, misplaced=0.018) is SLOW
    assert cluster.pass_by(29, misplaced=0.018) is SLOW
    assert cluster.pass_by(1, misplaced=0.018) is OPEN


def test_a_fraction_just_below_opens_when_it_stays_there():
    cluster = Cluster()
    assert cluster.pass_by(1, misplaced=0.11) is WAIT
    assert cluster.pass_by(1, misplaced=0.09) is WAIT
    assert cluster.pass_by(29, misplaced=0.09) is WAIT
    assert cluster.pass_by(0.5, misplaced=0.11) is WAIT, "the time starts again"
    assert cluster.pass_by(1, misplaced=0.09) is WAIT
    assert cluster.pass_by(29, misplaced=0.09) is WAIT
    assert cluster.pass_by(1, misplaced=0.09) is SLOW


def test_a_count_opens_when_it_has_stayed_better():
    cluster = Cluster()
    assert cluster.pass_by(1, slow_ops=1) is SLOW
    for _ in range(20):
        assert cluster.pass_by(10, slow_ops=0) is SLOW
        assert cluster.pass_by(10, slow_ops=1) is SLOW, "no flapping"
    assert cluster.pass_by(1) is SLOW
    assert cluster.gates.closed[0].message.startswith("No operations of the cluster are slow;")
    assert cluster.pass_by(30) is OPEN


def test_a_pool_is_remembered_when_its_flag_goes():
    cluster = Cluster()
    assert cluster.pass_by(1, nearfull_pools=frozenset({NVME})) is WAIT
    assert cluster.pass_by(1) is WAIT
    assert "The pool nvme was near full" in cluster.gates.closed[0].message
    assert cluster.pass_by(30) is OPEN


def test_thresholds_that_change_count_at_once():
    cluster = Cluster()
    assert cluster.pass_by(1, misplaced=0.11) is WAIT
    cluster.thresholds = replace(T, recovery=Threshold(slow=0.02))
    assert cluster.pass_by(1, misplaced=0.11) is SLOW
    cluster.thresholds = replace(T, recovery=Threshold())
    assert cluster.pass_by(1, misplaced=0.11) is OPEN


fractions = st.floats(0, 0.3)
histories = st.lists(st.tuples(fractions, st.floats(0.1, 40)), min_size=1, max_size=30)


@given(histories)
def test_closing_is_never_late_and_opening_never_early(history):
    cluster, former, since = Cluster(), OPEN, 0.0
    for value, seconds in history:
        level = cluster.pass_by(seconds, misplaced=value)
        plain = WAIT if value >= 0.10 else SLOW if value >= 0.02 else OPEN
        assert level >= plain
        bound = {WAIT: 0.10, SLOW: 0.02, OPEN: 0.0}[former]
        if value >= bound:
            since = cluster.now
        if level < former:
            assert value < bound
            assert value < bound * RELEASE or cluster.now - since >= T.settle
        if level is not former:
            since = cluster.now
        former = level
    cluster.pass_by(0.1)
    cluster.pass_by(T.settle)
    assert cluster.gates.closed == ()
