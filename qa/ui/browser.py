"""Debian's headless Chromium, driven by Playwright.

It loads a page with less than half of the processor time that ``chromium --headless`` takes: it has
the same engine without the windows, menus and services of a desktop's browser.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium-headless-shell")
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@contextmanager
def browser() -> "Iterator[Browser]":
    """Start a browser with an empty profile that opens no connections of its own."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=CHROMIUM, args=_FLAGS, timeout=60_000, chromium_sandbox=False
        )
        try:
            yield started
        finally:
            started.close()


def complaints(page: Page) -> "list[str]":
    """Return a list that collects the page's errors: exceptions, broken policies, other hosts.

    Refusals of the API are not errors of the page.
    """
    found: list[str] = []

    def said(message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            found.append(message.text)

    page.on("console", said)
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on(
        "request",
        lambda request: (
            found.append(f"asks {request.url}")
            if not request.url.startswith((page.url.partition("/rbd-migration")[0], "data:"))
            and page.url != "about:blank"
            else None
        ),
    )
    return found
