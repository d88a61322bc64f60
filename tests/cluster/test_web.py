"""The web page in the real dashboard and the module's own server, with real images."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

import pytest
import rados
from playwright.sync_api import Browser, Locator, Page, expect

from qa.devcluster import FAST_FAILOVER, Cluster, ClusterOptions
from qa.devcluster.ports import free_ports
from qa.ui.browser import browser, complaints
from qa.ui.dashboard import log_in
from qa.workload.images import MIB, digests, make_image, opened
from qa.workload.module_options import module_options
from tests.cluster.commands import Commands
from tests.cluster.fixtures import of_cluster, running_or_new
from tests.cluster.rest import Rest, login

expect.set_options(timeout=30_000)
_STATE_TIMEOUT = 120_000  # milliseconds
READER = ("watcher", "Look-at-9-disks")
HOSTILE = "<img src=x onerror=window.hacked=1>"


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with the dashboard."""
    options = ClusterOptions(dashboard=True, conf=FAST_FAILOVER)
    with running_or_new(tmp_path_factory.mktemp("web"), options) as ready:
        yield ready


client, migration = of_cluster("session")


@pytest.fixture(scope="session")
def chromium() -> "Iterator[Browser]":
    with browser() as started:
        yield started


@pytest.fixture
def page(chromium: Browser) -> "Iterator[Page]":
    """A page with nobody logged in, which at the end must have nothing to complain of."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    new = context.new_page()
    new.set_default_timeout(30_000)
    yield new
    context.close()


@pytest.fixture
def disk(client: rados.Rados, pools: "tuple[str, str]") -> "tuple[str, str]":
    """A source with data in all its parts, and the target to be."""
    source, target = (f"{pool}/disk" for pool in pools)
    make_image(client, source, size=64 * MIB)
    return source, target


@pytest.fixture
def plan(cluster: Cluster, migration: Commands, pools: "tuple[str, str]") -> "Iterator[str]":
    """The name of a plan, which is gone in the end."""
    name = "from-the-page"
    yield name

    def state_now() -> str:
        states = {found["name"]: found["state"] for found in migration.ask("plan ls")}
        return str(states.get(name, ""))

    if state_now() not in ("", "draft", "done", "cancelled"):
        migration.ask("plan cancel", plan=name, force=True)
        cluster.wait_for(lambda: state_now() == "cancelled", 60, "the plan is cancelled")
    if state_now():
        migration.ask("plan rm", plan=name)


def _administrator(cluster: Cluster) -> "dict[str, str]":
    access = cluster.dashboard()
    return {name: access[name] for name in ("user", "password")}


_cookies: "dict[str, Any]" = {}  # of users who logged in


def enter(page: Page, cluster: Cluster, user: str = "", password: str = "") -> "list[str]":
    """Log in with the dashboard's own form, the first time, and go to the page."""
    access = cluster.dashboard()
    if user in _cookies:
        page.context.add_cookies(_cookies[user])
    else:
        about = {"user": user, "password": password} if user else _administrator(cluster)
        log_in(page, cluster, **about)
        _cookies[user] = page.context.cookies()
    page.goto(access["url"] + "/rbd-migration/")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    return complaints(page)


def state(page: Page, word: str) -> None:
    expect(page.locator(".headline .badge")).to_contain_text(word, timeout=_STATE_TIMEOUT)


def percent(page: Page) -> int:
    return int(page.locator(".headline .bar-number").inner_text().rstrip("%"))


def test_from_the_form_to_the_commit(
    page: Page, cluster: Cluster, client: rados.Rados, disk: "tuple[str, str]"
) -> None:
    source, target = disk
    before = digests(client, source)
    said = enter(page, cluster)
    page.get_by_role("link", name="New migration").first.click()
    page.get_by_label("Method", exact=True).select_option("live")
    page.get_by_label("Source image").fill(source)
    page.get_by_label("Target image").fill(target)
    expect(page.get_by_text("It can be prepared")).to_be_visible()  # preflight, by itself
    page.get_by_label("Rate").fill("4M")
    page.get_by_role("button", name="Begin").click()
    state(page, "prepared")
    page.get_by_role("button", name="Execute").click()
    state(page, "executing")
    expect(page.locator(".headline .bar-number")).not_to_have_text("0%")
    seen = percent(page)
    expect(page.locator(".headline .bar-number")).not_to_have_text(f"{seen}%")
    assert percent(page) > seen > 0
    page.get_by_role("button", name="Pause").click()
    state(page, "paused")
    page.get_by_text("Change its settings").click()
    page.get_by_label("Rate").fill("off")
    page.get_by_label("Verify").select_option("full")
    page.get_by_role("button", name="Save the settings").click()
    expect(page.locator("dd").get_by_text("full")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    state(page, "executed")
    page.get_by_role("button", name="Verify …").click()
    page.get_by_role("dialog").get_by_role("button", name="Verify", exact=True).click()
    state(page, "verified")
    expect(page.get_by_text("passed: nothing differs")).to_be_visible()
    page.get_by_role("button", name="Commit …").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"The source {source} and all its snapshots are removed")
    dialog.get_by_role("button", name="Commit", exact=True).click()
    state(page, "committed")
    assert digests(client, target) == before
    assert cluster.rbd("ls", source.split("/")[0]).strip() == ""
    made = login(**cluster.dashboard()).api("GET", "/throughput").body
    assert any(point["rate"] > 0 for point in made)
    page.get_by_role("link", name="History").click()
    expect(page.get_by_role("row").filter(has_text=target)).to_contain_text("committed")
    assert said == []


