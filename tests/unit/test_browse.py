"""A page of many migrations, and all of them in numbers."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.control.query import SORTS, Query, Row, page, totals
from rbdmigrate.model.migration import Hold, Intent, Place
from rbdmigrate.model.report import Live, report
from rbdmigrate.model.states import ActKind, Goal, HoldReason, State
from tests.unit.builders import migration


def row(m, **live):
    return Row(m, m, hold=hold_of, **live)


def render(m):
    return report(m, Live())


def hold_of(m):
    return m.hold


def many(number):
    states, goals = list(State), list(Goal)
    return [
        migration(
            id=f"{i:012x}",
            source=Place("hdd", "", f"vm{i}", 1, f"a{i}"),
            target=Place("nvme" if i % 2 else "ssd", "ns", f"vm{i}", 2, f"b{i}"),
            state=states[i % len(states)],
            goal=goals[i % len(goals)],
            priority=i % 7,
            created=float(i),
        )
        for i in range(number)
    ]


def targets(found):
    return [r["target"] for r in found[1]]


WANTED = [
    (Query(search="VM1", limit=3), 3, "nvme/ns/vm1"),
    (Query(pool="ssd"), 10, "ssd/ns/vm0"),
    (Query(pool="hdd", offset=19), 20, "ssd/ns/vm8"),
    (Query(states=frozenset({State.FAILED})), 1, "nvme/ns/vm13"),
    (Query(goals=frozenset({Goal.COMMITTED})), 3, "ssd/ns/vm10"),
    (Query(search="00000000000a"), 1, "ssd/ns/vm10"),
    (Query(sort="created", descending=True), 20, "nvme/ns/vm19"),
    (Query(sort="priority", descending=True), 20, "ssd/ns/vm6"),
    (Query(offset=99), 20, None),
]


@pytest.mark.parametrize(("query", "total", "first"), WANTED)
def test_a_page_is_what_was_asked_for(query, total, first):
    found = page(map(row, many(20)), query, render)
    if query.search == "VM1":
        total = sum("vm1" in str(m.target.spec) for m in many(20))
    assert found[0] == total
    assert (targets(found) or [None])[0] == first
    assert len(found[1]) <= query.limit


def test_ended_ones_are_chosen_by_target_and_by_when_they_ended():
    found = [replace(m, ended_at=m.created * 10) for m in many(20)]
    query = Query(since=150.0, sort="seconds", descending=True)
    assert targets(page(map(row, found), query, render))[:2] == ["nvme/ns/vm19", "ssd/ns/vm18"]
    assert page(map(row, found), query, render)[0] == 5
    assert targets(page(map(row, found), Query(target="ssd/ns/vm2"), render)) == ["ssd/ns/vm2"]
    assert page(map(row, many(20)), query, render)[0] == 0  # none has ended


# What is sorted by, with few values each, so that many are equal.
sortable = st.builds(
    migration,
    target=st.builds(Place, st.just("nvme"), st.just(""), st.sampled_from("abc")),
    source=st.builds(Place, st.just("hdd"), st.just(""), st.sampled_from("abc")),
    state=st.sampled_from(State),
    goal=st.sampled_from(Goal),
    priority=st.integers(-1, 1),
    plan=st.sampled_from(["", "move"]),
    by=st.sampled_from(["", "ann"]),
    created=st.sampled_from([1.0, 2.0]),
    ended_at=st.sampled_from([None, 1.0, 2.0]),
    bytes_total=st.sampled_from([None, 0, 7]),
)


@given(st.lists(sortable, max_size=8), st.sampled_from(sorted(SORTS)), st.booleans())
def test_pages_together_are_all_of_them_once(found, sort, descending):
    rows = [row(replace(m, id=str(number))) for number, m in enumerate(found)]
    query = Query(sort=sort, descending=descending, limit=3)
    pages = [page(rows, replace(query, offset=offset), render)[1] for offset in range(0, 9, 3)]
    shown = [r["id"] for one in pages for r in one]
    assert sorted(shown) == [str(number) for number in range(len(found))]


def test_of_five_thousand_only_the_page_is_rendered():
    rendered = []

    def counted(m):
        rendered.append(m)
        return render(m)

    total, shown = page(map(row, many(5_000)), Query(offset=2_500, limit=50), counted)
    assert (total, len(shown), len(rendered)) == (5_000, 50, 50)
    found = totals(map(row, many(5_000)), counted)
    assert (found["total"], len(found["attention"])) == (5_000, 20)
    assert len(rendered) == 70


def test_numbers():
    intent = Intent(ActKind.EXECUTE, 0.0, actor=None)
    copying = migration(id="1", state=State.EXECUTING, intent=intent)
    rows = [
        row(copying, copied=25, size=100, rate=5.0),
        row(migration(id="2", bytes_total=50, bytes_copied=10, hold=Hold(HoldReason.LIMIT, "x"))),
        row(migration(id="3", state=State.EXECUTED, goal=Goal.EXECUTED)),
        row(migration(id="4", state=State.EXECUTED, goal=Goal.COMMITTED)),
        row(migration(id="5", state=State.FAILED)),
        row(migration(id="6", state=State.VERIFIED, hold=Hold(HoldReason.OPERATOR, "x"))),
    ]
    found = totals(rows, render)
    assert {k: v for k, v in found["counts"].items() if v} == {
        "executing": 1, "queued": 1, "executed": 2, "failed": 1, "verified": 1
    }  # fmt: skip
    assert found["holds"] == {"limit": 1, "operator": 1}
    assert (found["total"], found["copying"]) == (6, 1)
    assert (found["bytes_total"], found["bytes_copied"]) == (150, 35)
    assert (found["rate"], found["eta_seconds"]) == (5, 15)
    assert [r["id"] for r in found["attention"]] == ["5", "3", "6"]
    assert (found["attention_total"], found["awaiting_commit"]) == (3, 1)
    awaiting = Query(awaiting_commit=True)
    assert [r["id"] for r in page(rows, awaiting, render)[1]] == ["3"]
    held = Query(holds=frozenset({HoldReason.OPERATOR, HoldReason.PAUSED}))
    assert [r["id"] for r in page(rows, held, render)[1]] == ["6"]


def test_numbers_of_nothing():
    found = totals([], render)
    assert (found["total"], found["eta_seconds"], found["attention"]) == (0, None, [])
