"""Several migrations at once: one question, an outcome for each; and the menus of rows."""

import re
import time

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

from qa.ui.double import Double
from qa.ui.scenes import item, thousands
from qa.ui.shots import WIDTHS
from rbdmigrate.model.states import Goal, State
from tests.browser.test_accessible import violations


def choose(page: Page, *targets: str) -> None:
    for target in targets:
        page.get_by_label(f"Select {target}").check()


def bar(page: Page):
    return page.get_by_role("region", name="Actions on the selected migrations")


def executed(number: int) -> Double:
    now = time.time()
    return Double(item(n, State.EXECUTED, now) for n in range(1, number + 1))


def test_several_are_committed_with_one_question_and_each_has_an_outcome(open_page, double):
    double.guarded = {"nvme/vm-00008"}
    page = open_page(double, "#/migrations")
    expect(bar(page)).to_be_hidden()
    choose(page, "nvme/vm-00001", "nvme/vm-00008", "nvme/vm-00011")
    expect(bar(page)).to_contain_text("3 migrations selected.")
    bar(page).get_by_role("button", name="Commit 2 …").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 selected migration cannot be changed like this now")
    each = dialog.get_by_role("region", name="What happens to each").locator("li")
    expect(each).to_have_count(2)
    expect(each.filter(has_text="vm-00011")).to_contain_text(
        "The source hdd/vm-00011 and its snapshots are removed; it was compared, nothing differs."
    )
    assert {"nvme/vm-00008", "nvme/vm-00011"} <= set(double.items)
    dialog.get_by_role("button", name="Commit 2").click()
    expect(page.get_by_role("heading", name="Commit: 1 begun, 1 refused")).to_be_focused()
    results = page.locator(".bulk-results")
    expect(results.locator("li").first).to_contain_text("nvme/vm-00008 has the clones nvme/child")
    expect(results).to_contain_text("nvme/vm-00011 is being committed.")
    assert set(double.items) & {"nvme/vm-00008", "nvme/vm-00011"} == {"nvme/vm-00008"}
    expect(page.get_by_label("Select nvme/vm-00008")).to_be_checked()  # refused: still selected
    results.get_by_role("button", name="Close").click()
    expect(results).to_have_count(0)


def test_nothing_happens_when_the_question_is_answered_with_no(open_page, double):
    page = open_page(double, "#/migrations")
    choose(page, "nvme/vm-00008")
    bar(page).get_by_role("button", name="Abort 1 …").click()
    page.get_by_role("button", name="Leave it as it is").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert not any(request.startswith("POST") for request in double.requests)
    bar(page).get_by_role("button", name="Clear the selection").click()
    expect(bar(page)).to_be_hidden()


def test_pause_and_resume_are_offered_for_those_that_can(open_page, double):
    page = open_page(double, "#/migrations")
    choose(page, "nvme/vm-00001", "nvme/vm-00003")  # one is copied, one is paused
    bar(page).get_by_role("button", name="Pause 1 …").click()
    expect(page.get_by_role("dialog")).to_contain_text(re.compile(r"Its copy stops at \d+ %"))
    page.get_by_role("dialog").get_by_role("button", name="Pause 1").click()
    expect(page.get_by_role("row", name="vm-00001")).to_contain_text("paused")
    choose(page, "nvme/vm-00001")
    bar(page).get_by_role("button", name="Resume 2 …").click()
    page.get_by_role("dialog").get_by_role("button", name="Resume 2").click()
    expect(page.get_by_role("heading", name="Resume: 2 begun")).to_be_visible()
    assert not double.items["nvme/vm-00003"].migration.paused


def test_all_that_match_are_selected_also_those_of_other_pages(open_page):
    double = executed(60)
    double.items["nvme/vm-00060"].migration = item(60, State.PREPARED, time.time()).migration
    page = open_page(double, "#/migrations?group=commit")
    expect(page.get_by_text("1 to 25 of 59")).to_be_visible()
    page.get_by_label("Select all on this page").check()
    expect(bar(page)).to_contain_text("25 migrations selected.")
    bar(page).get_by_role("button", name="Select all 59 that match").click()
    bar(page).get_by_role("button", name="Commit 59 …").click()
    page.get_by_role("dialog").get_by_role("button", name="Commit 59").click()
    expect(page.get_by_role("heading", name="Commit: 59 begun")).to_be_visible()
    assert list(double.items) == ["nvme/vm-00060"]


def test_the_selection_stays_on_the_way_to_another_page(open_page):
    page = open_page(executed(30), "#/migrations?sort=%2Btarget")
    choose(page, "nvme/vm-00001")
    page.get_by_role("button", name="Next page").click()
    choose(page, "nvme/vm-00030")
    expect(bar(page)).to_contain_text("2 migrations selected.")
    page.get_by_role("button", name="Previous page").click()
    expect(page.get_by_label("Select nvme/vm-00001")).to_be_checked()


