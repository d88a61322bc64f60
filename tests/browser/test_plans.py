"""Plans: from the file to the end, what stops them, and thousands of images."""

import re
import time

import pytest
from playwright.sync_api import Page, expect

from qa.ui import rest
from qa.ui.double import Double
from qa.ui.plan_case import GIB
from qa.ui.plan_scenes import every_plan, hostile_plan, large_plan, plan_file
from qa.ui.scenes import HOSTILE
from rbdmigrate.model.plan import PlanState

BUTTONS = [
    "Start …", "Pause", "Resume", "Retry failed images", "Commit all …", "Cancel …", "Remove …",
]  # fmt: skip


def type_in(page: Page, text: str) -> None:
    page.get_by_label("The plan", exact=True).fill(text)


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def state(page: Page, word: str) -> None:
    expect(page.locator(".headline .badge")).to_contain_text(word)


def rows(page: Page):
    return page.locator(".items tbody tr")


def test_the_list_shows_where_each_is(open_page, double):
    page = open_page(double, "#/plans")
    line = page.get_by_role("row", name="lab")
    expect(line).to_contain_text("stopped")
    expect(line).to_contain_text("Wave 2 of 5")
    expect(line).to_contain_text("12 done, 1 running, 3 failed, 24 queued")
    expect(line).to_contain_text("and 2 more")
    running = page.get_by_role("row", name="ssd-move")
    expect(running).to_contain_text("100 MiB/s of at most 200 MiB/s")
    expect(running.get_by_role("progressbar")).to_be_visible()
    expect(page.get_by_role("row", name="gold").get_by_role("progressbar")).to_have_count(0)
    running.get_by_role("link", name="ssd-move").click()
    expect(page.get_by_role("heading", name="ssd-move")).to_be_focused()
    expect(page.get_by_role("link", name="Plans").first).to_have_attribute("aria-current", "page")


def test_where_there_is_none_it_is_said_what_one_is(open_page):
    double = Double()
    page = open_page(double, "#/plans")
    expect(page.get_by_text("There are no plans.")).to_be_visible()
    expect(page.get_by_text("A plan moves many images together")).to_be_visible()
    page.get_by_role("link", name="Begin with this example").click()
    press(page, "Create")  # the example is one that is taken
    expect(page.get_by_role("heading", name="nvme-move")).to_be_visible()
    state(page, "draft")
    assert list(double.plans.plans) == ["nvme-move"]
    assert double.plans.plans["nvme-move"].state is PlanState.DRAFT


def test_from_the_file_to_the_end(open_page):
    double = Double()
    double.plans.step = 4  # so that the check is seen on its way
    page = open_page(double, "#/new-plan")
    page.get_by_label("Choose a file").set_input_files(
        {
            "name": "move.yaml",
            "mimeType": "application/yaml",
            "buffer": plan_file("move", select="[{pool: hdd, name: vm-00*}]").encode(),
        }
    )
    expect(page.get_by_label("The plan", exact=True)).to_have_value(re.compile("plan: move"))
    press(page, "Check")
    expect(page.get_by_text(re.compile(r"\d of 9 images were checked"))).to_be_visible()
    expect(page.get_by_text("All 9 images can begin.")).to_be_visible()
    expect(page.get_by_text("No rate is configured")).to_be_visible()
    press(page, "Create")
    state(page, "draft")
    expect(page.get_by_text("All 9 images can begin.")).to_be_visible()  # of the check before
    press(page, "Start …")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Until then it can be aborted")
    dialog.get_by_role("button", name="Start").click()
    state(page, "running")
    expect(rows(page)).to_have_count(9)
    press(page, "Pause")
    state(page, "paused")
    press(page, "Resume")
    state(page, "running")
    double.plans.rate = 100.0 * GIB
    state(page, "done")
    expect(page.locator(".headline .bar-number")).to_have_text("100%")
    expect(page.get_by_text("It is done now.")).to_have_count(1)
    expect(page.get_by_text("9 images reached the goal executed")).to_be_visible()
    press(page, "Remove …")
    page.get_by_role("dialog").get_by_role("button", name="Remove it").click()
    expect(page.get_by_text("There are no plans.")).to_be_visible()
    assert not double.plans.plans


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (plan_file("x", map="{target_pool: nvme, nmae: y}"), "map.nmae in the plan is not known"),
        (plan_file("x", policy="{goal: soon}"), "policy.goal in the plan is 'soon'"),
        (plan_file("x", select="[{name: vm-1}]"), "select[0].pool in the plan is missing"),
        ("plan: x\nselect: [{pool: hdd}\n", "is not YAML (line 3"),
    ],
)
def test_what_is_wrong_with_the_file_is_said_with_its_path(open_page, text, said):
    double = Double()
    page = open_page(double, "#/new-plan")
    type_in(page, text)
    for button in ("Check", "Create"):
        press(page, button)
        expect(page.get_by_role("alert").filter(has_text=said)).to_be_visible()
    while "POST /plan-file" not in double.requests:  # that asks what is wrong with the text, too
        page.wait_for_timeout(50)
    if "YAML" not in said:
        expect(page.get_by_text(said)).to_have_count(1)
    expect(page.get_by_label("The plan", exact=True)).to_have_value(text)
    assert not double.plans.plans


