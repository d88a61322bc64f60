"""A migration from the form to the commit, and what goes wrong on the way."""

import json
import re
import time

import pytest
from playwright.sync_api import Page, expect

from qa.ui.double import Double
from qa.ui.scenes import item
from rbdmigrate.model.reverse_rounds import ReverseRounds
from rbdmigrate.model.source import COPIED_FORMATS, SourceSpec, StreamSpec
from rbdmigrate.model.source_spec import parse_source_spec
from rbdmigrate.model.states import Goal, Method, State

TARGET = "nvme/vm1"


def begin(page: Page, source: str = "hdd/vm1", goal: str = "prepared") -> None:
    """Fill in the form and begin."""
    page.get_by_label("Source image").fill(source)
    page.get_by_label("Target image").fill(TARGET)
    page.get_by_label("Goal").select_option(goal)
    page.get_by_role("button", name="Begin").click()


def percent(page: Page) -> int:
    return int(page.locator(".headline .bar-number").inner_text().rstrip("%"))


def state(page: Page, word: str) -> None:
    expect(page.locator(".headline .badge")).to_contain_text(word)


def test_from_the_form_to_the_commit(open_page):
    page = open_page(Double(), "#/new")
    page.get_by_label("Source image").fill("hdd/vm1-clone")
    page.get_by_label("Target image").fill(TARGET)
    expect(page.get_by_text("SOURCE_HAS_CLONES")).to_be_visible()  # by itself, after a pause
    expect(page.get_by_text("It can be prepared")).to_be_visible()
    page.get_by_role("button", name="Begin").click()
    expect(page).to_have_title(re.compile("nvme/vm1"))
    state(page, "prepared")
    page.get_by_role("button", name="Execute").click()
    state(page, "executing")
    before = percent(page)
    expect(page.locator(".headline .bar-number")).not_to_have_text(f"{before}%")
    assert percent(page) > before
    page.get_by_role("button", name="Pause").click()
    state(page, "paused")
    expect(page.locator("p.alert.warning")).to_contain_text("It waits (paused)")
    page.get_by_role("button", name="Resume").click()
    state(page, "executed")
    page.get_by_role("button", name="Commit …").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("The source hdd/vm1-clone and all its snapshots are removed")
    expect(dialog).to_contain_text("Its contents are compared with its source first")
    dialog.get_by_role("button", name="Commit", exact=True).click()
    state(page, "committed")
    expect(page.get_by_role("group", name="Actions").get_by_role("button")).to_have_count(0)
    expect(page.locator(".timeline .moment-state").first).to_have_text("committed")


def test_preflight_says_which_method_is_taken(open_page):
    page = open_page(Double(), "#/new")
    page.get_by_label("Source image").fill("hdd/vm1")
    page.get_by_label("Target image").fill(TARGET)
    methods = page.locator(".methods li")
    expect(methods.first).to_contain_text("recommended")
    expect(methods.first).to_contain_text("Clients use the source until the cutover")
    page.get_by_label("Method", exact=True).select_option("live")
    expect(methods).to_have_count(0)


def test_a_refusal_is_shown_and_what_was_typed_stays(open_page):
    double = Double()
    page = open_page(double, "#/new")
    page.route("**/check", lambda route: route.abort())  # preflight knows nothing
    begin(page, "hdd/missing")
    source = page.get_by_label("Source image")
    expect(page.locator(".field-error")).to_have_text("There is no image hdd/missing.")
    expect(source).to_have_value("hdd/missing")
    expect(source).to_have_attribute("aria-invalid", "true")
    begin(page, "hdd/used")
    expect(page.locator(".field-error:visible")).to_contain_text("is in use by client.4711")
    assert not double.items
    expect(page.get_by_text("There is no image")).to_have_count(0)


def test_preflight_marks_the_fields_and_begin_waits_for_no_error(open_page):
    double = Double()
    page = open_page(double, "#/new")
    page.get_by_label("Source image").fill("hdd/used")
    page.get_by_label("Target image").fill(TARGET)
    begin_button = page.get_by_role("button", name="Begin")
    error = page.locator(".field-error:visible")
    expect(error).to_contain_text("is in use by client.4711")
    expect(begin_button).to_be_disabled()
    expect(page.get_by_text("Begin is possible when no error is left.")).to_be_visible()
    described = page.get_by_label("Source image").get_attribute("aria-describedby")
    assert error.get_attribute("id") in described.split()
    page.get_by_label("Source image").fill("hdd/vm1")
    expect(page.get_by_text("It can be prepared")).to_be_visible()
    expect(error).to_have_count(0)
    begin_button.click()
    state(page, "prepared")


