"""Sizes and durations as people write and read them."""

import re

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30

_SIZE = re.compile(r"(\d+)\s*([KMG]?)(?:i?B)?", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Parse ``256M``, ``1GiB`` or ``1048576`` into bytes; ValueError for anything else."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size; give a number with a unit, such as 256M.")
    return int(match.group(1)) << (10 * " KMG".index(match.group(2).upper() or " "))


def size_text(size: int) -> str:
    """``256 MiB``, ``212.5 MiB``, ``100 B``."""
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size >= unit:
            return f"{size / unit:.1f}".replace(".0", "") + f" {name}"
    return f"{size} B"


def option_text(size: int) -> str:
    """Format a power of two for an option of ``rbd``: ``256K``, ``4M``."""
    return f"{size // MIB}M" if size >= MIB else f"{size // KIB}K"


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