def test_a_line_that_cannot_be_read_is_shown(open_page):
    page = open_page(Double(), "#/new-plan")
    type_in(page, "plan: x\nselect:\n  - pool: hdd\n  name: {\n")
    press(page, "Create")
    press(page, "Go to line 4")
    expect(page.get_by_label("The plan", exact=True)).to_be_focused()
    chosen = page.evaluate(
        "(() => { const one = document.activeElement;"
        " return one.value.slice(one.selectionStart, one.selectionEnd); })()"
    )
    assert chosen == "  name: {"


def test_a_check_says_what_stands_in_the_way(open_page, double):
    page = open_page(double, "#/plans/gold")
    press(page, "Check")
    expect(page.get_by_text("1 of 29 images cannot begin as things are.")).to_be_visible()
    expect(page.get_by_text("It takes at least 4m 57s")).to_be_visible()
    room = page.get_by_role("row", name="nvme")
    expect(room).to_contain_text("58 GiB")
    expect(room).to_contain_text("900 GiB")
    expect(room).to_contain_text("fits")
    found = page.locator(".checked > li")
    expect(found).to_have_count(1)
    expect(found).to_contain_text("SOURCE_IN_USE")
    expect(found).to_contain_text("rbd status hdd/vm-030-used")
    press(page, "With warnings 1")
    expect(found).to_contain_text("SOURCE_HAS_CLONES")
    press(page, "All 29")
    expect(found).to_have_count(20)
    page.get_by_role("navigation", name="Pages of findings").get_by_role(
        "button", name="Next page"
    ).click()
    expect(found).to_have_count(9)


def test_pools_that_are_too_small_are_told(open_page, double):
    double.plans.free = 10 * GIB
    page = open_page(double, "#/plans/gold")
    press(page, "Check")
    expect(page.get_by_text("There is not enough space in nvme.")).to_be_visible()
    expect(page.get_by_role("row", name="nvme")).to_contain_text("does not fit")


def test_a_plan_of_the_same_name_is_changed_only_when_that_is_said(open_page):
    double = Double()
    page = open_page(double, "#/new-plan")
    type_in(page, plan_file("move"))
    press(page, "Check")
    expect(page.get_by_text("1 of 30 images cannot begin")).to_be_visible()
    type_in(page, plan_file("move", waves="{size: 7}"))
    with page.expect_response(lambda answer: answer.request.method == "PUT"):
        press(page, "Check")  # ours: that is no question
    expect(page.get_by_text("1 of 30 images cannot begin")).to_be_visible()
    assert double.plans.plans["move"].definition.wave == 7
    type_in(page, plan_file("move", waves="{size: 9}"))
    press(page, "Create")
    state(page, "draft")
    expect(page.get_by_text("1 of 30 images cannot begin")).to_have_count(0)  # of another text
    page.get_by_role("link", name="Plans").last.click()
    page.get_by_role("link", name="New plan").click()
    type_in(page, plan_file("move", waves="{size: 8}"))
    press(page, "Create")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("There is another plan 'move'")
    dialog.get_by_role("button", name="Leave it as it is").click()
    assert double.plans.plans["move"].definition.wave == 9
    press(page, "Create")
    dialog.get_by_role("button", name="Change it").click()
    expect(page.get_by_role("heading", name="move")).to_be_visible()
    assert double.plans.plans["move"].definition.wave == 8