def test_a_plan_from_its_file_to_the_end(
    page: Page, cluster: Cluster, client: rados.Rados, pools: "tuple[str, str]", plan: str
) -> None:
    origin, goal = pools
    before = {}
    for name in ("plan-1", "plan-2", "plan-3"):
        make_image(client, f"{origin}/{name}", size=8 * MIB)
        before[name] = digests(client, f"{origin}/{name}")
    said = enter(page, cluster)
    page.get_by_role("link", name="Plans").click()
    page.get_by_role("link", name="New plan").click()
    text = page.get_by_label("The plan", exact=True)
    text.fill(f"plan: {plan}\nselect: [{{pool: {origin}, nmae: x}}]\n")
    page.get_by_role("button", name="Check", exact=True).click()
    expect(page.get_by_text("select[0].nmae in the plan is not known")).to_be_visible()
    text.fill(
        f"plan: {plan}\n"
        f'select: [{{pool: {origin}, name: "plan-*"}}]\n'
        f"map: {{target_pool: {goal}}}\n"
        "waves: {size: 2}\n"
    )
    with opened(client, f"{origin}/plan-2", read_only=False):
        page.get_by_role("button", name="Check", exact=True).click()
        expect(page.get_by_text("1 of 3 images cannot begin as things are.")).to_be_visible()
        expect(page.locator(".checked > li")).to_contain_text("SOURCE_IN_USE")
        page.get_by_role("button", name="Create").click()
        state(page, "draft")
        page.get_by_role("button", name="Start …").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("the source and all its snapshots are removed")
        dialog.get_by_role("button", name="Start").click()
        state(page, "running")
        waiting = page.locator(".items tbody tr").filter(has_text="waiting")
        expect(waiting).to_contain_text(f"{origin}/plan-2")
        expect(page.locator(".wave[aria-current=step]")).to_contain_text("1 done, 1 waiting")
    state(page, "done")
    for name, content in before.items():
        assert digests(client, f"{goal}/{name}") == content
    assert "plan-" not in cluster.rbd("ls", origin)
    page.get_by_role("button", name="Remove …").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove it").click()
    expect(page.get_by_role("heading", name="Plans")).to_be_visible()
    assert said == []


def test_a_client_that_writes_is_named(
    page: Page, cluster: Cluster, client: rados.Rados, disk: "tuple[str, str]"
) -> None:
    said = enter(page, cluster)
    page.get_by_role("link", name="New migration").first.click()
    page.get_by_label("Method", exact=True).select_option("live")
    with opened(client, disk[0], read_only=False):
        page.get_by_label("Source image").fill(disk[0])
        page.get_by_label("Target image").fill(disk[1])
        page.get_by_role("button", name="Check", exact=True).click()
        expect(page.get_by_text("SOURCE_IN_USE")).to_be_visible()
        expect(page.get_by_text(f"rbd status {disk[0]}")).to_be_visible()
        me = f"client.{client.get_instance_id()}"
        expect(page.locator(".field-error")).to_contain_text(me)
        expect(page.get_by_role("button", name="Begin")).to_be_disabled()
    assert said == []