BAD_FIELDS = [
    ("Rate", "fast", "is not a rate"),
    ("Window", "sometimes", "is not made of days"),
    ("Soak", "long", "is not a duration"),
]


@pytest.mark.parametrize(("label", "value", "said"), BAD_FIELDS)
def test_what_is_typed_wrongly_is_said_at_its_field(open_page, label, value, said):
    page = open_page(Double(), "#/new")
    field = page.locator(".field").filter(has=page.get_by_label(label, exact=True))
    field.get_by_role("textbox").fill(value)
    expect(field.locator(".field-error")).to_contain_text(said)
    expect(page.get_by_role("button", name="Begin")).to_be_disabled()
    field.get_by_role("textbox").fill("")
    expect(field.locator(".field-error")).to_be_hidden()
    expect(page.get_by_role("button", name="Begin")).to_be_enabled()


def test_pools_namespaces_and_images_are_proposed(open_page):
    page = open_page(Double(), "#/new")

    def proposals(label):
        control = page.get_by_label(label)
        return page.locator(f"#{control.get_attribute('list')} option")

    source = page.get_by_label("Source image")
    source.focus()
    expect(proposals("Source image").first).to_have_attribute("value", "hdd/")
    source.fill("hdd/vm-0000")
    expect(proposals("Source image").first).to_have_attribute("value", "hdd/vm-00001")
    source.fill("hdd/tenant-a/")
    expect(proposals("Source image")).to_have_count(2)
    source.fill("hdd/vm-00001")
    page.get_by_label("Target image").focus()
    found = proposals("Target image")
    expect(found).to_have_count(4)
    values = [one.get_attribute("value") for one in found.all()]
    assert values == ["hdd/tenant-a/vm-00001", "nvme/vm-00001", "nvme/tenant-a/vm-00001",
                      "ec-data/vm-00001"]  # fmt: skip
    page.get_by_label("Target image").fill("elsewhere/x")  # anything else can be typed too
    expect(page.get_by_text("It can be prepared")).to_be_visible()


def test_without_proposals_everything_can_be_typed(open_page):
    page = open_page(Double(), "#/new")
    page.route(re.compile("/pool|/image"), lambda route: route.abort())
    page.get_by_label("Source image").fill("hdd/vm1")
    page.get_by_label("Target image").fill(TARGET)
    expect(page.get_by_text("It can be prepared")).to_be_visible()


