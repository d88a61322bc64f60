"""Reports as text: what stands in a row, and what is not said twice."""

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.control.lifecycle.verification import conclude, with_differences
from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.migration import Failure, Hold, Place, TimelineEntry
from rbdmigrate.model.report import Live, report
from rbdmigrate.model.rounds import WayBack
from rbdmigrate.model.states import Goal, HoldReason, State
from rbdmigrate.model.verification import Compared, Extent, Verification, Verify
from tests.unit.builders import NOON, few, migration, migrations

BUSY = Failure(16, "The target is open.", NOON)
LATER = Hold(HoldReason.RETRY, "It is tried again.", NOON)


@pytest.fixture(scope="module")
def tables(front_end):
    pytest.importorskip("prettytable")
    return front_end("cli.tables")


def shown(live: Live = Live(), **changes):  # noqa: B008 - it is frozen
    return report(migration(**changes), live)


class TestBar:
    @pytest.mark.parametrize(
        ("percent", "text"),
        [(0, "[....]"), (24, "[....]"), (25, "[#...]"), (99, "[###.]"), (100, "[####]")],
    )
    def test_a_mark_stands_for_what_is_done(self, tables, percent, text):
        assert tables.bar(percent, 4) == text

    @given(st.integers(0, 100), st.integers(1, 80))
    def test_is_as_wide_as_asked_and_full_only_at_100(self, tables, percent, width):
        text = tables.bar(percent, width)
        assert len(text) == width + 2
        assert ("." not in text) == (percent == 100)


FAILED = {"state": State.FAILED, "failure": BUSY}
NOTES = [
    ("what stopped it", FAILED, Live(), "The target is open."),
    ("what stopped it, before a hold", {**FAILED, "hold": LATER}, Live(), "The target is open."),
    ("why it waits", {"failure": BUSY, "hold": LATER}, Live(), "retry: It is tried again."),
    ("who copies", {"state": State.EXECUTING}, Live(copied_by="client.7"), "client.7"),
    ("why it waits, before who copies", {"hold": LATER}, Live(copied_by="x"), "tried again."),
    ("no failure that is over", {"state": State.PREPARED, "failure": BUSY}, Live(), "0%"),
]


class TestListing:
    def test_an_empty_one_says_so(self, tables):
        assert tables.listing([]) == "There are no migrations."

    def test_has_a_line_for_each_migration_in_the_given_order(self, tables):
        reports = [shown(id=str(n), source=Place("rbd", "", f"i{n}")) for n in (3, 1, 2)]
        head, *rows = tables.listing(reports).splitlines()
        assert head.split() == ["SOURCE", "TARGET", "STATE", "GOAL", "PROGRESS", "NOTE"]
        assert [row.split()[0] for row in rows] == ["rbd/i3", "rbd/i1", "rbd/i2"]

    def test_a_row_says_where_it_is_and_how_far(self, tables):
        row = tables.listing([shown(Live(copied=1, size=2), state=State.EXECUTING)]).splitlines()[1]
        assert row.split() == ["rbd/a", "ssd/b", "executing", "committed", "50%"]

    @pytest.mark.parametrize(
        ("changes", "live", "end"), [row[1:] for row in NOTES], ids=[row[0] for row in NOTES]
    )
    def test_the_note_is(self, tables, changes, live, end):
        assert tables.listing([shown(live, **changes)]).rstrip().endswith(f" {end}")


class TestOutcome:
    def test_is_the_state_and_what_comes_next(self, tables):
        lines = tables.outcome(shown(state=State.EXECUTED, goal=Goal.EXECUTED)).splitlines()
        assert lines[0] == "rbd/a -> ssd/b: executed"
        assert lines[1].startswith("All data is on the target")
        assert len(lines) == 2

    def test_of_a_failure_says_what_failed_and_what_to_do(self, tables):
        lines = tables.outcome(shown(state=State.FAILED, failure=BUSY)).splitlines()
        assert lines[:2] == ["rbd/a -> ssd/b: failed", "The target is open."]
        assert "retry" in lines[2]

    def test_of_a_wait_that_repeats_the_failure_says_it_once(self, tables):
        hold = dataclasses.replace(LATER, message=BUSY.message)
        assert tables.outcome(shown(failure=BUSY, hold=hold)).count(BUSY.message) == 1

    def test_of_an_ended_migration_is_one_line(self, tables):
        assert tables.outcome(shown(state=State.COMMITTED)) == "rbd/a -> ssd/b: committed"