def test_what_was_typed_is_not_thrown_away(open_page):
    page = open_page(Double(), "#/new-plan")
    type_in(page, "plan: mine\n")
    press(page, "Insert an example")
    page.get_by_role("dialog").get_by_role("button", name="Leave it as it is").click()
    expect(page.get_by_label("The plan", exact=True)).to_have_value("plan: mine\n")
    press(page, "Insert an example")
    page.get_by_role("dialog").get_by_role("button", name="Replace it").click()
    expect(page.get_by_label("The plan", exact=True)).to_have_value(re.compile("plan: nvme-move"))


def test_a_cancel_says_what_it_does_and_asks(open_page, double):
    page = open_page(double, "#/plans/ssd-move")
    press(page, "Cancel …")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("The 13 migrations under way are aborted")
    expect(dialog).to_contain_text("70 images will not be moved. 44 images are done and stay")
    expect(dialog.get_by_role("button", name="Leave it as it is")).to_be_focused()
    page.keyboard.press("Escape")
    state(page, "running")
    press(page, "Cancel …")
    dialog.get_by_role("button", name="Cancel it").click()
    state(page, "cancelled")
    expect(page.get_by_role("button", name="Remove …")).to_be_visible()


def test_a_start_that_removes_sources_says_so(open_page, double):
    page = open_page(double, "#/plans/gold")
    press(page, "Start …")
    expect(page.get_by_role("dialog")).to_contain_text("the source and all its snapshots are")


def test_one_that_stopped_goes_on_with_or_without_what_failed(open_page, double):
    page = open_page(double, "#/plans/lab")
    expect(page.get_by_text("It stopped after too many failures")).to_be_visible()
    expect(page.locator(".problems li").first).to_contain_text("differ in 23 extents")
    press(page, "Resume without them")
    state(page, "running")
    case = double.plans.plans["lab"]
    assert case.forgiven == 3
    case.state = PlanState.STOPPED
    press(page, "Retry failed images")
    state(page, "running")
    expect(page.locator(".problems li")).to_have_count(0)


def test_what_the_manager_refuses_is_said(open_page, double):
    def end(route):  # somebody is quicker
        double.plans.plans["archive"].state = PlanState.DONE
        route.continue_()

    page = open_page(double, "#/plans/archive")
    page.route("**/archive/resume", end)
    press(page, "Resume")
    expect(page.get_by_text("The plan 'archive' is done; there is nothing")).to_be_visible()


@pytest.mark.parametrize(
    "address",
    ["#/plans", "#/plans/ssd-move", "#/plans/gold", "#/plans/lab", "#/plans/pilot"],
)
def test_who_may_only_read_sees_nothing_to_press(open_page, double, address):
    double.rights = set()
    page = open_page(double, address)
    expect(page.locator("#view")).to_contain_text("hdd/vm" if "/plans/" in address else "ssd-move")
    for name in BUTTONS:
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    expect(page.get_by_role("button", name=re.compile("^Skip "))).to_have_count(0)
    expect(page.get_by_role("link", name="New plan")).to_have_count(0)


def test_who_may_only_read_is_told_why_there_is_no_check(open_page, double):
    double.rights = set()
    page = open_page(double, "#/plans/gold")
    expect(page.get_by_text("does not allow you to check plans")).to_be_visible()
    expect(page.get_by_role("button", name="Check")).to_have_count(0)


def test_who_may_only_read_gets_no_form(open_page, double):
    double.rights = set()
    page = open_page(double, "#/new-plan")
    expect(page.get_by_text("does not allow")).to_be_visible()
    expect(page.locator("form")).to_have_count(0)


def test_who_may_not_delete_does_not_remove(open_page, double):
    double.rights = {"create", "update"}
    page = open_page(double, "#/plans/gold")
    expect(page.get_by_role("button", name="Start …")).to_be_visible()
    expect(page.get_by_role("button", name="Remove …")).to_have_count(0)


def test_names_and_messages_are_text(open_page):
    case = hostile_plan(time.time())
    case.problem = HOSTILE[0]
    double = Double(plans=[case])
    page = open_page(double, "#/plans")
    expect(page.locator("#view")).to_contain_text(HOSTILE[0])
    page.get_by_role("link", name="hostile").click()
    for image in case.images:
        expect(rows(page).filter(has_text=image.source)).to_have_count(1)
    expect(page.locator("#view")).to_contain_text(f"It broke: {HOSTILE[1]}".split("<\\")[0])
    assert page.evaluate("window.hacked") is None
    made = "img, script, iframe, object, style, [onload], [onerror]"
    assert page.locator("#view").locator(made).count() == 0
    links = page.locator("a").evaluate_all("all => all.map(one => one.getAttribute('href'))")
    assert not [link for link in links if link.startswith("javascript:")]


