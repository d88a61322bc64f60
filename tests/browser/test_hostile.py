"""Names and error texts that look like markup are shown as they are."""

import re
import time

from playwright.sync_api import Page, expect

from qa.ui.double import Double
from qa.ui.scenes import Item, hostile, item
from qa.ui.server import STATIC, serving
from rbdmigrate.model.states import State


def test_names_and_errors_are_text(open_page):
    items = list(hostile(time.time()))
    page = open_page(Double(items, items))
    for address in ("#/", "#/migrations", "#/history?since=all"):
        _look(page, address, items)
    for one in items:
        target = one.report()["target"].encode()
        _look(page, "#/migrations/" + "".join(f"%{byte:02X}" for byte in target), [one])


def _look(page: Page, address: str, items: "list[Item]") -> None:
    """Go to a view and see that it shows the items, and does what none of their names say."""
    page.evaluate("(address) => { location.hash = address; }", address)
    for one in items:
        expect(page.locator("#view")).to_contain_text(one.report()["target"])
    assert page.evaluate("window.hacked") is None
    made = "img, script, iframe, object, style, [onload], [onerror]"
    assert page.locator("#view").locator(made).count() == 0
    links = page.locator("a").evaluate_all("all => all.map(one => one.getAttribute('href'))")
    assert not [link for link in links if link.startswith("javascript:")]


def test_a_name_that_is_no_utf8_is_one_like_others(open_page):
    name = "caf\udce9-ü-\udc80\udcff"
    one = item(1, State.EXECUTING, time.time(), rate=1.0, target=("nvme", "", name))
    double = Double([one])
    page = open_page(double, "#/migrations")
    page.get_by_role("link", name="caf").click()
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".headline .badge")).to_contain_text("paused")
    assert "POST /at/nvme%2Fcaf%E9-%C3%BC-%80%FF/pause" in double.requests
    assert one.migration.paused
    page.reload()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()


def test_the_files_have_nothing_in_line_and_ask_no_other_host():
    page = (STATIC / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", page)
    for path in STATIC.rglob("*.*"):
        text = path.read_text()
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text
        )
        hosts = set(
            re.findall(r"""(?:src|href|url|import|from|fetch)[\s=("']+https?://([\w.]+)""", text)
        )
        assert not hosts, path


def test_the_policy_stops_what_is_in_line(chromium, double):
    with serving(double) as address:
        page = chromium.new_page()
        page.goto(address)
        with page.expect_event("console", lambda said: "Content Security Policy" in said.text):
            page.evaluate("""() => {
                const script = document.createElement("script");
                script.textContent = "window.hacked = 1";
                document.body.append(script);
            }""")
        assert page.evaluate("window.hacked") is None
        page.close()
