"""10,000 migrations: the manager narrows, sorts and pages; the page draws what is seen."""

import re
import time

from playwright.sync_api import expect

from qa.ui.double import Double
from qa.ui.scenes import thousands

COUNT = 10_000


def test_ten_thousand_migrations(open_page):
    double = Double(thousands(COUNT, time.time()))
    page = open_page(double, "#/migrations")
    rows = page.locator(".migrations tbody tr")
    expect(rows).to_have_count(25)
    expect(page.get_by_text(f"1 to 25 of {COUNT}")).to_be_visible()
    page.get_by_label("Lines").select_option("100")
    expect(rows).to_have_count(100)
    page.get_by_role("button", name="Last page").click()
    expect(page.get_by_text(f"Page {COUNT // 100} of {COUNT // 100}")).to_be_visible()
    page.get_by_label("Search").fill("vm-07777")
    expect(rows).to_have_count(1)
    expect(page.get_by_text("1 to 1 of 1")).to_be_visible()
    page.get_by_label("Search").fill("")
    page.get_by_role("button", name=re.compile("^Queued")).click()
    expect(rows).to_have_count(100)
    states = set(page.locator("tbody .state").all_inner_texts())
    assert all("queued" in state or "preparing" in state for state in states)
    page.get_by_role("button", name=re.compile("^All")).click()
    page.get_by_role("button", name="Sort by source to target").click()
    expect(rows.first).to_contain_text("vm-01001")
    expect(page.get_by_role("columnheader", name="Sort by source to target")).to_have_attribute(
        "aria-sort", "ascending"
    )
    page.get_by_role("button", name="Sort by source to target").click()
    expect(rows.first).to_contain_text("vm-11000")
    assert page.evaluate("document.querySelectorAll('*').length") < 4000
    assert all(int(limit) <= 200 for limit in re.findall(r"limit=(\d+)", " ".join(double.requests)))
    # the address says what is shown
    page.reload()
    expect(rows.first).to_contain_text("vm-11000")


def test_ended_ones_are_shown_when_asked_for(open_page, double):
    page = open_page(double, "#/migrations")
    expect(page.get_by_text("of 19")).to_be_visible()
    page.get_by_label("include ended ones").check()
    expect(page.get_by_text("of 64")).to_be_visible()