def test_an_abort_that_loses_writes_wants_to_be_forced(
    page: Page, cluster: Cluster, client: rados.Rados, migration: Commands, disk: "tuple[str, str]"
) -> None:
    source, target = disk
    migration.json("prepare", source, target)
    with opened(client, target, read_only=False) as image:
        image.write(b"new", 0)
    said = enter(page, cluster)
    page.get_by_role("link", name="Migrations", exact=True).click()
    page.get_by_role("link", name=target).click()
    page.get_by_role("button", name="Abort …").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"the source {source} is restored")
    dialog.get_by_role("button", name="Abort", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text("Clients wrote to")
    dialog.get_by_role("checkbox").check()
    dialog.get_by_role("button", name="Abort by force").click()
    state(page, "aborted")
    assert cluster.rbd("ls", source.split("/")[0]).split() == ["disk"]
    assert said == []


def test_who_may_only_read_sees_nothing_to_press(
    page: Page, cluster: Cluster, migration: Commands, disk: "tuple[str, str]"
) -> None:
    user, password = READER
    admin = login(**cluster.dashboard())
    about = {"username": user, "password": password, "roles": ["read-only"], "enabled": True}
    admin.ask("DELETE", f"/api/user/{user}")
    made = admin.ask(
        "POST", "/api/user", {**about, "name": "", "email": "", "pwdUpdateRequired": False}
    )
    assert made.status == 201, made
    migration.json("prepare", *disk)
    said = enter(page, cluster, user, password)
    expect(page.get_by_role("link", name="New migration")).to_have_count(0)
    page.get_by_role("link", name="Migrations", exact=True).click()
    page.get_by_role("link", name=disk[1]).click()
    state(page, "prepared")
    expect(page.get_by_role("main").get_by_role("button")).to_have_count(0)
    refused = page.evaluate(
        """async (address) => (await fetch(address, {
            method: "POST",
            headers: {
                Accept: "application/vnd.ceph.api.v1.0+json",
                "Content-Type": "application/json",
            },
            body: "{}",
        })).status""",
        f"../api/block/migration/at/{quote(disk[1], safe='')}/abort",
    )
    assert refused == 403
    assert said == []


def test_names_are_text(
    page: Page,
    cluster: Cluster,
    client: rados.Rados,
    migration: Commands,
    pools: "tuple[str, str]",
) -> None:
    source, target = (f"{pool}/{HOSTILE}" for pool in pools)
    make_image(client, source, size=MIB)
    migration.json("prepare", source, target)
    said = enter(page, cluster)
    page.get_by_role("link", name="Migrations", exact=True).click()
    page.get_by_role("link", name=target).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(target)
    state(page, "prepared")
    page.get_by_role("button", name="Execute").click()
    state(page, "executed")
    assert page.evaluate("window.hacked") is None
    assert page.locator("#view img").count() == 0
    assert said == []


def test_nobody_is_told_to_log_in(page: Page, cluster: Cluster) -> None:
    url = cluster.dashboard()["url"]
    page.goto(url + "/rbd-migration/")
    link = page.get_by_role("link", name="Log in to the dashboard")
    expect(link).to_be_visible()
    link.click()
    expect(page.locator("input[name=username]")).to_be_visible()


def test_the_menu_of_the_dashboard_leads_to_the_page(page: Page, cluster: Cluster) -> None:
    log_in(page, cluster, **_administrator(cluster))
    page.get_by_text("Block", exact=True).first.click()
    entry = page.get_by_role("link", name="Live migration")
    neighbour = page.get_by_role("navigation").get_by_role("link", name="Images", exact=True)
    expect(entry).to_be_visible()
    page.mouse.move(0, 0)  # neither of them is pointed at
    assert looks(entry) == looks(neighbour)
    entry.click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def looks(link: Locator) -> "dict[str, str]":
    """What an entry of the dashboard's menu looks like, in all that its text takes part in."""
    found: dict[str, str] = link.evaluate(
        """(link) => {
            const words = document.createTreeWalker(link, NodeFilter.SHOW_TEXT);
            let word = words.nextNode();
            while (!word.textContent.trim()) word = words.nextNode();
            const style = getComputedStyle(word.parentElement);
            const names = ["color", "fontSize", "fontWeight", "fontFamily", "paddingLeft"];
            const title = link.closest("[title]")?.title ?? word.parentElement.title;
            return {
                ...Object.fromEntries(names.map((name) => [name, style[name]])),
                left: String(word.parentElement.getBoundingClientRect().left),
                height: String(link.getBoundingClientRect().height),
                hasOwnTitle: String(!title || title === word.textContent.trim()),
            };
        }"""
    )
    return found


def test_several_are_committed_and_the_list_of_images_leads_to_a_migration(
    page: Page,
    cluster: Cluster,
    client: rados.Rados,
    migration: Commands,
    pools: "tuple[str, str]",
) -> None:
    """The dashboard's own list of images has a link; the page has the selection."""
    origin, goal = pools
    before = {}
    for name in ("bulk-1", "bulk-2"):
        make_image(client, f"{origin}/{name}", size=8 * MIB)
        before[name] = digests(client, f"{origin}/{name}")
        migration.json("prepare", f"{origin}/{name}", f"{goal}/{name}")
        migration.json("execute", f"{goal}/{name}")
    log_in(page, cluster, **_administrator(cluster))
    page.goto(cluster.dashboard()["url"] + "/#/block/rbd")
    link = page.get_by_role("link", name=re.compile("^Migration: ")).first
    expect(link).to_be_visible()
    link.click()
    state(page, "executed")
    expect(page.get_by_role("link", name="Images in the dashboard")).to_be_visible()
    said = complaints(page)
    page.get_by_role("link", name="Migrations", exact=True).first.click()
    for name in before:
        page.get_by_label(f"Select {goal}/{name}").check()
    page.get_by_role("button", name="Commit 2 …").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"The source {origin}/bulk-1 and its snapshots are removed")
    dialog.get_by_role("button", name="Commit 2").click()
    expect(page.get_by_role("heading", name="Commit: 2 begun")).to_be_visible()
    for name, content in before.items():
        cluster.wait_for(
            lambda name=name: migration.json("status", f"{goal}/{name}")["state"] == "committed",
            60,
            f"{goal}/{name} is committed",
        )
        assert digests(client, f"{goal}/{name}") == content
    assert "bulk-" not in cluster.rbd("ls", origin)
    assert said == []


