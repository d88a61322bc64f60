"""A test process that a library ends (a crash in librbd, for example): the report says where.

Python writes the stacks of all threads then. Each process of pytest-xdist writes them to a file,
and the failed test shows the signal and the thread that received it.
"""

import faulthandler
import tempfile
from pathlib import Path
from typing import IO, Any, Optional

import pytest

_SHOWN = 60  # lines


class CrashTraces:
    """A plugin of pytest, in the process that gives out the tests and in those that run them."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._file: Optional[IO[str]] = None

    @pytest.hookimpl(trylast=True)  # pytest's own plugin has turned it on for stderr before
    def pytest_sessionstart(self) -> None:
        worker = getattr(self._config, "workerinput", None)
        if worker is not None:
            path = _trace(worker["testrunuid"], worker["workerid"])
            self._file = path.open("w", encoding="utf-8")
            faulthandler.enable(file=self._file)

    def pytest_unconfigure(self) -> None:
        if self._file is not None:
            faulthandler.disable()
            self._file.close()
            Path(self._file.name).unlink()

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, report: pytest.TestReport) -> None:
        node: Any = report.node  # type: ignore[attr-defined]  # of pytest-xdist
        path = _trace(node.workerinput["testrunuid"], node.workerinput["workerid"])
        if path.is_file():
            trace = path.read_text(encoding="utf-8", errors="replace")
            path.unlink()
            report.longrepr = f"{report.longrepr}\n{_most_telling(trace)}"


def _trace(run: str, worker: str) -> Path:
    return Path(tempfile.gettempdir()) / f"rbd-migration-tests-{run}-{worker}.trace"


def _most_telling(trace: str) -> str:
    """The signal and the stack of the thread that received it.

    If that is not one of Python's (librbd has its own), the stacks of all are shown.
    """
    signal, _, stacks = trace.partition("\n")
    _, current, stack = stacks.partition("Current thread")
    return "\n".join([signal, *(current + (stack or stacks)).splitlines()[:_SHOWN]])
