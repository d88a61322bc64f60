"""The throttle over the week, windows, limits; and that both languages read timetables alike."""

import pytest
from playwright.sync_api import expect

from qa.ui.double import Double
from rbdmigrate.control.pace.timetable import parse_timetable
from rbdmigrate.control.pace.window import parse_window
from rbdmigrate.model.errors import MigrationError

TIMETABLES = [
    "50M", "off", "0", "1000", "64KiB", "50M/s", "50m/S", "Mon-Fri 08:00,50M 18:00,off Sat-Sun,off",
    "08:00,50M 18:00,off Sat-00:00,off", "Sat 10:00,1G", "sunday-tue 0:00,2K 23:59,0",
    "Mon,1M Mon-12:00,2M 13:00,3M", "Fri-Mon-08:30,5M 09:00,6M", "08:00,50M Mon 08:00,60M",
    "", "Mon", "Mon-Fri", "08:00", "24:00,5M", "8:60,5M", "08:00,fast", "Mo 08:00,5M",
    "08:00,5M 08:00,6M", "08:00,5M 08:00,5M", "Mon Tue", "Mon Tue 08:00,1M", "50M 60M", "-5M",
    ",5M", "Mon-08:00", "08:00,", "Mon-Tue-Wed,5M", "5 M", "1T", "50Q", "Mon 08:00,50M\tTue,off",
]  # fmt: skip
WINDOWS = [
    "Mon-Fri 20:00-06:00, Sat-Sun", "22:00-04:00", "Sat,Sun 10:00-12:00", "Fri 20:00 - 06:00",
    "Mon; Tue 00:00-24:00", "Sun-Mon 23:30-00:15", "", "20:00", "20:00-20:00", "24:00-01:00",
    "Mon Tue", "8-9", "Mon-Fri 08:00-12:00 13:00-14:00", "00:00-24:00", "Mon 25:00-26:00", ",",
]  # fmt: skip


@pytest.fixture(scope="module")
def reader(chromium):
    """A blank page that reads timetables with the page's own code."""
    from qa.ui.server import serving

    with serving(Double()) as address:
        page = chromium.new_page()
        page.goto(address + "index.html")
        yield page
        page.close()


def _read(page, function: str, text: str):
    return page.evaluate(
        f"""async (text) => {{
            const read = await import("./js/timetable.js");
            try {{ return read.{function}(text); }}
            catch (error) {{ if (error instanceof read.Unreadable) return null; throw error; }}
        }}""",
        text,
    )


@pytest.mark.parametrize("text", TIMETABLES)
def test_timetables_are_read_alike(reader, text):
    try:
        entries = parse_timetable(text, "timetable").entries
        expected = [{"day": e.day, "minute": e.minute, "rate": e.rate} for e in entries]
    except MigrationError:
        expected = None
    assert _read(reader, "parseTimetable", text) == expected


@pytest.mark.parametrize("text", WINDOWS)
def test_windows_are_read_alike(reader, text):
    try:
        spans = parse_window(text, what="window").spans
        expected = [{"days": list(s.days), "start": s.start, "end": s.end} for s in spans]
    except MigrationError:
        expected = None
    assert _read(reader, "parseWindow", text) == expected


def test_what_is_typed_is_drawn_and_set(open_page):
    double = Double()
    page = open_page(double, "#/pace")
    drawn = page.locator(".week li")
    expect(drawn).to_have_count(7)
    page.get_by_label("Throttle", exact=True).fill("Mon-Fri 08:00,50M 18:00,off Sat-Sun,off")
    expect(drawn.get_by_text("Tue 08:00 to 18:00: 50 MiB/s")).to_have_count(1)
    page.get_by_role("textbox", name="Window").fill("Mon-Fri 20:00-06:00, Sat-Sun")
    expect(drawn.get_by_text("Wed 06:00 to 20:00: the window is closed")).to_have_count(1)
    page.get_by_label("Throttle", exact=True).fill("sometimes")
    expect(page.get_by_text('"sometimes" is not a rate')).to_be_visible()
    page.get_by_label("Throttle", exact=True).fill("200M")
    page.get_by_label("Time zone").fill("Europe/Berlin")
    page.get_by_role("button", name="Set throttle and window").click()
    expect(page.get_by_text("Throttle in force now: 200 MiB/s")).to_be_visible()
    assert (double.pace.timetable, double.pace.window) == ("200M", "Mon-Fri 20:00-06:00, Sat-Sun")


