"""How much a record may hold: what is longer is cut or refused before it is written.

A record is read back by the next manager, possibly weeks later. What that one could not read
would be lost with all that it knows of somebody's disk, so the bounds hold for the writer.
"""

from __future__ import annotations

MAX_RECORD = 1 << 20  # bytes of a migration's record, or of an item of a plan
MAX_PLAN = 8 << 20  # bytes of a plan's record: 10,000 images by name take some 2 MiB
MAX_READ = 16 << 20  # bytes of a record that is read all the same, and cut to the bounds
MAX_TEXT = 1000  # characters of a sentence
MAX_DURATION = 366 * 86400.0  # seconds, a year: of what people ask for, such as a soak time
MAX_SPANS = 50  # of a window
MAX_WINDOW = 2000  # characters of a window
MAX_NUMBER = (1 << 63) - 1  # what 64 bits hold: sizes, rates, priorities

_CUT = "..."


def shortened(text: str, longest: int = MAX_TEXT) -> str:
    """``text`` with at most ``longest`` characters; a longer one ends with ``...``."""
    return text if len(text) <= longest else text[: longest - len(_CUT)] + _CUT


def narrowed(window: str) -> str:
    """The text of a window, as a record keeps it, with at most MAX_SPANS spans."""
    spans = window.split(",", MAX_SPANS)[:MAX_SPANS]
    while len(",".join(spans)) > MAX_WINDOW and len(spans) > 1:
        spans.pop()
    return ",".join(spans)