def test_two_thousand_images(open_page):
    double = Double(plans=[large_plan(time.time(), 2000, 200)])
    page = open_page(double, "#/plans/large")
    expect(rows(page)).to_have_count(25)
    expect(page.get_by_text("1 to 25 of 2000")).to_be_visible()
    expect(rows(page).first).to_contain_text("failed")  # most urgent first
    expect(page.locator(".wave")).to_have_count(10)
    expect(page.locator(".wave[aria-current=step]")).to_contain_text("Wave 6")
    assert page.evaluate("document.querySelectorAll('*').length") < 2500
    pages = page.get_by_role("navigation", name="Pages of images")
    pages.get_by_role("button", name="Last page").click()
    expect(page.get_by_text("1976 to 2000 of 2000")).to_be_visible()
    press(page, "Wave 10")
    expect(page.get_by_text("of 200", exact=False).first).to_be_visible()
    expect(rows(page).first).to_contain_text("queued")
    press(page, "Wave 10")  # all again
    page.get_by_role("button", name=re.compile("^Failed")).click()
    expect(rows(page)).to_have_count(2)
    page.get_by_role("button", name=re.compile("^All")).click()
    page.get_by_role("searchbox", name="Search").fill("vm-01777")
    expect(rows(page)).to_have_count(1)
    page.reload()  # the address says what is shown
    expect(rows(page)).to_have_count(1)


def test_many_small_waves_are_paged(open_page):
    double = Double(plans=[large_plan(time.time(), 2000, 5)])
    page = open_page(double, "#/plans/large")
    expect(page.locator(".wave")).to_have_count(10)
    expect(page.locator(".wave[aria-current=step]")).to_contain_text("Wave 201")
    expect(page.locator(".wave[aria-current=step] .block")).to_have_count(5)


def test_a_plan_that_is_gone_is_said_to_be(open_page, double):
    page = open_page(double, "#/plans/nowhere")
    expect(page.get_by_text("There is no plan 'nowhere'")).to_be_visible()


def test_a_migration_leads_to_its_plan_and_back(open_page, double):
    page = open_page(double, "#/migrations/nvme%2Fvm-00001")
    page.get_by_role("link", name="ssd-move").click()
    expect(page.get_by_role("heading", name="ssd-move")).to_be_visible()
    page.get_by_label("Order").select_option("plan")
    expect(rows(page).first.get_by_role("link")).to_have_attribute(
        "href", "#/migrations/nvme%2Fvm-00001"
    )


def test_migrations_are_narrowed_to_a_plan(open_page, double):
    page = open_page(double, "#/plans/archive")
    page.get_by_role("link", name="those that await a commit").click()
    expect(page.get_by_label("Plan", exact=True)).to_have_value("archive")
    expect(page.get_by_text("No migration matches.")).to_be_visible()
    page.get_by_label("Plan", exact=True).fill("ssd-move")
    page.get_by_role("button", name=re.compile("^All")).click()
    expect(page.locator(".migrations tbody tr")).to_have_count(1)


def test_a_row_keeps_the_focus_while_the_images_are_renewed(open_page, double):
    page = open_page(double, "#/plans/ssd-move")
    link = rows(page).first.get_by_role("link")
    link.focus()
    asked = len(double.requests)
    while sum("/plan/ssd-move" in request for request in double.requests[asked:]) < 2:
        page.wait_for_timeout(100)
    expect(link).to_be_focused()


def test_the_double_answers_as_the_api_says():
    """What the page is tried with has the fields that the API has."""
    double = Double(plans=every_plan(time.time()))
    for name in double.plans.plans:
        for route in ("plan_show", "plan_check"):
            _same(double.plans.answer(route, name, {}), rest.routes.BY_NAME[route].answer)
    for plan in double.plans.answer("plan_ls", "", {}):
        _same(plan, rest.routes.BY_NAME["plan_ls"].answer)


def _same(answer, fields) -> None:
    """The answer has these fields and no others, within too, and their choices hold."""
    assert set(answer) == {field.name for field in fields}
    for field in fields:
        value = answer[field.name]
        assert not field.choices or value in (*field.choices, *((None,) if field.nullable else ()))
        for inner in value if field.type == "array" else [value] if field.type == "object" else []:
            if field.fields:
                _same(inner, field.fields)
