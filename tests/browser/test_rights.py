"""Who may see and do what; logging in; a manager that does not answer."""

import re

import pytest
from playwright.sync_api import expect

from qa.ui.double import Double


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("#/", "Needs attention"),
        ("#/migrations", "nvme/vm-00008"),
        ("#/migrations/nvme%2Fvm-00008", "It waits for somebody who may change migrations."),
        ("#/pace", "Throttle in force now: no limit"),
    ],
)
def test_who_may_only_read_sees_nothing_to_press(open_page, double, address, shown):
    double.rights = set()
    page = open_page(double, address)
    expect(page.locator("#view")).to_contain_text(shown)
    verbs = "commit|abort|pause|resume|execute|retry|verify|begin|set|change|take"
    names = re.compile(f"^({verbs})", re.IGNORECASE)
    expect(page.get_by_role("main").get_by_role("button", name=names)).to_have_count(0)
    expect(page.get_by_role("link", name="New migration")).to_have_count(0)


def test_who_may_only_read_gets_no_form(open_page, double):
    double.rights = set()
    page = open_page(double, "#/new")
    expect(page.get_by_text("does not allow")).to_be_visible()
    expect(page.locator("form")).to_have_count(0)


def test_the_page_waits_for_a_login_to_the_dashboard(open_page, double):
    double.logged_in = False
    page = open_page(double, "#/migrations")
    expect(page.get_by_role("link", name="Log in to the dashboard")).to_have_attribute(
        "href", "../#/login"
    )
    double.logged_in = True
    expect(page.get_by_role("heading", name="Migrations")).to_be_visible()
    double.logged_in = False  # the session ends
    expect(page.get_by_role("link", name="Log in to the dashboard")).to_be_visible()


def test_an_api_key_is_asked_for_and_kept_for_the_tab(open_page, double):
    double.key = "correct"
    page = open_page(double)
    page.get_by_label("API key").fill("wrong")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert").filter(has_text="not accepted")).to_be_visible()
    page.get_by_label("API key").fill("correct")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    expect(page.get_by_role("link", name="Ceph dashboard")).to_be_hidden()
    assert page.evaluate("Object.values(localStorage).length") == 0
    assert page.context.cookies() == []
    page.reload()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.get_by_role("button", name="Forget the API key").click()
    expect(page.get_by_label("API key")).to_be_visible()


def test_a_manager_that_starts_is_asked_again(open_page, double):
    page = open_page(double, "#/migrations")
    row = page.get_by_role("row", name="vm-00001")
    expect(row).to_be_visible()
    double.starting = True
    trouble = page.get_by_role("alert").filter(has_text="still reading its records")
    expect(trouble).to_be_visible()
    expect(row).to_be_visible()  # what was known stays
    double.starting = False
    expect(trouble).to_have_count(0)


def test_a_server_that_is_gone_is_said_to_be(open_page):
    page = open_page(Double())
    page.route(re.compile("/api/"), lambda route: route.abort())
    expect(page.get_by_role("alert").filter(has_text="does not answer")).to_be_visible()
    page.unroute(re.compile("/api/"))
    expect(page.get_by_role("alert").filter(has_text="does not answer")).to_have_count(0)
