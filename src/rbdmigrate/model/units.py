"""Sizes as `rbd` takes and prints them: binary units, ``4M`` = ``4MiB`` = 4194304 bytes."""

from __future__ import annotations

import re
from errno import EINVAL

from .bounds import MAX_DURATION, MAX_NUMBER, shortened
from .errors import MigrationError

_UNITS = "BKMGTPE"
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"\s*(\d{1,20}(?:\.\d{1,20})?)\s*([smhd]?)\s*", re.IGNORECASE | re.ASCII)
_SIZE = re.compile(r"\s*(\d{1,20})\s*(?:([BKMGTPE])(?:i?B)?)?\s*", re.IGNORECASE | re.ASCII)


def parse_size(text: str, what: str) -> int:
    """Return the bytes of a size such as ``4M``, ``64KiB`` or ``4194304`` (no unit: bytes).

    ``what`` names the option in the error's sentence. Raises MigrationError(EINVAL).
    """
    match = _SIZE.fullmatch(text)
    if not match:
        raise MigrationError(
            EINVAL,
            f"{what} {_quoted(text)} is not a size; give a number with a unit, such as 4M or 64K.",
        )
    unit = (match.group(2) or "B").upper()
    size = int(match.group(1)) << (10 * _UNITS.index(unit))
    if size > MAX_NUMBER:
        raise MigrationError(
            EINVAL, f"{what} {text!r} is more than any image holds; give less than 8E."
        )
    return size


def format_size(size: int) -> str:
    """A size for people, as `rbd` prints it: ``64 MiB``, ``1.5 GiB``, ``512 B``."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB", "PiB"):
        if value < 1024 or unit == "PiB":
            digits = f"{value:.1f}".rstrip("0").rstrip(".")
            return f"{digits} {unit}"
        value /= 1024
    raise AssertionError("unreachable")


def format_seconds(seconds: float) -> str:
    """A duration for people: ``45s``, ``3m 05s``, ``2h 14m``."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"


def parse_seconds(text: str, what: str, longest: float = MAX_DURATION) -> float:
    """Return the seconds of a text such as ``90``, ``30m``, ``1h`` or ``7d``.

    ``what`` names the option in the error's sentence, ``longest`` is in seconds. Raises
    MigrationError(EINVAL).
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise MigrationError(
            EINVAL,
            f"{what} {_quoted(text)} is not a duration; give one such as 90s, 30m, 1h or 7d.",
        )
    seconds = float(match[1]) * _SECONDS[match[2].lower()]
    if seconds > longest:
        raise MigrationError(
            EINVAL,
            f"{what} {_quoted(text)} is longer than {longest / _SECONDS['d']:.0f} days; give one "
            "such as 30m, 1h or 7d.",
        )
    return seconds


def _quoted(text: str) -> str:
    return repr(shortened(text, 60))
