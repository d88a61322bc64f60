"""Hooks on the page: what came of their messages, tests, answers, adding and removing."""

from playwright.sync_api import expect

from qa.ui.double import Double


def hook(page, name):
    return page.get_by_role("table", name="Hooks", exact=True).get_by_role("row", name=name)


def test_hooks_and_what_came_of_their_messages_are_listed(open_page, double):
    page = open_page(double, "#/hooks")
    expect(hook(page, "proxmox")).to_contain_text("https://pve.example.com/hook")
    expect(hook(page, "tickets-down")).to_contain_text("2 messages were given up")
    recent = page.get_by_role("table", name="Recent messages").locator("tbody tr")
    expect(recent).to_have_count(3)
    expect(recent.first).to_contain_text("later")  # the latest first
    expect(recent.nth(1)).to_contain_text("down for maintenance")
    recent.first.get_by_role("link", name="nvme/vm-00019").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("nvme/vm-00019")


def test_without_hooks_the_page_says_what_they_are_for(open_page):
    page = open_page(Double(), "#/hooks")
    expect(page.get_by_text("There are no hooks.")).to_be_visible()


def test_a_hook_is_tested(open_page, double):
    page = open_page(double, "#/hooks")
    page.get_by_role("button", name="Test proxmox").click()
    expect(page.get_by_text("The hook proxmox took the message.")).to_be_visible()
    expect(hook(page, "proxmox")).to_contain_text("taken")
    expect(page.get_by_role("button", name="Test proxmox")).to_be_focused()
    page.get_by_role("button", name="Test tickets-down").click()
    expect(page.get_by_text("The hook tickets-down did not take it")).to_be_visible()


def test_a_no_needs_a_reason(open_page, double):
    page = open_page(double, "#/hooks")
    page.get_by_role("button", name="Answer for proxmox about nvme/vm-00019").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Reason")).to_be_hidden()
    dialog.get_by_label("no", exact=True).check()
    dialog.get_by_role("button", name="Answer").click()
    expect(dialog).to_be_visible()
    assert double.hooks.hooks["proxmox"].questions == ("nvme/vm-00019",)
    dialog.get_by_label("Reason").fill("Not before noon.")
    with page.expect_request(lambda request: request.method == "POST") as sent:
        dialog.get_by_role("button", name="Answer").click()
    assert sent.value.post_data_json == {"hook": "proxmox", "veto": "Not before noon."}
    expect(page.get_by_text("the answer for proxmox is no")).to_be_visible()
    expect(page.get_by_role("heading", name="Questions that wait")).to_be_hidden()


def test_a_yes_sends_no_reason(open_page, double):
    page = open_page(double, "#/hooks")
    page.get_by_role("button", name="Answer for proxmox").click()
    with page.expect_request(lambda request: request.method == "POST") as sent:
        page.get_by_role("dialog").get_by_role("button", name="Answer").click()
    assert sent.value.post_data_json == {"hook": "proxmox"}
    expect(page.get_by_text("the answer for proxmox is yes")).to_be_visible()


def test_a_hook_is_added_and_errors_stand_at_their_field(open_page, double):
    page = open_page(double, "#/hooks")
    page.get_by_text("Add a hook").click()

    def wrong(label, text):
        place = page.locator(".field").filter(has=page.get_by_label(label, exact=True))
        expect(place.locator(".field-error")).to_contain_text(text)

    add = page.get_by_role("button", name="Add the hook")
    page.get_by_label("Name", exact=True).fill("proxmox")
    page.get_by_label("URL", exact=True).fill("ftp://example.com")
    page.get_by_label("Secret", exact=True).fill("short")
    add.click()
    wrong("Name", "There is a hook proxmox already")
    page.get_by_label("Name", exact=True).fill("lab")
    add.click()
    wrong("URL", "no scheme that is known")
    page.get_by_label("URL", exact=True).fill("https://lab.example.com/")
    add.click()
    wrong("Secret", "16 to 4096 characters")
    page.get_by_label("Secret", exact=True).fill("x" * 32)
    page.get_by_label("Timeout", exact=True).fill("soon")
    add.click()
    wrong("Timeout", "timeout")
    page.get_by_label("Timeout", exact=True).fill("20s")
    page.get_by_label("executed", exact=True).uncheck()
    add.click()
    expect(hook(page, "lab")).to_be_visible()
    assert "executed" not in double.hooks.hooks["lab"].events
    assert double.hooks.hooks["lab"].timeout_seconds == 20.0


def test_a_hook_is_removed_after_a_question(open_page, double):
    page = open_page(double, "#/hooks")
    page.get_by_role("button", name="Remove proxmox").click()
    expect(page.get_by_role("dialog")).to_contain_text("is told nothing more")
    page.get_by_role("dialog").get_by_role("button", name="Remove it").click()
    expect(hook(page, "proxmox")).to_have_count(0)
    assert list(double.hooks.hooks) == ["tickets-down"]


def test_who_may_only_read_changes_nothing(open_page, double):
    double.rights = set()
    page = open_page(double, "#/hooks")
    expect(hook(page, "proxmox")).to_be_visible()
    expect(page.get_by_role("main").get_by_role("button")).to_have_count(0)
    expect(page.get_by_text("Add a hook")).to_have_count(0)
