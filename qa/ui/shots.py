"""Screenshots of every view: wide and narrow, light and dark."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from playwright.sync_api import Browser, Page

WIDTHS = {"1280": (1280, 900), "390": (390, 844)}
SCHEMES: "tuple[Literal['light', 'dark'], ...]" = ("light", "dark")


class Shot(NamedTuple):
    """A view: its name, its address, and the steps before the picture is taken."""

    name: str
    address: str
    prepare: "Callable[[Page], None]" = lambda page: None


def _sections(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")


def _commit(page: Page) -> None:
    page.get_by_role("button", name="Commit …").click()


def _refused(page: Page) -> None:
    page.get_by_role("button", name="Abort …").click()
    page.locator("dialog").get_by_role("button", name="Abort", exact=True).click()
    page.get_by_text("do it anyway").wait_for()


def _filled(page: Page) -> None:
    page.get_by_label("Source image").fill("hdd/used-clone")
    page.get_by_label("Target image").fill("nvme/used-clone")
    page.get_by_text("SOURCE_IN_USE").wait_for()


def _warm(page: Page) -> None:
    page.get_by_label("Method", exact=True).select_option("warm")
    page.get_by_label("Clients at the cutover").select_option("agent")


def _import(page: Page) -> None:
    page.get_by_label("import from an external source").check()
    page.get_by_label("Stream").select_option("s3")
    page.get_by_role("button", name="Add a snapshot").click()


def _answer(page: Page) -> None:
    page.get_by_role("button", name="Answer for").first.click()
    page.get_by_label("no", exact=True).check()


def _start(page: Page) -> None:
    page.get_by_role("button", name="Start …").click()


def _cancel(page: Page) -> None:
    page.get_by_role("button", name="Cancel …").click()


def _skip(page: Page) -> None:
    page.get_by_role("button", name="Skip hdd/").first.click()


def _commit_all(page: Page) -> None:
    page.get_by_role("button", name="Commit all …").click()


def _commits_refused(page: Page) -> None:
    _commit_all(page)
    page.locator("dialog").get_by_role("button", name="Commit all", exact=True).click()
    page.get_by_text("1 commit was refused").wait_for()


def _checked(page: Page) -> None:
    page.get_by_role("button", name="Check", exact=True).click()
    page.get_by_text("cannot begin as things are").wait_for()


def _unread(page: Page) -> None:
    page.get_by_label("The plan", exact=True).fill("plan: x\nselect: [{pool: hdd}]\nmap: {target")
    page.get_by_role("button", name="Create").click()
    page.get_by_text("not YAML").wait_for()


SHOTS = (
    Shot("overview", "#/"),
    Shot("migrations", "#/migrations"),
    Shot("migrations-failed", "#/migrations?group=failed"),
    Shot("migrations-ended", "#/migrations?ended=true&sort=%2Btarget"),
    Shot("copying", "#/migrations/nvme%2Fvm-00002"),
    Shot("paused", "#/migrations/nvme%2Fvm-00003"),
    Shot("prepared", "#/migrations/nvme%2Fvm-00005", _sections),
    Shot("differs", "#/migrations/nvme%2Fvm-00013"),
    Shot("failed", "#/migrations/nvme%2Fvm-00014"),
    Shot("verified", "#/migrations/nvme%2Fvm-00012"),
    Shot("commit", "#/migrations/nvme%2Fvm-00011", _commit),
    Shot("refused", "#/migrations/nvme%2Fvm-00001", _refused),
    Shot("none", "#/migrations/nvme%2Fnowhere"),
    Shot("new", "#/new", _filled),
    Shot("new-layout", "#/new", _sections),
    Shot("new-warm", "#/new", _warm),
    Shot("import", "#/new", _import),
    Shot("plans", "#/plans"),
    Shot("plan-running", "#/plans/ssd-move"),
    Shot("plan-paused", "#/plans/archive"),
    Shot("plan-stopped", "#/plans/lab?phase=failed"),
    Shot("plan-draft", "#/plans/gold"),
    Shot("plan-checked", "#/plans/gold", _checked),
    Shot("plan-refused", "#/plans/nothing-fits"),
    Shot("plan-done", "#/plans/pilot"),
    Shot("plan-start", "#/plans/gold", _start),
    Shot("plan-cancel", "#/plans/ssd-move", _cancel),
    Shot("plan-skip", "#/plans/ssd-move", _skip),
    Shot("plan-commit", "#/plans/pilot", _commit_all),
    Shot("plan-commits-refused", "#/plans/pilot", _commits_refused),
    Shot("plan-large", "#/plans/large"),
    Shot("plan-none", "#/plans/nowhere"),
    Shot("plan-new", "#/new-plan?example=true"),
    Shot("plan-new-checked", "#/new-plan?example=true", _checked),
    Shot("plan-unread", "#/new-plan", _unread),
    Shot("pace", "#/pace"),
    Shot("hosts", "#/hosts"),
    Shot("history", "#/history"),
    Shot("hooks", "#/hooks", _sections),
    Shot("hook-answer", "#/hooks", _answer),
)


def open_shot(page: Page, shot: Shot) -> None:
    """Go to a view from another one, and do its steps."""
    page.locator("dialog").evaluate_all("all => all.forEach((one) => one.close())")
    for address in ("#/nowhere", shot.address):
        page.evaluate("(address) => { location.hash = address; }", address)
    page.locator("#view[aria-busy]").wait_for(state="detached")
    shot.prepare(page)
    page.locator("#view[aria-busy]").wait_for(state="detached")


def take(browser: Browser, address: str, folder: Path, only: str = "") -> "Iterator[Path]":
    """Take the pictures of all views whose name matches ``only``, into ``folder``."""
    for width, (across, down) in WIDTHS.items():
        for scheme in SCHEMES:
            context = browser.new_context(
                viewport={"width": across, "height": down},
                color_scheme=scheme,
                is_mobile=across < 500,
                has_touch=across < 500,
                timezone_id="Europe/Berlin",
            )
            page = context.new_page()
            page.goto(address)
            for shot in SHOTS:
                if not re.search(only, shot.name):
                    continue
                open_shot(page, shot)
                path = folder / f"{shot.name}-{width}-{scheme}.png"
                page.screenshot(path=path, full_page=page.locator("dialog").count() == 0)
                yield path
            context.close()
