"""Files that the page stores: the report of a plan and the export of the history."""

import re

from playwright.sync_api import expect


def answer(page, pattern, status=200, body="a,b\n", **headers):
    page.route(pattern, lambda route: route.fulfill(status=status, body=body, headers=headers))


def test_the_report_of_a_plan_is_stored_under_its_name(open_page, double):
    page = open_page(double, "#/plans/ssd-move")
    answer(
        page,
        re.compile(r"/plan/ssd-move/report\?export=csv$"),
        **{"Content-Type": "text/csv", "Content-Disposition": 'attachment; filename="plan-x.csv"'},
    )
    with page.expect_download() as stored:
        page.get_by_role("button", name="Report as CSV").click()
    assert stored.value.suggested_filename == "plan-x.csv"
    assert stored.value.path().read_text() == "a,b\n"


def test_the_history_is_exported_as_it_is_filtered(open_page, double):
    page = open_page(double, "#/history")
    page.get_by_label("Search").fill("nvme/vm 1")
    expect(page).to_have_url(re.compile("search="))
    answer(page, re.compile(r"/history/export\?search=nvme%2Fvm\+1&since=7d&export=json$"))
    with page.expect_download() as stored:
        page.get_by_role("button", name="Export as JSON").click()
    assert stored.value.suggested_filename.startswith("export")


def test_a_refusal_is_said(open_page, double):
    page = open_page(double, "#/history")
    refused = '{"detail": "The pool hdd does not answer.", "code": "EIO"}'
    answer(page, re.compile("/history/export"), 400, refused)
    page.get_by_role("button", name="Export as CSV").click()
    expect(page.get_by_text("The pool hdd does not answer.")).to_be_visible()
