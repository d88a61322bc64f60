"""Whether a source is still the same as when it was inspected."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone


def _size_first(name: str) -> tuple[bool, str]:
    return name != "size", name


def _change(name: str, old: str, new: str) -> str:
    if name == "size":
        return f"it had {old} bytes and has {new} now"
    if name == "modified":
        return f"it was last modified at {_when(old)}, and now at {_when(new)}"
    return f"its {name} was {old} and is {new} now"


def _when(text: str) -> str:
    """A time for people. The input is in nanoseconds for files, and text for servers."""
    if not text.isdigit() or len(text) > 19:
        return text
    at = datetime.fromtimestamp(int(text) / 1e9, timezone.utc)
    return f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03} UTC"


def changes(
    before: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]]
) -> list[str]:
    """Sentences about the changes between two identities; none if they are the same.

    A value that only one of them has is ignored: servers sometimes omit headers.
    """
    found = []
    for path, old in before.items():
        new = now.get(path, {})
        for name in sorted(old.keys() & new.keys(), key=_size_first):
            if old[name] != new[name]:
                found.append(
                    f"The source's {path} changed: {_change(name, old[name], new[name])}; the "
                    "copy may be a mixture of both versions."
                )
                break
    return found
