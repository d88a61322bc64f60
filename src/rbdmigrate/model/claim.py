"""The images of records that this version cannot read, so that they are left alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from .spec import ImageSpec

_ENDS = ("source", "target")


@dataclass(frozen=True)
class Claim:
    """The images in a record, by name and by id, as far as it can be decoded."""

    specs: frozenset[ImageSpec] = frozenset()
    ids: frozenset[str] = frozenset()

    @property
    def obscure(self) -> bool:
        """Whether it may be about any image."""
        return not self.specs and not self.ids

    def names(self, specs: frozenset[ImageSpec], ids: frozenset[str] = frozenset()) -> bool:
        """Whether it is about one of these images."""
        return bool(self.specs & specs or self.ids & ids)


def claim_of(raw: bytes) -> Claim:
    """Return the claim of a record of any version; never fails."""
    try:
        plain: Any = json.loads(raw)
    except (ValueError, RecursionError):
        return Claim()
    if not isinstance(plain, dict):
        return Claim()
    places = [plain[end] for end in _ENDS if isinstance(plain.get(end), dict)]
    specs = [[place.get(part) for part in ("pool", "namespace", "image")] for place in places]
    ids = [place.get("image_id") for place in places]
    return Claim(
        frozenset(
            ImageSpec(*parts) for parts in specs if all(isinstance(part, str) for part in parts)
        ),
        frozenset(ident for ident in ids if isinstance(ident, str) and ident),
    )