def test_what_the_manager_refuses_is_said(open_page):
    page = open_page(Double(), "#/pace")
    page.get_by_label("Time zone").fill("Europe/Nowhere")
    page.get_by_label("Throttle", exact=True).fill("1M")
    page.get_by_role("button", name="Set throttle and window").click()
    expect(page.get_by_role("alert").filter(has_text="Europe/Nowhere")).to_be_visible()


def test_nothing_can_be_typed_before_it_is_known_what_is_set(open_page):
    """A slow answer must not overwrite what is typed, nor an early click set what is empty."""
    double = Double()
    page = open_page(double, "#/")
    held = []

    def hold(route):
        held.append(route)

    page.route("**/api/block/migration/throttle", hold)
    page.evaluate("location.hash = '#/pace'")
    throttle = page.get_by_label("Throttle", exact=True)
    button = page.get_by_role("button", name="Set throttle and window")
    expect(throttle).to_be_disabled()
    expect(button).to_be_disabled()
    page.wait_for_timeout(200)
    for route in held:
        route.continue_()
    page.unroute("**/api/block/migration/throttle")
    expect(throttle).to_be_enabled()
    expect(throttle).to_have_value("off")
    expect(button).to_be_enabled()


def test_pools_limits_and_guard(open_page):
    double = Double()
    page = open_page(double, "#/pace")
    page.get_by_label("Pool", exact=True).fill("hdd")
    page.get_by_label("Rate", exact=True).fill("100M")
    page.get_by_role("button", name="Set the pool's throttle").click()
    expect(page.get_by_text("100 MiB/s")).to_be_visible()
    page.get_by_role("button", name="Remove it from hdd").click()
    expect(page.get_by_text("No pool has a throttle")).to_be_visible()
    page.get_by_label("Copies at once").fill("9")
    page.get_by_role("button", name="Set the limits").click()
    page.get_by_label("Factor").fill("1.5")
    page.get_by_role("button", name="Set the guard").click()
    expect(page.get_by_text("Latency guard.")).to_be_visible()
    assert (double.pace.limits["max_copies"], double.pace.guard, double.pace.pools) == (9, 1.5, {})


PAINTED = [
    ("off", [0, 1, 2, 3, 4], 480, 1080, 50 << 20,
     "Mon-Fri 00:00,off 08:00,50M 18:00,off Sat-Sun 00:00,off"),
    ("50M", list(range(7)), 0, 1440, None, "off"),
    ("Mon-Fri 08:00,50M 18:00,off Sat-Sun,off", [6], 600, 690, 0,
     "Mon-Fri 00:00,off 08:00,50M 18:00,off Sat 00:00,off Sun 00:00,off 10:00,0 11:30,off"),
    ("Mon 00:15,1000 Tue,2M", [0], 30, 45, 3 << 20,
     "Mon 00:00,2M 00:15,1000 00:30,3M 00:45,1000 Tue-Sun 00:00,2M"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "days", "start", "end", "rate", "expected"), PAINTED)
def test_a_painted_timetable_says_the_same_to_the_manager(
    reader, text, days, start, end, rate, expected
):
    written = reader.evaluate(
        """async ([text, days, from, to, rate]) => {
            const read = await import("./js/timetable.js");
            const write = await import("./js/week_text.js");
            const week = read.stretches(read.parseTimetable(text));
            return write.timetableText(write.paint(week, days, from, to, { rate }));
        }""",
        [text, days, start, end, rate],
    )
    assert written == expected
    before, after = (parse_timetable(one, "timetable") for one in (text, written))
    for day in range(7):
        for minute in range(0, 1440, 15):
            painted = day in days and start <= minute < end
            wanted = rate if painted else _rate(before, day, minute)
            assert _rate(after, day, minute) == wanted, (day, minute)


def _rate(timetable, day: int, minute: int):
    """The rate at a time of the week; what Sunday ends with, Monday begins with."""
    passed = [e for e in timetable.entries if (e.day, e.minute) <= (day, minute)]
    return (passed or timetable.entries)[-1].rate


