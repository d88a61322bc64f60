"""Who may act now: the limits, and the order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.control.lifecycle.schedule import (
    COMPARING_ACTS,
    COPYING_ACTS,
    Limits,
    Running,
    Waiting,
    choose,
    free_slots,
)
from rbdmigrate.model.states import ActKind

ops = st.sampled_from(ActKind)
limits = st.builds(
    Limits, copies=st.integers(0, 4), steps=st.integers(0, 4), verifies=st.integers(0, 4)
)
queues = st.lists(
    st.builds(Waiting, st.text("abcdefgh", max_size=4), ops, st.integers(-2, 2), st.integers(0, 5)),
    unique_by=lambda waiting: waiting.ident,
    max_size=20,
)
running = st.lists(ops, max_size=6)


def copies(acts) -> int:
    return sum(act in COPYING_ACTS for act in acts)


def steps(acts) -> int:
    return sum(act not in COPYING_ACTS | COMPARING_ACTS for act in acts)


def verifies(acts) -> int:
    return sum(act in COMPARING_ACTS for act in acts)


def kind(act: ActKind) -> int:
    return copies([act]) + 2 * verifies([act])


def rank(waiting: Waiting):
    return (-waiting.priority, waiting.act not in (ActKind.ABORT, ActKind.CUT_OVER), waiting.since)


ONE_EACH = Limits(copies=1, steps=1)
DECISIONS = [
    ("nobody waits", [], [], ONE_EACH, ""),
    ("the limits are apart", ["c execute 0 1", "p prepare 0 2"], [], ONE_EACH, "c p"),
    ("the oldest first", ["b execute 0 2", "a execute 0 1"], [], ONE_EACH, "a"),
    ("priority before age", ["a execute 0 1", "b execute 1 2"], [], ONE_EACH, "b"),
    ("below zero comes last", ["a execute -1 1", "b execute 0 2"], [], ONE_EACH, "b"),
    ("abort before older steps", ["p prepare 0 1", "x abort 0 2"], [], ONE_EACH, "x"),
    ("priority before abort", ["p prepare 1 2", "x abort 0 1"], [], ONE_EACH, "p"),
    ("a name decides a tie", ["b commit 0 1", "a commit 0 1"], [], ONE_EACH, "a"),
    ("a copy runs", ["c execute 9 1", "p prepare 0 2"], [ActKind.EXECUTE], ONE_EACH, "p"),
    ("a step runs", ["c execute 0 1", "x abort 9 2"], [ActKind.COMMIT], ONE_EACH, "c"),
    ("limits were lowered", ["c execute 0 1"], [ActKind.EXECUTE] * 3, Limits(2, 2), ""),
    (
        "verifications have a limit of their own",
        ["v verify 0 1", "w verify 0 2"],
        [ActKind.EXECUTE, ActKind.COMMIT],
        Limits(1, 1, verifies=1),
        "v",
    ),
    ("copies stopped by a limit of 0", ["c execute 0 1", "p prepare 0 1"], [], Limits(0, 1), "p"),
]


@pytest.mark.parametrize(
    ("waiting", "acts", "limit", "chosen"),
    [row[1:] for row in DECISIONS],
    ids=[r[0] for r in DECISIONS],
)
def test_decisions(waiting, acts, limit, chosen):
    queue = []
    for line in waiting:
        ident, act, priority, since = line.split()
        queue.append(Waiting(ident, ActKind(act), int(priority), float(since)))
    running = [Running(act) for act in acts]
    assert " ".join(w.ident for w in choose(queue, running, limit)) == chosen


@given(queues, running, limits)
def test_limits_are_never_exceeded_by_what_is_started(queue, acts, limit):
    started = [waiting.act for waiting in choose(queue, [Running(act) for act in acts], limit)]
    assert copies(started) <= max(0, limit.copies - copies(acts))
    assert steps(started) <= max(0, limit.steps - steps(acts))
    assert verifies(started) <= max(0, limit.verifies - verifies(acts))


@given(queues, running, limits)
def test_no_room_is_left_while_somebody_waits_for_it(queue, acts, limit):
    chosen = choose(queue, [Running(act) for act in acts], limit)
    asked = [waiting.act for waiting in queue]
    started = [waiting.act for waiting in chosen]
    assert copies(started) == min(copies(asked), max(0, limit.copies - copies(acts)))
    assert steps(started) == min(steps(asked), max(0, limit.steps - steps(acts)))
    assert verifies(started) == min(verifies(asked), max(0, limit.verifies - verifies(acts)))


@given(queues, running, limits)
def test_nobody_overtakes_within_a_kind(queue, acts, limit):
    chosen = choose(queue, [Running(act) for act in acts], limit)
    assert len(set(chosen)) == len(chosen)
    assert set(chosen) <= set(queue)
    assert [rank(w) for w in chosen] == sorted(rank(w) for w in chosen)
    for left in set(queue) - set(chosen):
        rivals = [w for w in chosen if kind(w.act) == kind(left.act)]
        assert all(rank(rival) <= rank(left) for rival in rivals)


@given(queues, running, limits, st.randoms(use_true_random=False))
def test_the_order_in_which_they_come_does_not_matter(queue, acts, limit, chance):
    mixed = list(queue)
    chance.shuffle(mixed)
    now = [Running(act) for act in acts]
    assert choose(mixed, now, limit) == choose(queue, now, limit)


def copy(ident: str, source: str, target: str, since: float = 0.0) -> Waiting:
    return Waiting(ident, ActKind.EXECUTE, 0, since, source, target)


def test_a_pool_at_its_limit_lets_the_others_pass():
    queue = [copy("a", "hdd", "ssd", 1), copy("b", "hdd", "ssd", 2), copy("c", "sata", "ssd", 3)]
    limit = Limits(copies=4, steps=0, per_source_pool=1)
    assert [w.ident for w in choose(queue, [], limit)] == ["a", "c"]
    running = [Running(ActKind.EXECUTE, "hdd", "ssd")]
    assert [w.ident for w in choose(queue, running, limit)] == ["c"]


def test_a_target_pool_has_its_own_limit():
    queue = [copy("a", "hdd", "ssd", 1), copy("b", "sata", "ssd", 2), copy("c", "hdd", "tape", 3)]
    limit = Limits(copies=4, steps=0, per_target_pool=1)
    assert [w.ident for w in choose(queue, [], limit)] == ["a", "c"]


def test_steps_know_no_pool_limits():
    queue = [Waiting(name, ActKind.COMMIT, 0, 0.0, "hdd", "ssd") for name in "ab"]
    assert len(choose(queue, [], Limits(0, 2, per_source_pool=1, per_target_pool=1))) == 2


pools = st.sampled_from(["a", "b", "c"])


@given(
    st.lists(st.tuples(pools, pools), max_size=20),
    st.lists(st.tuples(pools, pools), max_size=5),
    st.integers(0, 8),
    st.integers(0, 3),
    st.integers(0, 3),
)
def test_pool_limits_are_never_exceeded_by_what_is_started(asked, acts, copies, per_src, per_dst):
    queue = [copy(str(n), src, dst, float(n)) for n, (src, dst) in enumerate(asked)]
    running = [Running(ActKind.EXECUTE, src, dst) for src, dst in acts]
    started = choose(queue, running, Limits(copies, 0, per_src, per_dst))
    for name in "abc":
        for end, limit in (("source_pool", per_src), ("target_pool", per_dst)):
            before = sum(getattr(r, end) == name for r in running)
            added = sum(getattr(w, end) == name for w in started)
            assert not added or limit == 0 or before + added <= limit


def test_places_are_what_running_acts_leave():
    limits = Limits(copies=2, steps=1, verifies=0)
    free = free_slots([Running(ActKind.EXECUTE), Running(ActKind.COMMIT)], limits)
    assert (free.copies, free.steps, free.verifies) == (1, 0, 0)
    assert free.any_for(ActKind.EXECUTE)
    assert not any(free.any_for(act) for act in ActKind if act is not ActKind.EXECUTE)
    assert not free_slots([Running(ActKind.EXECUTE)] * 3, limits).any_for(ActKind.EXECUTE)


def test_a_plan_has_a_limit_of_its_own():
    queue = [Waiting(f"p{n}", ActKind.EXECUTE, 0, n, plan="move") for n in range(3)]
    queue += [
        Waiting("other", ActKind.EXECUTE, 0, 9),
        Waiting("step", ActKind.COMMIT, 0, 9, plan="move"),
    ]
    limit = Limits(4, 4, plans={"move": 2})
    assert {w.ident for w in choose(queue, [], limit)} == {"p0", "p1", "other", "step"}
    one = [Running(ActKind.EXECUTE, plan="move")]
    assert {w.ident for w in choose(queue, one, limit)} == {"p0", "other", "step"}
