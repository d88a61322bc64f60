"""The report of a plan: before and after of each image, and the page to print."""

import csv
import io
import json
from html.parser import HTMLParser

import pytest

from rbdmigrate.control.access import Access
from rbdmigrate.control.plans.plan_file import parse_plan
from rbdmigrate.control.query import Query
from rbdmigrate.model.plan import PlanComparison
from tests.fakes.world import World
from tests.unit.front_ends import FakeEngine

PLAN = """
plan: move
select: [{pool: hdd}]
map: {target_pool: nvme}
policy: {goal: committed, verify: full}
"""


@pytest.fixture
def rows(front_end):
    pytest.importorskip("prettytable")
    return front_end("cli.plan_rows")


@pytest.fixture
def pages(front_end, rows):
    return front_end("cli.plan_page")


@pytest.fixture(scope="module")
def done():
    """A plan of two images that is done after a pause, and the reports of its migrations."""
    with World() as world:
        for name in ("hdd/a", "hdd/<b>"):
            world.create_image(name, {0: b"one", 3: b"two"})

        def ann(request):
            with world.engine.on_behalf_of(Access(), "ann"):
                return request()

        plans = world.engine.plans
        world.call(lambda: ann(lambda: plans.create(parse_plan(PLAN, "rbd"))))
        world.set(max_copies=0)
        world.call(lambda: ann(lambda: plans.begin("move")))
        for _ in range(30):
            world.run(1.0)
            world.call(world.engine.measures.tick)
        world.set(max_copies=10)
        world.run(90.0)
        plan = world.call(lambda: world.engine.plans.get("move"))
        return plan, world.call(lambda: list(world.engine.listing.find(Query(limit=0, ended=True))))


class Cells(HTMLParser):
    """The texts of a page's table, and the tags that there are."""

    def __init__(self):
        super().__init__()
        self.tags, self.cells = set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data):
        if self.cells:
            self.cells[-1] += data


def test_each_image_has_what_was_and_what_is(rows, done):
    report = rows.plan_report(*done)
    assert report.state == "done"
    assert report.timeline.startswith(report.created)
    assert [part.partition("Z ")[2] for part in report.timeline.split("; ")] == [
        "created by ann",
        "starting by ann",
        "running by plan move",
        "done by plan move",
    ]
    assert sorted(row.source for row in report.images) == ["hdd/<b>", "hdd/a"]
    for row in report.images:
        assert (row.phase, row.state, row.method) == ("done", "committed", "warm")
        assert row.source_image_id
        assert row.target_image_id
        assert row.source_image_id != row.target_image_id
        assert row.verification == "full: passed"
        assert row.coverage == 1.0
        assert "head=" in row.digests
        assert row.by == "plan move"
        assert "asked for" in row.requests
        assert row.bytes > 0
        assert row.seconds >= 0
        assert 20 <= row.held_seconds["limit"] <= 40


def test_images_that_have_not_begun_are_in_it_too(rows, pages, done):
    plan, _ = done
    report = rows.plan_report(plan, [])
    assert {row.state for row in report.images} == {""}
    assert all(row.seconds is None and row.verification == "" for row in report.images)
    assert pages.page(report)


def test_the_page_is_whole_and_shows_names_as_they_are(rows, pages, done):
    report = rows.plan_report(*done)
    cells = Cells()
    text = pages.page(report)
    cells.feed(text)
    assert "script" not in cells.tags
    assert "b" not in cells.tags
    assert len(cells.cells) == 2 * len(pages._HEADS)
    assert any(cell.startswith("hdd/<b> ") for cell in cells.cells)
    assert any("full: passed, 100 % of the data" in cell for cell in cells.cells)
    assert "http" not in text
    assert any(cell.startswith("limit ") for cell in cells.cells)
    assert "created by ann" in text


@pytest.fixture
def run(front_end, options):
    pytest.importorskip("prettytable")
    commands = front_end("cli.commands")

    def give(**args):
        cmd = {"prefix": "rbd migration plan report", "plan": "move", **args}
        return commands.handle(FakeEngine(), options, cmd, lambda pool, namespace: True)

    return give


def test_the_command_exports_all_three(run):
    assert run()[1].splitlines()[1].split()[:3] == ["SOURCE", "TARGET", "PHASE"]
    plain = json.loads(run(export="json")[1])
    assert plain == json.loads(run(format="json")[1])
    (line,) = csv.DictReader(io.StringIO(run(export="csv")[1]))
    assert list(line) == list(plain["images"][0])
    assert run(export="html")[1].startswith("<!doctype html>")
    assert run(export="pdf")[2] == "--export 'pdf' is not known; choose from json, csv, html."


def test_a_plan_is_compared_and_not_changed():
    with World() as world:
        plans = world.engine.plans
        same, other = (parse_plan(PLAN.replace("full", mode), "rbd") for mode in ("full", "none"))
        assert world.call(lambda: plans.compare(same)) == PlanComparison("move", None, False)
        world.call(lambda: plans.create(same))
        before = world.call(lambda: plans.get("move"))
        assert world.call(lambda: plans.compare(same)) == PlanComparison("move", "draft", True)
        assert world.call(lambda: plans.compare(other)) == PlanComparison("move", "draft", False)
        assert world.call(lambda: plans.get("move")) == before
