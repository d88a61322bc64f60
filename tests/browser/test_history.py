"""Ended migrations: searched, filtered, sorted and paged by the manager."""

import re

from playwright.sync_api import expect


def rows(page):
    return page.get_by_role("table", name="Ended migrations").locator("tbody tr")


def asked(double):
    """The last request for the history."""
    return [line for line in double.requests if line.startswith("GET /history")][-1]


def test_a_long_history_is_shown_in_pages(open_page, double):
    page = open_page(double, "#/history")
    expect(page.get_by_text("1 to 25 of 45")).to_be_visible()
    expect(rows(page)).to_have_count(25)
    page.get_by_role("button", name="Next page").click()
    expect(page.get_by_text("26 to 45 of 45")).to_be_visible()
    expect(rows(page)).to_have_count(20)
    assert "offset=25&limit=25" in asked(double)
    page.get_by_label("Lines").select_option("50")
    expect(page.get_by_text("1 to 45 of 45")).to_be_visible()
    expect(page.get_by_role("navigation", name="Pages")).to_be_hidden()


def test_it_is_searched_and_filtered_and_the_address_keeps_it(open_page, double):
    page = open_page(double, "#/history")
    page.get_by_label("Search").fill("vm-0014")
    expect(page.get_by_text("1 to 6 of 6")).to_be_visible()
    page.get_by_label("State", exact=True).select_option("aborted")
    expect(page.get_by_text("1 to 5 of 5")).to_be_visible()
    expect(page).to_have_url(re.compile("search=vm-0014&state=aborted"))
    page.reload()
    expect(page.get_by_label("Search")).to_have_value("vm-0014")
    expect(page.get_by_text("1 to 5 of 5")).to_be_visible()
    page.get_by_label("Pool").fill("none")
    expect(page.get_by_text("No ended migration matches.")).to_be_visible()


def test_a_click_on_a_column_sorts(open_page, double):
    page = open_page(double, "#/history")
    expect(page.get_by_role("columnheader", name="Sort by ended")).to_have_attribute(
        "aria-sort", "descending"
    )
    page.get_by_role("button", name="Sort by source to target").click()
    expect(rows(page).first).to_contain_text("nvme/vm-00101")
    page.get_by_role("button", name="Sort by source to target").click()
    expect(rows(page).first).to_contain_text("nvme/vm-00145")
    assert "sort=-target" in asked(double)