class TestDetail:
    @staticmethod
    def rows(text: str):
        head = re.split(r"\n(?:warnings|timeline)\n?", text, maxsplit=1)[0]
        return {name.strip(): value for name, value in (x.split("  ", 1) for x in head.split("\n"))}

    def test_has_a_row_for_what_is_known_only(self, tables):
        names = {*self.rows(tables.detail(shown()))}
        assert names == {"source", "target", "state", "goal", "next", "id"}

    def test_warnings_have_a_line_each(self, tables):
        made = shown(state=State.PREPARED, prepared_at=NOON)
        text = tables.detail(made).split("\nwarnings\n")[1]
        assert text.split("\ntimeline")[0].split("\n") == [
            f"  {warning['message']}" for warning in made["warnings"]
        ]

    def test_has_all_that_is_known(self, tables):
        layout = LayoutOptions(object_size=4096, features=("layering", "exclusive-lock"))
        text = tables.detail(
            shown(
                Live(copied=1 << 20, size=4 << 20, rate=1 << 20, rate_limit=2 << 20, eta=3),
                state=State.EXECUTING,
                hold=LATER,
                failure=BUSY,
                layout=layout,
            )
        )
        rows = {name: value.strip() for name, value in self.rows(text).items()}
        assert rows["source"] == "rbd/a (a1)"
        assert rows["state"] == "executing [#####...............] 25%"
        assert rows["copied"] == "1 MiB of 4 MiB, 1 MiB/s of at most 2 MiB/s, 3s left"
        assert rows["hold (retry)"] == "It is tried again."
        assert rows["failure"] == "The target is open. [2023-11-14T22:13:20Z]"
        assert rows["layout"] == "object_size=4096, features=layering,exclusive-lock"

    def test_says_what_an_abort_would_copy_back(self, tables):
        known = tables.detail(shown(Live(way_back=WayBack(24 << 20, 0.52, 1.0))))
        assert "would copy back about 24 MiB of what clients wrote, in about 0.5s" in known
        assert "how much is not known" in tables.detail(
            shown(Live(way_back=WayBack(None, None, 1.0)))
        )
        assert "copy back" not in tables.detail(shown())

    def test_does_not_say_what_it_waits_for_twice(self, tables):
        assert tables.detail(shown(hold=LATER)).count(LATER.message) == 1

    def test_an_id_is_shown_in_brackets_once_it_is_known(self, tables):
        assert "(b2)" in tables.detail(shown(target=Place("ssd", "", "b", 2, "b2")))
        assert "()" not in tables.detail(shown(target=Place("ssd", "", "b", 2, "")))

    def test_ends_with_the_timeline_in_order(self, tables):
        timeline = (
            TimelineEntry(NOON, State.PREPARED),
            TimelineEntry(NOON + 1, State.FAILED, "The target is open."),
        )
        assert tables.detail(shown(timeline=timeline)).split("timeline\n")[1].splitlines() == [
            "  2023-11-14T22:13:20Z  prepared",
            "  2023-11-14T22:13:21Z  failed  The target is open.",
        ]


@pytest.mark.parametrize(
    ("message", "note"),
    [
        ("It was paused; `ceph rbd migration resume ssd/b` continues it.", "paused"),
        ("Client 1 copies it.", "paused: Client 1 copies it."),
    ],
)
def test_the_note_of_a_pause_says_more_only_where_it_does_not_hold(tables, message, note):
    paused = shown(Live(hold=Hold(HoldReason.PAUSED, message)))
    assert tables.listing([paused]).splitlines()[1].rstrip().endswith(f"0%  {note}")


@few
@given(st.lists(migrations, max_size=2))
def test_any_migration_can_be_shown(tables, records):
    reports = [report(record, Live()) for record in records]
    assert tables.listing(reports)
    for each in reports:
        assert each["source"] in tables.outcome(each)
        assert each["id"] in tables.detail(each)


class TestVerification:
    def test_says_what_was_compared_and_where_it_differs(self, tables):
        odd = with_differences(Compared("", done=True), [Extent(4096, 4096), Extent(0, 1)])
        views = (Compared("one", done=True, skipped="it was removed"), odd)
        v = Verification(Verify.SAMPLE, 1, 0.05, NOON, views=views)
        text = tables.detail(shown(verification=conclude(v, NOON, "r")))
        assert "sample, failed: 0 B compared" in text
        assert "snapshot one: it was removed" in text
        assert "head at 4096+4096, 0+1" in text

    def test_says_what_is_to_be_compared(self, tables):
        assert "verify  full" in tables.detail(shown(verify=Verify.FULL))
        assert "verify" not in tables.detail(shown())
