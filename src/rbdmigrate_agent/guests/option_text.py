"""QEMU's two ways to write options as text, and the names of RBD images for ``-drive``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Optional, Union

from .model import ImageLocation, Options


def block_options(text: str) -> Optional[Options]:
    """Return the options of ``-blockdev``: JSON, or ``driver=rbd,file.pool=...``.

    None for text that this does not understand.
    """
    if text.startswith("{"):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None
    nested: Options = {}
    for key, value in pairs(text, implied="driver"):
        place = nested
        *folders, last = key.split(".")
        for folder in folders:
            place = place.setdefault(folder, {})
            if not isinstance(place, dict):
                return None
        place[last] = _typed(value)
    listed = _listed(nested)
    return listed if isinstance(listed, dict) else None


def pairs(text: str, implied: str) -> Iterator[tuple[str, str]]:
    """Return the keys and values of ``key=value,...``; a comma within a value is written twice.

    A first part without ``=`` is the value of the key ``implied``; later ones mean ``on``.
    """
    parts = text.replace(",,", "\0").split(",")
    for number, part in enumerate(parts):
        key, equals, value = part.replace("\0", ",").partition("=")
        if equals:
            yield key, value
        elif number == 0:
            yield implied, key
        elif key:
            yield key, "on"


def rbd_name(text: str) -> Optional[tuple[ImageLocation, dict[str, str]]]:
    """Return the image and the options of ``rbd:pool/image:key=value:...``.

    None if it is something else, or a snapshot.
    """
    if not text.startswith("rbd:"):
        return None
    name, *options = _split(text[4:], ":")
    parts = _split(name, "/")
    if len(parts) not in (2, 3) or len(_split(parts[-1], "@")) != 1:
        return None
    plain = [part.replace("\\", "") for part in parts]
    place = ImageLocation(plain[0], plain[1] if len(plain) == 3 else "", plain[-1])
    found = {}
    for option in options:
        key, _, value = option.partition("=")
        found[key.replace("\\", "")] = value.replace("\\", "")
    return place, found


def flat(options: Options) -> dict[str, str]:
    """Return nested options with keys such as ``server.0.host`` and values as QEMU shows them."""
    found: dict[str, str] = {}
    for key, value in options.items():
        inner = _inner(value)
        if inner is not None:
            found.update({f"{key}.{below}": text for below, text in flat(inner).items()})
        else:
            found[key] = ("on" if value else "off") if isinstance(value, bool) else str(value)
    return found


def _inner(value: Any) -> Optional[Options]:
    if isinstance(value, list):
        return {str(number): item for number, item in enumerate(value)}
    return value if isinstance(value, dict) else None


def _split(text: str, by: str) -> list[str]:
    """Split where the separator is not behind a backslash."""
    parts, current, escaped = [], "", False
    for letter in text:
        if letter == by and not escaped:
            parts.append(current)
            current = ""
            continue
        current += letter
        escaped = letter == "\\" and not escaped
    return [*parts, current]


def _typed(value: str) -> Union[str, bool]:
    return {"on": True, "off": False}.get(value, value)


def _listed(value: object) -> object:
    """Turn objects whose keys are 0, 1, 2 ... into lists."""
    if not isinstance(value, dict):
        return value
    inner = {key: _listed(item) for key, item in value.items()}
    if inner and sorted(inner) == sorted(str(number) for number in range(len(inner))):
        return [inner[str(number)] for number in range(len(inner))]
    return inner
