"""Charts; times in a zone that is named; what is added to the dashboard's own page."""

import re
from pathlib import Path

from playwright.sync_api import expect

from qa.ui.server import STATIC


def test_a_migration_and_a_plan_have_a_chart_of_their_own(open_page, double):
    page = open_page(double, "#/migrations/nvme%2Fvm-00001")
    chart = page.get_by_role("img", name=re.compile("Throughput of the last 60 minutes"))
    expect(chart).to_be_visible()
    assert any("throughput?target=nvme%2Fvm-00001" in request for request in double.requests)
    page.evaluate("location.hash = '#/plans/ssd-move'")
    expect(page.get_by_role("heading", name="ssd-move")).to_be_visible()
    expect(chart).to_be_visible()
    assert any("throughput?plan=ssd-move" in request for request in double.requests)


def test_the_latency_of_clients_is_drawn_while_it_is_known(open_page, double):
    page = open_page(double)
    expect(page.get_by_role("img", name=re.compile("^Throughput"))).to_be_visible()
    expect(page.get_by_role("heading", name="Latency of clients")).to_be_hidden()
    double.pace.guard = 1.5
    page.reload()
    expect(page.get_by_role("img", name=re.compile("^Latency of clients.* ms"))).to_be_visible()


def test_all_times_are_in_the_chosen_zone(open_page, double):
    double.pace.zone = "Asia/Tokyo"
    page = open_page(double, "#/migrations/nvme%2Fvm-00001")
    zone = page.get_by_label("Times in")
    when = page.locator("dd").filter(has_text=re.compile(r"\d{4}-\d\d-\d\d \d\d:")).first
    zone.select_option("UTC")
    before = when.inner_text()
    zone.select_option("Asia/Tokyo")
    expect(when).not_to_have_text(before)
    hours = [int(re.search(r" (\d\d):", text)[1]) for text in (before, when.inner_text())]
    assert (hours[1] - hours[0]) % 24 == 9
    page.reload()
    expect(zone).to_have_value("Asia/Tokyo")


def test_times_in_messages_are_in_that_zone_too(open_page, double):
    page = open_page(double)
    said = page.evaluate(
        """async () => {
            const { useTimeZone, withTimes } = await import("./js/format.js");
            useTimeZone("Europe/Berlin");
            return withTimes("It opens at 2026-11-27 23:00 UTC, not at 25:00.");
        }"""
    )
    assert said == "It opens at 2026-11-28 00:00 CET, not at 25:00."


MENU_OF_20 = """<ul><li class="tc_submenuitem_block_images" title="Images">
<a class="cds--side-nav__link cds--side-nav__link--current" title="Images" aria-current="page"
href="#/block/rbd"><span class="cds--side-nav__link-text"> Images </span></a></li></ul>"""
MENU_OF_16 = """<ul><li class="tc_submenuitem tc_submenuitem_block_images active">
<a class="active" routerlink="/block/rbd" href="#/block/rbd">Images</a></li></ul>"""
LIST_OF_16 = """<cd-rbd-list><datatable-header-cell></datatable-header-cell>
<datatable-header-cell>Name</datatable-header-cell><datatable-header-cell>Pool</datatable-header-cell>
<datatable-header-cell>Namespace</datatable-header-cell>
<datatable-body-row><datatable-body-cell></datatable-body-cell>
<datatable-body-cell><div class="datatable-body-cell-label">vm-00001</div></datatable-body-cell>
<datatable-body-cell>hdd</datatable-body-cell><datatable-body-cell></datatable-body-cell>
</datatable-body-row></cd-rbd-list>"""
LIST_OF_20 = """<cd-rbd-list><table>
<thead><tr><th>Name</th><th>Pool</th><th>Namespace</th></tr></thead>
<tbody><tr><td>database</td><td>nvme</td><td>tenant-a</td></tr>
<tr><td>other</td><td>nvme</td><td>-</td></tr></tbody></table></cd-rbd-list>"""


def dashboard(open_page, double, body: str):
    """A stand-in for the dashboard's document, with the script that is added to it."""
    page = open_page(double)
    root = page.url.partition("rbd-migration/")[0]
    script = (Path(STATIC) / "menu.js").read_text(encoding="utf-8")
    body = f'<base href="/">{body}'
    page.route("**/stand-in", lambda route: route.fulfill(body=body, content_type="text/html"))
    page.goto(f"{root}rbd-migration/stand-in")
    page.evaluate(script)
    return page


def test_the_entry_in_the_menu_looks_like_its_neighbours(open_page, double):
    page = dashboard(open_page, double, MENU_OF_20)
    entry = page.locator(".rbd-migration-menu")
    expect(entry.locator("span.cds--side-nav__link-text")).to_have_text("Live migration")
    expect(entry).to_have_attribute("title", "Live migration")
    link = entry.get_by_role("link")
    expect(link).to_have_attribute("title", "Live migration")
    expect(link).to_have_attribute("href", re.compile("/rbd-migration/$"))
    assert link.get_attribute("aria-current") is None
    assert link.get_attribute("class").split() == ["cds--side-nav__link"]


def test_the_entry_of_older_releases_stays_as_it_was(open_page, double):
    page = dashboard(open_page, double, MENU_OF_16)
    link = page.locator(".rbd-migration-menu").get_by_role("link")
    expect(link).to_have_text("Live migration")
    assert link.get_attribute("routerlink") is None
    assert "active" not in link.get_attribute("class").split()


def test_images_of_the_dashboard_lead_to_their_migrations(open_page, double):
    page = dashboard(open_page, double, LIST_OF_16 + LIST_OF_20.replace("cd-rbd-list", "div"))
    link = page.get_by_role("link", name=re.compile(r"^Migration: executing \d+%"))
    expect(link).to_have_count(1)
    expect(link).to_have_attribute(
        "href", re.compile("/rbd-migration/#/migrations/nvme%2Fvm-00001$")
    )
    page.evaluate("document.querySelector('.datatable-body-cell-label').firstChild.data = 'idle'")
    page.evaluate("document.body.append(document.createElement('p'))")  # the dashboard draws again
    expect(link).to_have_count(0)


def test_also_in_a_table_of_the_newest_dashboard(open_page, double):
    page = dashboard(open_page, double, LIST_OF_20)
    link = page.get_by_role("link", name="Migration: executed 100%")
    expect(link).to_have_count(1)
    expect(link).to_have_attribute("href", re.compile("nvme%2Ftenant-a%2Fdatabase$"))
