"""Buttons for single images of a plan and for all that wait for a commit."""

import re

from playwright.sync_api import Page, expect

from qa.ui.plan_case import Image
from rbdmigrate.control.plans.waves import Phase

SKIP = re.compile("^Skip ")


def row(page: Page, image: Image):
    return page.locator(".items tbody tr").filter(has_text=image.target)


def skip(page: Page, image: Image):
    return page.get_by_role("button", name=f"Skip {image.source} …", exact=True)


def answer(page: Page, name: str) -> None:
    page.get_by_role("dialog").get_by_role("button", name=name, exact=True).click()


def first(double, phase: Phase) -> Image:
    images = double.plans.plans["ssd-move"].images
    return next(image for image in images if image.phase is phase)


def requests(double, method: str) -> "list[str]":
    return [request for request in double.requests if request.startswith(method)]


def test_only_images_that_have_not_begun_have_a_button_to_skip_them(open_page, double):
    page = open_page(double, "#/plans/ssd-move?order=plan")
    page.get_by_label("Lines").select_option("200")
    images = double.plans.plans["ssd-move"].images
    expect(page.locator(".items tbody tr")).to_have_count(len(images))
    for phase in (Phase.FAILED, Phase.RUNNING, Phase.DONE):
        expect(row(page, first(double, phase)).get_by_role("button")).to_have_count(0)
    unbegun = [image for image in images if image.phase in (Phase.QUEUED, Phase.WAITING)]
    expect(page.get_by_role("button", name=SKIP)).to_have_count(len(unbegun))


def test_an_image_is_skipped_after_a_question(open_page, double):
    waiting = first(double, Phase.WAITING)
    page = open_page(double, "#/plans/ssd-move")
    skip(page, waiting).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("cannot be taken back into this plan")
    expect(dialog.get_by_role("button", name="Leave it as it is")).to_be_focused()
    answer(page, "Leave it as it is")
    expect(skip(page, waiting)).to_be_focused()
    assert requests(double, "POST") == []
    skip(page, waiting).click()
    answer(page, "Skip it")
    expect(page.get_by_text(f"{waiting.source}: It is skipped.")).to_be_visible()
    page.get_by_role("button", name=re.compile("^Skipped")).click()
    expect(row(page, waiting)).to_contain_text("skipped")
    expect(skip(page, waiting)).to_have_count(0)
    assert waiting.phase is Phase.SKIPPED
    assert requests(double, "POST") == ["POST /plan/ssd-move/skip"]


def test_an_image_that_has_begun_meanwhile_is_not_skipped_and_the_question_says_why(
    open_page, double
):
    waiting = first(double, Phase.WAITING)
    page = open_page(double, "#/plans/ssd-move")
    skip(page, waiting).click()
    waiting.phase = Phase.RUNNING
    answer(page, "Skip it")
    alert = page.get_by_role("dialog").get_by_role("alert")
    expect(alert).to_contain_text(f"{waiting.source} of the plan 'ssd-move' is running, so it")
    answer(page, "Leave it as it is")
    expect(skip(page, waiting)).to_have_count(0)
    assert waiting.phase is Phase.RUNNING


def test_images_of_a_plan_that_has_ended_are_not_skipped(open_page, double):
    page = open_page(double, "#/plans/too-early")
    expect(page.locator(".items tbody tr").first).to_be_visible()
    expect(page.get_by_role("button", name=SKIP)).to_have_count(0)


def test_images_that_wait_for_a_commit_are_committed_after_a_question(open_page, double):
    page = open_page(double, "#/plans/pilot")
    button = page.get_by_role("button", name="Commit all …")
    button.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("2 images of the plan are copied and wait for a commit.")
    expect(dialog).to_contain_text("Their sources and all snapshots of them are removed.")
    expect(dialog).to_contain_text("There is no way back after that")
    answer(page, "Leave it as it is")
    assert requests(double, "POST") == []
    button.click()
    answer(page, "Commit all")
    expect(page.get_by_text("pilot: 2 commits begun.")).to_be_visible()
    expect(button).to_have_count(0)
    assert requests(double, "POST") == ["POST /plan/pilot/commit"]
    assert "nvme/vm-00008" not in double.items
    assert "nvme/vm-00011" not in double.items


def test_refused_commits_are_listed_with_their_reasons(open_page, double):
    double.guarded = {"nvme/vm-00011"}
    page = open_page(double, "#/plans/pilot")
    button = page.get_by_role("button", name="Commit all …")
    button.click()
    answer(page, "Commit all")
    expect(page.get_by_text("pilot: 1 commit begun, 1 refused.")).to_be_visible()
    refused = page.get_by_role("alert").filter(has_text="1 commit was refused")
    expect(refused).to_contain_text("nvme/vm-00011 has the clones nvme/child")
    expect(button).to_be_visible()  # for the refused one
    assert "nvme/vm-00008" not in double.items
    refused.get_by_role("link", name="nvme/vm-00011").click()
    expect(page.get_by_role("button", name="Commit …")).to_be_visible()


def test_a_plan_that_commits_by_itself_has_no_button_for_it(open_page, double):
    page = open_page(double, "#/plans/ssd-move")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(page.get_by_role("button", name="Commit all …")).to_have_count(0)
    assert not [request for request in double.requests if "goal=" in request]
