"""Bounds of stored records: longer values are shortened or refused before they are written.

A record is read back by the next manager, possibly weeks later. If that one could not read it,
everything known about an image would be lost, so the writer keeps to the bounds.
"""

from __future__ import annotations

MAX_RECORD = 1 << 20  # bytes of a migration's record, or of an item of a plan
MAX_PLAN = 8 << 20  # bytes of a plan's record: 10,000 images by name take some 2 MiB
MAX_READ = 16 << 20  # bytes of a record that is still read, and cut to the bounds
MAX_TEXT = 1000  # characters of a message
MAX_DURATION = 366 * 86400.0  # seconds, a year: for durations that users give, such as a soak time
MAX_SPANS = 50  # spans of a window
MAX_WINDOW = 2000  # characters of a window
MAX_NUMBER = (1 << 63) - 1  # sizes, rates and priorities fit in 64 bits

_CUT = "..."


def shortened(text: str, longest: int = MAX_TEXT) -> str:
    """Return ``text`` cut to ``longest`` characters, ending with ``...`` if it was longer."""
    return text if len(text) <= longest else text[: longest - len(_CUT)] + _CUT


def narrowed(window: str) -> str:
    """Return the text of a window cut to MAX_SPANS spans, for a record."""
    spans = window.split(",", MAX_SPANS)[:MAX_SPANS]
    while len(",".join(spans)) > MAX_WINDOW and len(spans) > 1:
        spans.pop()
    return ",".join(spans)
