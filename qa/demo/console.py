"""The output of the demo: plain text without colours, for terminals and logs."""

import shutil
import sys
import time
from collections.abc import Sequence
from typing import Optional, TextIO

_BAR = 30
_LOG_INTERVAL = 2.0  # seconds between two lines of progress where there is no terminal
_ERASE = "\r\x1b[K"


class Console:
    """Prints sections, commands, their output, and one progress bar at a time."""

    def __init__(self, out: Optional[TextIO] = None) -> None:
        self._out = out or sys.stdout
        self._terminal = self._out.isatty()
        self._section = 0
        self._bar_shown = False
        self._bar_line = ""
        self._logged_at = 0.0

    def section(self, title: str) -> None:
        self._section += 1
        self._line(f"\n{self._section}. {title}")

    def say(self, text: str) -> None:
        for line in text.splitlines():
            self._line(f"   {line}")

    def command(self, argv: Sequence[str]) -> None:
        """Print a command as the reader could type it."""
        self._line(f"   $ {' '.join(argv)}")

    def output(self, text: str) -> None:
        """Print the output of a command."""
        for line in text.rstrip().splitlines():
            self._line(f"     {line}".rstrip())

    def plain(self, text: str = "") -> None:
        self._line(text)

    def progress(self, percent: int, text: str) -> None:
        """Redraw the bar; in a log, print a new line if the last one is some time ago."""
        full = percent * _BAR // 100
        self._bar_line = f"   [{'#' * full}{'.' * (_BAR - full)}] {percent:3d} %  {text}"
        if self._terminal:
            width = shutil.get_terminal_size().columns
            self._write(_ERASE + self._bar_line[: width - 1])
            self._bar_shown = True
        elif time.monotonic() - self._logged_at >= _LOG_INTERVAL:
            self._logged_at = time.monotonic()
            self._write(self._bar_line + "\n")

    def progress_done(self, percent: int, text: str) -> None:
        """Leave the bar in its last state."""
        self._logged_at = 0.0
        self.progress(percent, text)
        if self._bar_shown:
            self._bar_shown = False
            self._write("\n")
        self._logged_at = 0.0

    def _line(self, text: str) -> None:
        if self._bar_shown:  # the bar is redrawn below
            self._bar_shown = False
            self._write(_ERASE)
        self._write(text + "\n")

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
