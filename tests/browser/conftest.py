"""A browser for the session, and pages that use a test double of the API."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
from playwright.sync_api import Browser, Page, expect

from qa.ui.browser import browser, complaints
from qa.ui.double import Double
from qa.ui.plan_scenes import every_plan, large_plan
from qa.ui.scenes import ended, every_state, hooks, hosts
from qa.ui.server import serving
from qa.ui.shots import WIDTHS

Open = Callable[..., Page]
_HERE = Path(__file__).parent
expect.set_options(timeout=20_000)  # the machine may be busy


def pytest_collection_modifyitems(items: "list[pytest.Item]") -> None:
    """All tests of this folder run a program, the browser."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.programs)


@pytest.fixture(scope="session")
def chromium() -> "Iterator[Browser]":
    """The browser of the session."""
    with browser() as started:
        yield started


@pytest.fixture
def double() -> Double:
    """The API with a migration and a plan in every state."""
    now = time.time()
    plans = [*every_plan(now), large_plan(now, 2000, 200)]
    return Double(every_state(now), ended(now), plans=plans, hosts=hosts(now), hooks=hooks(now))


@pytest.fixture
def open_page(chromium: Browser) -> "Iterator[Open]":
    """Open the page at an address within it; at the end it must have nothing to complain of."""
    with contextlib.ExitStack() as stack:
        found: list[list[str]] = []

        def open_(
            double: Double,
            address: str = "#/",
            *,
            size: "tuple[int, int]" = WIDTHS["1280"],
            scheme: Any = "light",
            script: Optional[str] = None,
        ) -> Page:
            root = stack.enter_context(serving(double))
            context = chromium.new_context(
                viewport={"width": size[0], "height": size[1]}, color_scheme=scheme
            )
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(20_000)
            found.append(complaints(page))
            if script is not None:
                page.add_init_script(script)
            page.goto(root + address)
            page.locator("h1").first.wait_for()
            return page

        yield open_
    assert [text for texts in found for text in texts] == []