def test_the_throttle_is_set(page: Page, cluster: Cluster, migration: Commands) -> None:
    said = enter(page, cluster)
    page.get_by_role("link", name="Throttle and windows").click()
    try:
        page.get_by_label("Throttle", exact=True).fill("Mon-Sun 00:00,7M 12:00,9M")
        page.get_by_role("textbox", name="Window").fill("00:00-23:00")
        page.get_by_role("button", name="Set throttle and window").click()
        expect(page.get_by_text(re.compile("Throttle in force now: [79] MiB/s"))).to_be_visible()
        page.get_by_label("Copies at once").fill("3")
        page.get_by_role("button", name="Set the limits").click()
        expect(page.get_by_role("status").filter(has_text="The limits are set")).to_be_visible()
        assert migration.json("throttle", "get")["timetable"] == "00:00,7M 12:00,9M"
        assert migration.json("window", "get")["window"] == "00:00-23:00"
        assert migration.json("limit", "get")["max_copies"] == 3
    finally:
        migration.json("throttle", "clear")
        migration.json("window", "clear")
        migration.json("limit", "set", "--max-copies", "4")
    assert said == []


def test_a_hook_is_added_tested_and_removed(
    page: Page, cluster: Cluster, migration: Commands
) -> None:
    said = enter(page, cluster)
    page.get_by_role("link", name="Hooks").click()
    page.get_by_text("Add a hook").click()
    page.get_by_label("Name", exact=True).fill("from-the-page")
    page.get_by_label("URL", exact=True).fill("https://127.0.0.1:9/")
    page.get_by_label("Secret", exact=True).fill("x" * 32)
    add = page.get_by_role("button", name="Add the hook")
    add.click()
    expect(page.locator(".field-error")).to_contain_text("may not be reached")
    assert migration.ask("hook ls") == []
    row = page.get_by_role("table", name="Hooks", exact=True).get_by_role("row", name="from-the")
    with module_options(cluster, hook_hosts="127.0.0.1"):
        expect(add).to_be_enabled()
        add.click()
        expect(row).to_contain_text("https://127.0.0.1:9/")
        assert [hook["name"] for hook in migration.ask("hook ls")] == ["from-the-page"]
        page.get_by_role("button", name="Test from-the-page").click()  # nothing listens there
        expect(page.get_by_text("The hook from-the-page did not take it")).to_be_visible()
        page.get_by_role("button", name="Remove from-the-page").click()
        page.get_by_role("dialog").get_by_role("button", name="Remove it").click()
        expect(row).to_have_count(0)
    assert migration.ask("hook ls") == []
    assert said == []


def test_the_own_server_wants_a_key(
    page: Page, cluster: Cluster, migration: Commands, disk: "tuple[str, str]"
) -> None:
    port = free_ports(1)[0]
    key = migration.json("api", "key", "create", "web", "--role", "write")
    url = f"http://127.0.0.1:{port}"
    options = {"server_addr": "127.0.0.1", "server_port": str(port), "server_tls": "false"}
    with ExitStack() as stack:
        stack.callback(migration.text, "api", "key", "rm", key["id"])
        stack.enter_context(module_options(cluster, **options, server="true"))
        cluster.wait_for(lambda: _answers(url), 60, f"the server at {url}")
        said = complaints(page)
        page.goto(url + "/rbd-migration/")
        page.get_by_label("API key").fill(key["key"])
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("heading", name="Overview")).to_be_visible()
        expect(page.get_by_role("link", name="Ceph dashboard")).to_be_hidden()
        page.get_by_role("link", name="New migration").first.click()
        page.get_by_label("Source image").fill(disk[0])
        page.get_by_label("Target image").fill(disk[1])
        page.get_by_role("button", name="Begin").click()
        state(page, "prepared")
        assert said == []


def _answers(url: str) -> bool:
    try:
        return Rest(url).ask("GET", "/healthz").status == 200
    except OSError:
        return False
