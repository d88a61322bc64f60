"""What axe finds, and what keyboards and small screens need."""

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

from qa.ui.double import Double
from qa.ui.shots import SHOTS, WIDTHS, open_shot


def violations(page: Page) -> "list[str]":
    """What axe, which is there already, has to say against the page: a line for each element."""
    options = {"resultTypes": ["violations"]}
    found = page.evaluate("async (options) => (await axe.run(options)).violations", options)
    return [
        f"{one['impact']} {one['id']}: {node['target']} {node['failureSummary']}"
        for one in found
        for node in one["nodes"]
    ]


GUARDED = {"nvme/vm-00001", "nvme/vm-00011"}  # as the pictures need it


@pytest.mark.parametrize(("scheme", "width"), [("light", "1280"), ("dark", "390")])
@pytest.mark.timeout(180)
def test_axe_has_nothing_to_say(open_page, double, scheme, width):
    double.guarded = set(GUARDED)
    page = open_page(double, scheme=scheme, size=WIDTHS[width], script=AXE_SCRIPT)
    found = {}
    for shot in SHOTS:
        open_shot(page, shot)
        found[shot.name] = violations(page)
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found[shot.name].append("it scrolls sideways")
    assert found == {shot.name: [] for shot in SHOTS}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nor_where_there_are_no_plans(open_page, scheme):
    page = open_page(Double(), "#/plans", scheme=scheme, size=(360, 740), script=AXE_SCRIPT)
    expect(page.get_by_text("There are no plans.")).to_be_visible()
    assert violations(page) == []
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")


def test_plans_fit_the_smallest_telephone(open_page, double):
    double.guarded = set(GUARDED)
    page = open_page(double, size=(360, 740))
    for shot in SHOTS:
        if shot.name.startswith("plan"):
            open_shot(page, shot)
            wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
            assert not wide, shot.name


def test_a_dialog_takes_the_focus_and_gives_it_back(open_page, double):
    page = open_page(double, "#/migrations/nvme%2Fvm-00008")
    button = page.get_by_role("button", name="Abort …")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Leave it as it is")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(button).to_be_focused()


def test_the_tabs_can_be_skipped(open_page, double):
    page = open_page(double)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()


def test_the_focus_follows_to_another_view(open_page, double):
    page = open_page(double)
    page.get_by_role("link", name="Migrations", exact=True).click()
    expect(page.get_by_role("heading", name="Migrations")).to_be_focused()


def test_a_row_keeps_the_focus_while_the_table_is_renewed(open_page, double):
    page = open_page(double, "#/migrations")
    link = page.get_by_role("link", name="vm-00001")
    link.focus()
    asked = len(double.requests)
    while sum("limit=25" in request for request in double.requests[asked:]) < 2:
        page.wait_for_timeout(100)
    expect(link).to_be_focused()


def test_a_change_of_state_is_said(open_page, double):
    page = open_page(double, "#/migrations/nvme%2Fvm-00001")
    page.get_by_role("button", name="Pause").click()
    expect(
        page.get_by_role("status").filter(has_text="It is executing, paused now.")
    ).to_have_count(1)
