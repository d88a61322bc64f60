"""Sizes as `rbd` takes and prints them: binary units, ``4M`` = ``4MiB`` = 4194304 bytes."""

from __future__ import annotations

import re
from errno import EINVAL

from .errors import MigrationError

_UNITS = "BKMGTPE"
_SIZE = re.compile(r"\s*(\d{1,20})\s*(?:([BKMGTPE])(?:i?B)?)?\s*", re.IGNORECASE | re.ASCII)


def parse_size(text: str, what: str) -> int:
    """Bytes of a size such as ``4M``, ``64KiB`` or ``4194304`` (no unit: bytes).

    ``what`` names the option in the error's sentence. Raises MigrationError(EINVAL).
    """
    match = _SIZE.fullmatch(text)
    if not match:
        raise MigrationError(
            EINVAL, f"{what} {text!r} is not a size; give a number with a unit, such as 4M or 64K."
        )
    unit = (match.group(2) or "B").upper()
    return int(match.group(1)) << (10 * _UNITS.index(unit))


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


def parse_seconds(text: str, what: str) -> float:
    """Seconds of a text such as ``90``, ``30m``, ``1h`` or ``7d``. MigrationError(EINVAL)."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text.strip().lower())
    if match is None:
        raise MigrationError(
            EINVAL, f"{what} {text!r} is no duration; give one such as 90s, 30m, 1h or 7d."
        )
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]
