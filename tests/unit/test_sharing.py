"""Dividing the throttle: tables, and the properties that make a division fair."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.control.pace.fair_share import (
    MAX_PRIORITY,
    MAX_STARVED_FACTOR,
    Caps,
    CopyShare,
    divide,
    estimate_demand,
    remaining_caps,
    weight,
)

HDD, SSD, NVME = 1, 2, 3


def copy(ident: str, source=HDD, target=NVME, **more) -> CopyShare:
    return CopyShare(ident, source, target, **more)


A, B, C = copy("a"), copy("b"), copy("c")
TABLE = [
    ("no cap, no limit", [A, B], Caps(), {"a": None, "b": None}),
    ("equal shares", [A, B, C], Caps(cluster=90), {"a": 30, "b": 30, "c": 30}),
    ("by weight", [A, copy("b", weight=2.0)], Caps(cluster=90), {"a": 30, "b": 60}),
    ("0 is no copies", [A, B], Caps(cluster=0), {"a": 0, "b": 0}),
    (
        "an image whose copy does not run leaves its share",
        [A, B],
        Caps(cluster=90, images={"a": 0}),
        {"a": 0, "b": 90},
    ),
    (
        "an image's own cap leaves the rest to the others",
        [A, B, C],
        Caps(cluster=100, images={"a": 10}),
        {"a": 10, "b": 45, "c": 45},
    ),
    (
        "only those in the pool are limited by it",
        [A, copy("b", SSD, SSD)],
        Caps(pools={HDD: 20}),
        {"a": 20, "b": None},
    ),
    (
        "under the source's and the target's cap",
        [copy("a", HDD, NVME), copy("b", HDD, SSD), copy("c", SSD, NVME)],
        Caps(pools={HDD: 60, NVME: 40}),
        {"a": 20, "b": 40, "c": 20},
    ),
    ("within a pool it counts once", [copy("a", HDD, HDD)], Caps(pools={HDD: 60}), {"a": 60}),
    ("from outside", [copy("a", None, HDD)], Caps(pools={HDD: 60}), {"a": 60}),
    (
        "a plan",
        [copy("a", plan="p"), copy("b", plan="p"), C],
        Caps(cluster=90, plans={"p": 20, "q": 1}),
        {"a": 10, "b": 10, "c": 70},
    ),
    ("a level without a limit", [A], Caps(cluster=None, pools={HDD: None}), {"a": None}),
    (
        "who needs less leaves it to the others",
        [copy("a", demand=10.0), B, C],
        Caps(cluster=90),
        {"a": 10, "b": 40, "c": 40},
    ),
    (
        "what nobody needs is still given",
        [copy("a", demand=10.0), copy("b", demand=20.0)],
        Caps(cluster=90),
        {"a": 40, "b": 50},
    ),
    ("an image alone", [A], Caps(cluster=90, images={"a": 200}), {"a": 90}),
    ("nobody", [], Caps(cluster=90), {}),
]


@pytest.mark.parametrize(
    ("copies", "caps", "rates"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_divisions(copies, caps, rates):
    assert divide(copies, caps) == rates


limits = st.one_of(st.none(), st.integers(0, 5), st.integers(0, 1 << 33), st.just(1 << 62))
pools = st.integers(0, 4)
weights = st.integers(-8, 8).map(weight)
sharers = st.builds(
    CopyShare,
    st.text("abcdef", min_size=1, max_size=3),
    st.one_of(st.none(), pools),
    pools,
    st.sampled_from(["", "p", "q"]),
    weights,
    st.one_of(st.none(), st.none(), st.floats(0, 1 << 33)),
)
copies_ = st.lists(sharers, max_size=12, unique_by=lambda s: s.ident)
caps_ = st.builds(
    Caps,
    limits,
    st.dictionaries(pools, limits, max_size=4),
    st.dictionaries(st.sampled_from(["p", "q"]), limits),
    st.dictionaries(st.text("abcdef", min_size=1, max_size=3), limits, max_size=4),
)


def groups(copies, caps):
    """Each cap that is one, with the copies under it; told apart from the code under test."""
    yield caps.cluster, list(copies)
    for pool, cap in caps.pools.items():
        yield cap, [c for c in copies if pool in (c.source_pool, c.target_pool)]
    for plan, cap in caps.plans.items():
        yield cap, [c for c in copies if c.plan == plan]
    for ident, cap in caps.images.items():
        yield cap, [c for c in copies if c.ident == ident]


def full(cap, members, rates) -> bool:
    """Used up, but for what whole bytes and floating point numbers lose."""
    return cap - sum(rates[m.ident] for m in members) <= len(members) + 1 + cap * 1e-9


@given(copies_, caps_)
def test_no_cap_is_exceeded_and_everyone_without_a_limit_has_no_cap(copies, caps):
    rates = divide(copies, caps)
    assert set(rates) == {c.ident for c in copies}
    for cap, members in groups(copies, caps):
        if cap is not None:
            assert all(rates[m.ident] is not None for m in members)
            assert sum(rates[m.ident] for m in members) <= cap
            assert all(rates[m.ident] >= 0 for m in members)
    for c in copies:
        capped = any(cap is not None and c in members for cap, members in groups(copies, caps))
        assert (rates[c.ident] is None) is not capped


@given(copies_, caps_)
def test_nothing_is_left_over(copies, caps):
    rates = divide(copies, caps)
    for c in copies:
        if rates[c.ident] is not None:
            assert any(
                cap is not None and c in members and full(cap, members, rates)
                for cap, members in groups(copies, caps)
            )


@given(copies_, caps_)
def test_nobody_could_have_more_but_from_one_who_has_no_more(copies, caps):
    """Max-min fairness: who wants more has a full cap under which nobody has more per weight."""
    rates = divide(copies, caps)

    def level(c):
        return rates[c.ident] / c.weight

    for c in copies:
        rate = rates[c.ident]
        if rate is None or (c.demand is not None and rate >= c.demand - 1):
            continue
        slack = 1e-6 * level(c) + 2 * len(copies) / min(s.weight for s in copies)
        assert any(
            cap is not None
            and c in members
            and full(cap, members, rates)
            and all(level(m) <= level(c) + slack for m in members)
            for cap, members in groups(copies, caps)
        )


@given(st.integers(1, 64), st.integers(0, 1 << 40))
def test_equal_weights_have_equal_shares(count, cap):
    rates = divide([copy(f"c{n}") for n in range(count)], Caps(cluster=cap))
    assert all(abs(rate - cap // count) <= 1 for rate in rates.values())


def test_many_copies_under_many_caps_are_divided_quickly():
    copies = [
        CopyShare(
            f"c{n}", n % 7, 7 + n % 5, f"p{n % 9}", weight(n % 11), n * 1e6 if n % 3 else None
        )
        for n in range(64)
    ]
    caps = Caps(
        cluster=10**9,
        pools={pool: 10**8 + pool * 10**6 for pool in range(12)},
        plans={f"p{n}": 2 * 10**8 + n for n in range(9)},
        images={f"c{n}": n * 10**6 for n in range(0, 64, 2)},
    )
    fastest = 1.0
    for _ in range(5):
        begin = time.process_time()
        divide(copies, caps)
        fastest = min(fastest, time.process_time() - begin)
    assert fastest < 0.1


def test_a_weight_is_above_zero():
    with pytest.raises(ValueError, match="weight"):
        divide([copy("a", weight=0.0)], Caps(cluster=1))


def test_weights():
    assert weight(0) == 1
    assert weight(3) == pytest.approx(1.953125)
    assert weight(-1) == pytest.approx(0.8)
    assert weight(1000) == weight(MAX_PRIORITY)
    assert weight(0, starved=600) == 2
    assert weight(0, starved=1e9) == MAX_STARVED_FACTOR
    assert weight(-5, starved=2 * 3600) > weight(2), "who waits long enough comes first"


def test_what_a_copy_can_use():
    assert estimate_demand(None, 5.0) is None, "not held back, nothing to lend"
    assert estimate_demand(100, None) is None
    assert estimate_demand(100, 90.0) is None, "it uses what it has and may want more"
    assert estimate_demand(100, 40.0) == 50
    assert estimate_demand(100, 0.0) == pytest.approx(10), "enough to show that it goes on"


def test_a_copy_that_speeds_up_gets_its_share_back():
    rates = {"a": 45, "b": 45}
    can = {"a": 5.0, "b": 1000.0}
    for turn in range(20):
        if turn == 10:
            can["a"] = 1000.0
            assert rates["b"] >= 80
        rates = divide(
            [copy(i, demand=estimate_demand(rates[i], min(can[i], rates[i]))) for i in ("a", "b")],
            Caps(cluster=90),
        )
    assert rates == {"a": 45, "b": 45}


class TestLess:
    """What a copy that cannot be held to a rate leaves to the others."""

    CAPS = Caps(cluster=100, pools={1: 80, 2: 60, 3: 0, 4: None}, plans={"p": 50, "q": 50})
    COPY = CopyShare("m", source_pool=1, target_pool=2, plan="p")

    def test_it_is_taken_from_every_cap_that_it_is_under(self):
        left = remaining_caps(self.CAPS, self.COPY, 30.0)
        assert left.cluster == 70
        assert left.pools == {1: 50, 2: 30, 3: 0, 4: None}
        assert left.plans == {"p": 20, "q": 50}

    def test_the_others_never_stand_still_for_it(self):
        left = remaining_caps(self.CAPS, self.COPY, 1000.0)
        assert (left.cluster, left.pools[1], left.plans["p"]) == (1, 1, 1)

    def test_a_cap_of_0_stays_and_no_cap_stays_none(self):
        assert remaining_caps(Caps(cluster=0), self.COPY, 5.0).cluster == 0
        assert remaining_caps(Caps(), self.COPY, 5.0) == Caps()
