"""Layout options of the target, with the names and limits of `rbd create`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from errno import EINVAL
from typing import Optional

from .errors import MigrationError
from .slotted import slotted
from .units import format_size, parse_size

# Feature bits of an image (include/rbd/features.h); only those that users may choose.
FEATURES = {
    "layering": 1 << 0,
    "striping": 1 << 1,
    "exclusive-lock": 1 << 2,
    "object-map": 1 << 3,
    "fast-diff": 1 << 4,
    "deep-flatten": 1 << 5,
    "journaling": 1 << 6,
}
# Features that only make sense while a single client writes: --image-shared leaves them out.
SINGLE_CLIENT = ("exclusive-lock", "object-map", "fast-diff", "journaling")
_NEEDS = {"object-map": "exclusive-lock", "journaling": "exclusive-lock", "fast-diff": "object-map"}

MIN_OBJECT_SIZE, MAX_OBJECT_SIZE = 4 << 10, 32 << 20
MIN_JOURNAL_OBJECT_SIZE, MAX_JOURNAL_OBJECT_SIZE = 4 << 10, 64 << 20


@slotted
@dataclass(frozen=True)
class LayoutOptions:
    """The layout options that the user gave; None means librbd's default.

    Sizes are in bytes. ``features`` is a tuple of names from FEATURES. ``flatten`` copies the
    parent's data, so that the target has no parent.
    """

    object_size: Optional[int] = None
    features: Optional[tuple[str, ...]] = None
    shared: bool = False
    stripe_unit: Optional[int] = None
    stripe_count: Optional[int] = None
    data_pool: Optional[str] = None
    journal_splay_width: Optional[int] = None
    journal_object_size: Optional[int] = None
    journal_pool: Optional[str] = None
    flatten: bool = False

    def feature_bits(self) -> Optional[int]:
        """The feature mask for librbd, or None without an option."""
        if self.features is None:
            return None
        return sum(FEATURES[name] for name in self.features)


def parse_layout(
    object_size: Optional[str] = None,
    image_feature: Optional[Iterable[str]] = None,
    image_shared: bool = False,
    stripe_unit: Optional[str] = None,
    stripe_count: Optional[int] = None,
    data_pool: Optional[str] = None,
    journal_splay_width: Optional[int] = None,
    journal_object_size: Optional[str] = None,
    journal_pool: Optional[str] = None,
    image_format: int = 2,
    flatten: bool = False,
) -> LayoutOptions:
    """Return the LayoutOptions of command line arguments. Raises MigrationError(EINVAL)."""
    if image_format != 2:
        raise MigrationError(
            EINVAL,
            f"--image-format {image_format} cannot be the target of a migration; "
            "only format 2 can, so leave the option out.",
        )
    features = _parse_features(image_feature, image_shared)
    size = _power_of_two("--object-size", object_size, MIN_OBJECT_SIZE, MAX_OBJECT_SIZE)
    unit, count = _parse_striping(stripe_unit, stripe_count, size)
    if journal_splay_width is not None and journal_splay_width < 1:
        raise MigrationError(EINVAL, "--journal-splay-width must be 1 or more.")
    return LayoutOptions(
        object_size=size,
        features=features,
        shared=image_shared,
        stripe_unit=unit,
        stripe_count=count,
        data_pool=data_pool,
        journal_splay_width=journal_splay_width,
        journal_object_size=_power_of_two(
            "--journal-object-size",
            journal_object_size,
            MIN_JOURNAL_OBJECT_SIZE,
            MAX_JOURNAL_OBJECT_SIZE,
        ),
        journal_pool=journal_pool,
        flatten=flatten,
    )


def _parse_features(asked: Optional[Iterable[str]], shared: bool) -> Optional[tuple[str, ...]]:
    """Names from repeated and comma-joined ``--image-feature`` values, checked and in bit order."""
    names = {name.strip() for item in asked or () for name in item.split(",") if name.strip()}
    if not names:
        return None
    unknown = sorted(names - FEATURES.keys())
    if unknown:
        raise MigrationError(
            EINVAL,
            f"--image-feature {unknown[0]!r} is not known; choose from {', '.join(FEATURES)}.",
        )
    for name, needed in _NEEDS.items():
        if name in names and needed not in names:
            raise MigrationError(EINVAL, f"--image-feature {name} needs {needed}; give both.")
    clash = [name for name in SINGLE_CLIENT if shared and name in names]
    if clash:
        raise MigrationError(
            EINVAL,
            f"--image-shared cannot go with --image-feature {clash[0]}, which is for a single "
            "writing client; leave one of them out.",
        )
    return tuple(name for name in FEATURES if name in names)


def _power_of_two(option: str, text: Optional[str], low: int, high: int) -> Optional[int]:
    if text is None:
        return None
    size = parse_size(text, option)
    if not low <= size <= high or size & (size - 1):
        raise MigrationError(
            EINVAL,
            f"{option} {text!r} must be a power of two from {format_size(low)} to "
            f"{format_size(high)}.",
        )
    return size


def _parse_striping(
    unit_text: Optional[str], count: Optional[int], object_size: Optional[int]
) -> tuple[Optional[int], Optional[int]]:
    if (unit_text is None) != (count is None):
        raise MigrationError(
            EINVAL, "--stripe-unit and --stripe-count go together; give both or neither."
        )
    if unit_text is None or count is None:
        return None, None
    unit = parse_size(unit_text, "--stripe-unit")
    if count < 1:
        raise MigrationError(EINVAL, "--stripe-count must be 1 or more.")
    largest = object_size or MAX_OBJECT_SIZE
    if unit < 512 or unit > largest or largest % unit:
        raise MigrationError(
            EINVAL,
            f"--stripe-unit {unit_text!r} must divide the object size and be at least 512 bytes.",
        )
    return unit, count