def test_a_manager_without_time_is_asked_again_for_the_rest(open_page):
    double = executed(5)
    whole = double._bulk

    def slowly(args):
        answer = whole({**args, "targets": args["targets"][:2]})
        return {**answer, "left": max(0, len(args["targets"]) - 2)}

    double._bulk = slowly
    page = open_page(double, "#/migrations")
    page.get_by_label("Select all on this page").check()
    bar(page).get_by_role("button", name="Commit 5 …").click()
    page.get_by_role("dialog").get_by_role("button", name="Commit 5").click()
    expect(page.get_by_role("heading", name="Commit: 5 begun")).to_be_visible()
    assert not double.items
    assert sum(request == "POST /bulk" for request in double.requests) == 3


def test_a_row_has_a_menu_for_mouse_and_keyboard(open_page, double):
    page = open_page(double, "#/migrations")
    button = page.get_by_role("button", name="Actions on nvme/vm-00001")
    button.focus()
    page.keyboard.press("Enter")
    items = page.get_by_role("menu", name="Actions on nvme/vm-00001").get_by_role("menuitem")
    expect(items).to_have_text(["Pause", "Abort …"])
    expect(items.first).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(items.last).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_have_count(0)
    expect(button).to_be_focused()
    button.click()
    items.filter(has_text="Pause").click()
    expect(page.get_by_role("row", name="vm-00001")).to_contain_text("paused")
    assert double.items["nvme/vm-00001"].migration.paused


def test_a_reader_has_neither_boxes_nor_menus(open_page, double):
    double.rights = set()
    page = open_page(double, "#/migrations")
    expect(page.get_by_role("row", name="vm-00001")).to_be_visible()
    expect(page.get_by_role("table").get_by_role("checkbox")).to_have_count(0)
    expect(page.get_by_role("button", name="Actions on nvme/vm-00001")).to_have_count(0)


def test_what_awaits_a_commit_is_what_does_not_commit_by_itself(open_page, double):
    page = open_page(double, "#/migrations")
    chip = page.get_by_role("button", name="Awaiting commit")
    expect(chip).to_contain_text("4")
    chip.click()
    expect(page.get_by_text("1 to 4 of 4")).to_be_visible()
    assert all(
        double.items[f"nvme/vm-{n:05d}"].migration.goal is Goal.COMMITTED for n in (10, 12, 16)
    )
    expect(page.get_by_role("row", name="vm-00012")).to_have_count(0)


def test_those_that_wait_are_found_by_their_reason(open_page, double):
    page = open_page(double)
    page.get_by_role("link", name=re.compile("^Waiting")).click()
    expect(page.get_by_text(re.compile("1 to 6 of 6"))).to_be_visible()
    page.get_by_label("Waiting").select_option("paused")
    expect(page.get_by_text("1 to 1 of 1")).to_be_visible()
    expect(page.get_by_role("row", name="vm-00003")).to_be_visible()
    assert "hold=paused" in page.url


@pytest.mark.parametrize("column", ["Size", "Plan", "Priority", "Begun"])
def test_every_column_with_a_value_sorts(open_page, double, column):
    page = open_page(double, "#/migrations")
    head = page.get_by_role("columnheader", name=column)
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", re.compile("ascending|descending"))


@pytest.mark.parametrize(("scheme", "width"), [("light", "1280"), ("dark", "390")])
def test_selection_menu_question_and_outcome_are_accessible(open_page, scheme, width):
    now = time.time()
    double = Double([*thousands(40, now), item(1, State.EXECUTED, now)])
    double.guarded = {"nvme/vm-00001"}
    page = open_page(
        double, "#/migrations?size=100", scheme=scheme, size=WIDTHS[width], script=AXE_SCRIPT
    )
    page.get_by_label("Select all on this page").check()
    page.get_by_role("button", name="Actions on nvme/vm-00001").click()
    expect(page.get_by_role("menu")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    bar(page).get_by_role("button", name=re.compile("Commit")).click()
    assert violations(page) == []
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    page.get_by_role("dialog").get_by_role("button", name=re.compile("Commit")).click()
    expect(page.locator(".bulk-results")).to_be_visible()
    assert violations(page) == []


def test_commands_in_messages_are_the_buttons_of_the_page(open_page, double):
    page = open_page(double, "#/migrations/nvme%2Fvm-00008")
    said = page.locator("p.next")
    expect(said.locator("strong").first).to_have_text("Commit")
    expect(said).not_to_contain_text("ceph rbd")
    double.rights = set()
    expect(said).to_have_text("It waits for somebody who may change migrations.")