def test_force_is_offered_only_after_the_refusal(open_page, double):
    double.guarded = {"nvme/vm-00001"}
    page = open_page(double, "#/migrations/nvme%2Fvm-00001")
    page.get_by_role("button", name="Abort …").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("checkbox")).to_be_hidden()
    dialog.get_by_role("button", name="Abort", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text("Clients wrote to nvme/vm-00001")
    expect(dialog.get_by_role("button", name="Abort", exact=True)).to_be_disabled()
    expect(dialog.get_by_role("alert")).to_contain_text("tick the box below")
    expect(dialog).not_to_contain_text('"force"')
    dialog.get_by_role("checkbox").check()
    dialog.get_by_role("button", name="Abort by force").click()
    state(page, "aborted")
    assert "nvme/vm-00001" not in double.items


def test_an_image_is_copied_onto_itself_only_after_a_box_was_ticked(open_page):
    double = Double()
    page = open_page(double, "#/new")
    page.get_by_label("Source image").fill("hdd/vm4")
    box = page.get_by_label("Copy the image onto itself")
    expect(box).to_be_hidden()
    page.get_by_role("button", name="Check", exact=True).click()
    expect(page.get_by_text("It cannot be prepared")).to_be_visible()
    expect(
        page.get_by_text("give a target or a layout option, or tick the box below")
    ).to_be_visible()
    box.check()
    expect(page.get_by_text("It can be prepared")).to_be_visible()
    page.get_by_role("button", name="Begin").click()
    state(page, "prepared")


def test_the_copy_of_a_client_is_stopped_only_after_a_warning(open_page, double):
    page = open_page(double, "#/migrations/nvme%2Fvm-00002")
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Stop the client's copy …").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("a virtual machine sees I/O errors")
    assert double.items["nvme/vm-00002"].live.copied_by
    dialog.get_by_role("button", name="Stop it").click()
    state(page, "paused")
    expect(page.get_by_role("button", name="Stop the client's copy …")).to_have_count(0)
    assert not double.items["nvme/vm-00002"].live.copied_by


def test_what_cannot_be_forced_is_not_offered(open_page, double):
    page = open_page(double, "#/migrations/nvme%2Fvm-00008")
    page.get_by_role("button", name="Commit …").click()
    double.items.pop("nvme/vm-00008")  # somebody was quicker
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Commit", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text("There is no migration")
    expect(dialog.get_by_role("checkbox")).to_be_hidden()
    dialog.get_by_role("button", name="Leave it as it is").click()
    expect(page.get_by_text("There is no migration to nvme/vm-00008")).to_be_visible()


def test_an_import(open_page):
    double = Double()
    page = open_page(double, "#/new")
    page.get_by_label("import from an external source").check()
    page.get_by_label("Stream").select_option("http")
    page.get_by_label("URL").fill("https://images.example/web.raw")
    page.get_by_role("button", name="Add a snapshot").click()
    page.get_by_label("Snapshot's name").fill("one")
    page.get_by_label("URL").last.fill("https://images.example/one.raw")
    page.get_by_label("Target image").fill("nvme/web")
    with page.expect_request(lambda request: request.method == "POST") as sent:
        page.get_by_role("button", name="Check", exact=True).click()
    assert sent.value.post_data_json == {
        "target": "nvme/web",
        "layout": {},
        "import_only": True,
        "source_spec": {
            "type": "raw",
            "stream": {"type": "http", "url": "https://images.example/web.raw"},
            "snapshots": [
                {
                    "type": "raw",
                    "name": "one",
                    "stream": {"type": "http", "url": "https://images.example/one.raw"},
                }
            ],
        },
    }
    expect(page.get_by_text("It can be prepared")).to_be_visible()


def test_an_import_of_a_packed_disk_with_its_checksum(open_page):
    page = open_page(Double(), "#/new")
    page.get_by_label("import from an external source").check()
    page.get_by_label("Format").select_option("vmdk")
    page.get_by_label("Stream").select_option("http")
    page.get_by_label("URL").fill("https://images.example/web.ova.gz")
    page.get_by_label("Target image").fill("nvme/web")
    expect(page.get_by_label("Checksum")).to_be_hidden()
    page.get_by_text("Packed files, checksum, logins").click()
    page.get_by_label("Compression").select_option("gzip")
    page.get_by_label("Disk in an archive of tar").fill("web-disk1.vmdk")
    page.get_by_label("Size of the disk").fill("10737418240")
    page.get_by_label("Checksum").fill("sha256:" + "0" * 64)
    with page.expect_request(lambda request: request.method == "POST") as sent:
        page.get_by_role("button", name="Check", exact=True).click()
    spec = {
        "type": "vmdk",
        "stream": {
            "type": "http",
            "url": "https://images.example/web.ova.gz",
            "compression": "gzip",
            "member": "web-disk1.vmdk",
            "size": 10737418240,
            "checksum": "sha256:" + "0" * 64,
        },
    }
    assert sent.value.post_data_json["source_spec"] == spec
    assert parse_source_spec(json.dumps(spec)).to_plain() == spec  # and it is taken
    page.get_by_label("Stream").select_option("nbd")  # keeps what that has too
    expect(page.get_by_label("Checksum")).to_have_value("sha256:" + "0" * 64)
    expect(page.get_by_label("Compression")).to_have_count(0)


def test_every_field_of_the_form_is_one_of_a_source_spec(open_page):
    page = open_page(Double(), "#/new")
    found = page.evaluate("import('./js/source_spec.js').then((m) => [m.FORMATS, m.STREAMS])")
    formats, streams = found
    known = {"raw", "qcow", "native", *COPIED_FORMATS}
    assert {form["name"] for form in formats} == known
    for form in formats:
        assert {field["name"] for field in form["fields"]} <= set(SourceSpec.__dataclass_fields__)
    fields = set(StreamSpec.__dataclass_fields__)
    for stream in streams:
        assert {field["name"] for field in stream["fields"]} <= fields


def test_a_file_of_another_format_is_imported_as_it_is_only_after_a_box_was_ticked(open_page):
    page = open_page(Double(), "#/new")
    page.get_by_label("import from an external source").check()
    page.get_by_label("Stream").select_option("http")
    page.get_by_label("URL").fill("https://images.example/web.qcow2")
    page.get_by_label("Target image").fill("nvme/web")
    box = page.get_by_label("Import the file's bytes as they are")
    expect(box).to_be_hidden()
    page.get_by_role("button", name="Check", exact=True).click()
    expect(page.get_by_text("It cannot be prepared")).to_be_visible()
    expect(page.get_by_text("with the box below ticked its bytes are imported")).to_be_visible()
    with page.expect_request(lambda request: request.method == "POST") as sent:
        box.check()
    assert sent.value.post_data_json["as_raw"] is True
    expect(page.get_by_text("It can be prepared")).to_be_visible()
    page.get_by_label("Format").select_option("qcow")
    expect(box).to_be_hidden()


def test_keys_stand_in_the_header_only_when_that_is_allowed(open_page):
    page = open_page(Double(), "#/new")
    page.get_by_label("import from an external source").check()
    page.get_by_label("Stream").select_option("s3")
    page.get_by_label("URL").fill("https://s3.example/bucket/web.raw")
    page.get_by_label("Access key").fill("me")
    page.get_by_label("Secret key").fill("hush")
    page.get_by_label("Target image").fill("nvme/web")
    for tick in (None, True):
        if tick:
            page.get_by_label("Store the keys in the image's header").check()
        with page.expect_request(lambda request: request.method == "POST") as sent:
            page.get_by_role("button", name="Check", exact=True).click()
        assert sent.value.post_data_json.get("inline_secrets") is tick
    assert sent.value.post_data_json["source_spec"]["stream"]["secret_key"] == "hush"


def test_layout_and_policy_are_sent_as_the_api_names_them(open_page):
    page = open_page(Double(), "#/new")
    page.get_by_text("Layout of the target").click()
    page.get_by_label("Object size").first.select_option("1M")
    page.get_by_label("Choose the features").check()
    page.get_by_label("fast-diff").check()  # brings what it needs
    page.get_by_label("Rate").fill("50M")
    page.get_by_label("Verify").select_option("full")
    with page.expect_request(lambda r: r.method == "POST" and r.url.endswith("migration")) as sent:
        begin(page, goal="executed")
    assert sent.value.post_data_json == {
        "source": "hdd/vm1",
        "target": TARGET,
        "layout": {
            "object_size": "1M",
            "image_feature": ["exclusive-lock", "object-map", "fast-diff"],
        },
        "goal": "executed",
        "method": "auto",
        "cutover": "refuse",
        "verify": "full",
        "rate": "50M",
    }
    state(page, "exec")


def test_the_cutover_of_a_warm_migration_says_what_to_stop_first(open_page):
    now = time.time()
    warm = item(1, State.EXECUTED, now, method=Method.WARM)
    page = open_page(Double([warm]), "#/migrations/nvme%2Fvm-00001")
    expect(page.get_by_role("button", name="Commit", exact=False)).to_have_count(0)
    page.get_by_role("button", name="Cut over").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Clients of hdd/vm-00001 have to leave it.")
    with page.expect_request(lambda request: request.url.endswith("/cutover")):
        dialog.get_by_role("button", name="Cut over").click()
    state(page, "cut-over")
    expect(page.get_by_role("button", name="Commit", exact=False)).to_be_visible()


def test_the_source_of_a_warm_migration_is_refreshed_after_the_cutover(open_page):
    now = time.time()
    rounds = ReverseRounds(count=2, bytes=300 << 20, seconds=41.0, at=now, problem="No space.")
    warm = item(1, State.CUT_OVER, now, goal=Goal.CUT_OVER, reverse=rounds)
    double = Double([warm])
    page = open_page(double, "#/migrations/nvme%2Fvm-00001")
    shown = page.locator("dd")
    expect(shown.get_by_text("on demand; 2 so far, the last copied 300 MiB")).to_be_visible()
    expect(shown.get_by_text("No space.")).to_be_visible()
    page.get_by_text("Change its settings").click()
    interval = page.get_by_label("Refresh the source")
    interval.fill("soon")
    page.get_by_role("button", name="Save the settings").click()
    expect(page.get_by_role("alert").filter(has_text="not a duration")).to_be_visible()
    interval.fill("6h")
    page.get_by_role("button", name="Save the settings").click()
    expect(shown.get_by_text("every 6h 00m")).to_be_visible()
    with page.expect_response(lambda response: response.url.endswith("/execute")):
        page.get_by_role("button", name="Refresh the source").click()
    assert double.items["nvme/vm-00001"].migration.reverse.wanted


def test_what_was_asked_of_a_migration_is_changed(open_page, double):
    page = open_page(double, "#/migrations/nvme%2Fvm-00001")
    page.get_by_text("Change its settings").click()
    page.get_by_label("Rate").fill("20M")
    page.get_by_label("Priority").fill("7")
    page.get_by_role("button", name="Save the settings").click()
    expect(page.locator("dd").get_by_text("20 MiB/s")).to_be_visible()
    assert double.items["nvme/vm-00001"].migration.priority == 7
    page.get_by_label("Window", exact=True).fill("tomorrow")
    page.get_by_role("button", name="Save the settings").click()
    expect(page.get_by_role("alert").filter(has_text="tomorrow")).to_be_visible()