WINDOWS_PAINTED = [
    ("", [5, 6], 0, 1440, False, "Mon-Fri"),
    ("Mon-Fri 20:00-06:00", [0], 1200, 1260, False, None),
    ("Sat", [6], 600, 720, True, "Sun 10:00-12:00, Sat"),
    ("Sat-Sun", list(range(7)), 0, 1440, True, ""),
]


@pytest.mark.parametrize(("text", "days", "start", "end", "is_open", "expected"), WINDOWS_PAINTED)
def test_a_painted_window_says_the_same_to_the_manager(
    reader, text, days, start, end, is_open, expected
):
    written = reader.evaluate(
        """async ([text, days, from, to, open]) => {
            const read = await import("./js/timetable.js");
            const write = await import("./js/week_text.js");
            const shut = text ? read.closed(read.parseWindow(text)) : [];
            return write.windowText(write.paint(write.openings(shut), days, from, to, { open }));
        }""",
        [text, days, start, end, is_open],
    )
    if expected is not None:
        assert sorted(written.split(", ")) == sorted(expected.split(", "))
    before, after = (_minutes(one) for one in (text, written))
    painted = {(day, m) for day in days for m in range(start, end)}
    assert after == (before | painted if is_open else before - painted)


def _minutes(text: str) -> "set[tuple[int, int]]":
    """The minutes of the week in which a window is open."""
    if not text:
        return {(day, minute) for day in range(7) for minute in range(1440)}
    return {
        ((day + minute // 1440) % 7, minute % 1440)
        for span in parse_window(text, what="window").spans
        for day in span.days
        for minute in range(span.start, span.end)
    }


def test_the_week_is_changed_with_the_mouse(open_page):
    double = Double()
    page = open_page(double, "#/pace")
    expect(page.locator(".week li")).to_have_count(7)
    at = page.locator(".week-canvas").bounding_box()
    hour = (at["width"] - 40) / 24
    page.mouse.move(at["x"] + 38 + 8.1 * hour, at["y"] + 18 + 15)
    page.mouse.down()
    page.mouse.move(at["x"] + 38 + 17.9 * hour, at["y"] + 18 + 4 * 30 + 15)
    page.mouse.up()
    expect(page.get_by_label("From", exact=True)).to_have_value("08:00")
    expect(page.get_by_label("To", exact=True)).to_have_value("18:00")
    expect(page.get_by_label("Fri", exact=True)).to_be_checked()
    expect(page.get_by_label("Sat", exact=True)).not_to_be_checked()
    page.get_by_label("Rate of this part").fill("70M")
    page.get_by_role("button", name="Change this part of the week").click()
    expect(page.get_by_label("Throttle", exact=True)).to_have_value(
        "Mon-Fri 00:00,off 08:00,70M 18:00,off Sat-Sun 00:00,off"
    )
    assert double.pace.timetable == "off"  # nothing is set yet
    page.get_by_role("button", name="Set throttle and window").click()
    expect(
        page.get_by_role("status").filter(has_text="Throttle and window are set")
    ).to_be_visible()
    assert double.pace.timetable.endswith("Sat-Sun 00:00,off")


def test_the_week_is_changed_with_the_keyboard(open_page):
    page = open_page(Double(), "#/pace")
    expect(page.locator(".week li")).to_have_count(7)
    page.get_by_text("Edit the week").focus()
    page.keyboard.press("Enter")
    page.get_by_label("To", exact=True).fill("07:00")
    button = page.get_by_role("button", name="Change this part of the week")
    expect(page.get_by_text("The time from has to be before the time to")).to_be_visible()
    page.get_by_label("From", exact=True).fill("00:00")
    page.get_by_label("In this part").select_option("closed")
    button.focus()
    page.keyboard.press("Enter")
    window = page.get_by_role("textbox", name="Window")
    expect(window).to_have_value("Mon-Fri 07:00-24:00, Sat-Sun")
    page.get_by_label("To", exact=True).fill("24:00")
    for day in ("Sat", "Sun"):
        page.get_by_label(day, exact=True).check()
    button.click()
    expect(page.get_by_text("A window has to be open at some time")).to_be_visible()
    expect(window).to_have_value("Mon-Fri 07:00-24:00, Sat-Sun")
