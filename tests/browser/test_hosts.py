"""Agents, guests, and cutovers that move a running guest."""

import re
import time

from playwright.sync_api import expect

from qa.ui.double import Double
from qa.ui.scenes import hosts, item
from rbdmigrate.model.states import Goal, Method, State


def test_agents_and_the_images_that_guests_have_open_are_listed(open_page, double):
    page = open_page(double, "#/hosts")
    agents = page.get_by_role("table", name="Agents on hosts of guests")
    expect(agents.get_by_role("row")).to_have_count(3)
    expect(agents.get_by_role("row", name="pve4")).to_contain_text("does not report any more")
    guests = page.get_by_role("table", name="Guests that have images open")
    expect(guests.get_by_role("row", name="hdd/vm-00020")).to_contain_text("web-17")
    expect(guests.get_by_role("row", name="hdd/scratch")).to_contain_text("It is a CD drive.")
    page.get_by_label("Search").fill("scratch")
    expect(guests.get_by_role("row")).to_have_count(2)


def test_without_agents_the_page_says_what_they_are_for(open_page):
    page = open_page(Double(), "#/hosts")
    expect(page.get_by_text("No agent has reported to this manager.")).to_be_visible()


def test_the_form_asks_about_the_cutover_of_the_method_warm_alone(open_page):
    double = Double()
    bodies = []
    create = double._create
    double._create = lambda body: bodies.append(body) or create(body)
    page = open_page(double, "#/new")
    mode = page.get_by_label("Clients at the cutover")
    method = page.get_by_label("Method", exact=True)
    expect(method).to_have_value("auto")
    expect(mode).to_be_visible()
    method.select_option("live")
    expect(mode).to_be_hidden()
    page.get_by_label("Method", exact=True).select_option("warm")
    pause, names = page.get_by_label("Longest pause"), page.get_by_label("under its new name")
    expect(mode).to_have_value("refuse")
    expect(pause).to_be_hidden()
    expect(names).to_be_hidden()
    mode.select_option("when-closed")
    expect(pause).to_be_hidden()
    mode.select_option("agent")
    pause.fill("5s")
    names.check()
    page.get_by_label("Source image").fill("hdd/vm1")
    page.get_by_label("Target image").fill("nvme/vm1")
    page.get_by_role("button", name="Begin").click()
    expect(page).to_have_title(re.compile("nvme/vm1"))
    (body,) = bodies
    assert (body["cutover"], body["max_pause"], body["name_changes"]) == ("agent", "5s", True)


def test_the_form_asks_how_clients_leave_an_image_of_another_cluster(open_page):
    page = open_page(Double(), "#/new")
    page.get_by_label("import from an external source").check()
    external = page.locator(".external")
    external.get_by_label("Format").select_option("native")
    mode = external.get_by_label("Clients at the cutover")
    expect(mode).to_have_count(0)
    external.get_by_label("Import method").select_option("warm")
    expect(mode).to_be_visible()
    external.get_by_label("Import method").select_option("copy")
    expect(mode).to_have_count(0)
    external.get_by_label("Import method").select_option("warm")
    values = mode.locator("option").evaluate_all("options => options.map(one => one.value)")
    assert values == ["refuse", "when-closed", "hook"], "no agent moves guests between clusters"
    mode.select_option("when-closed")
    external.get_by_label("Cutover window").fill("Sun 02:00-04:00")
    external.get_by_label("Pool", exact=True).fill("hdd")
    external.get_by_label("Image", exact=True).fill("web")
    external.get_by_text("Another cluster", exact=True).click()
    external.get_by_label("Monitors of another cluster").fill("10.0.0.1")
    page.get_by_label("Target image").fill("nvme/web")
    with page.expect_request(
        lambda request: request.method == "POST" and request.url.endswith("/migration")
    ) as sent:
        page.get_by_role("button", name="Begin").click()
    body = sent.value.post_data_json
    assert (body["method"], body["cutover"]) == ("warm", "when-closed")
    assert body["cutover_window"] == "Sun 02:00-04:00"


def test_a_cutover_says_which_guest_is_concerned_and_asks_how(open_page):
    now = time.time()
    one = item(20, State.EXECUTED, now, method=Method.WARM, goal=Goal.CUT_OVER)
    double = Double([one], hosts=hosts(now))
    asked = []
    act = double._act
    double._act = lambda m, action, body: asked.append((action, body)) or act(m, action, body)
    page = open_page(double, "#/migrations/nvme%2Fvm-00020")
    users = page.get_by_role("table", name="Guests that have images open")
    expect(users.get_by_role("row", name="web-17")).to_contain_text("pve3")
    page.get_by_role("button", name="Cut over …").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Clients at the cutover").select_option("agent")
    dialog.get_by_label("Longest pause").fill("2s")
    dialog.get_by_role("button", name="Cut over", exact=True).click()
    expect(page.locator(".headline .badge")).to_contain_text("cut-over")
    assert asked == [("cutover", {"cutover": "agent", "max_pause": "2s"})]
    page.get_by_role("button", name="Abort …").click()
    choices = page.get_by_role("dialog").get_by_label("Clients at the cutover").locator("option")
    assert [choice.get_attribute("value") for choice in choices.all()] == [
        "refuse",
        "hook",
        "agent",
    ]
