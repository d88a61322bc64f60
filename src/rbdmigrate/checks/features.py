"""The target's layout and features: whether they fit together, the source and its clients."""

from __future__ import annotations

from collections.abc import Iterator
from errno import EINVAL

from ..model.finding import Severity
from ..model.layout import SINGLE_CLIENT
from ..model.source_image import SourceImage
from ..model.units import format_size
from .facts import Facts
from .registry import IMAGE_METHODS, Found, check

MAX_OBJECT_MAP = 256_000_000  # objects (librbd, cls_rbd: MAX_OBJECT_MAP_OBJECT_COUNT)


def target_features(facts: Facts, image: SourceImage) -> frozenset[str]:
    """Return the features that the target gets."""
    layout = facts.request.layout
    features = image.features if layout.features is None else frozenset(layout.features)
    return features - frozenset(SINGLE_CLIENT) if layout.shared else features


@check(
    "PROTECTED_NEEDS_LAYERING",
    Severity.ERROR,
    "A snapshot of the source is protected, and the target would lack the feature layering.",
    methods=IMAGE_METHODS,
    errno=EINVAL,
)
def layering(facts: Facts) -> Iterator[Found]:
    """Yield a missing layering, with which librbd crashes (16.2.15)."""
    image = facts.image
    if image is None or "layering" in target_features(facts, image):
        return
    for snapshot in image.snapshots:
        if snapshot.protected:
            yield Found(
                f"{facts.request.source}@{snapshot.name}",
                f"The snapshot {snapshot.name!r} of the source is protected, which needs the "
                "feature layering on the target too; add `--image-feature layering` or unprotect "
                "it.",
                f"rbd snap unprotect {facts.request.rbd_source}@{snapshot.name}",
            )
            return


@check(
    "STRIPE_UNIT",
    Severity.ERROR,
    "The stripe unit does not divide the target's object size.",
    methods=IMAGE_METHODS,
    errno=EINVAL,
)
def stripe_unit(facts: Facts) -> Iterator[Found]:
    """Yield a stripe unit that does not fit: without an object size it has to fit the source's."""
    layout, image = facts.request.layout, facts.image
    if image is None or layout.stripe_unit is None:
        return
    size = layout.object_size or image.object_size
    if layout.stripe_unit > size or size % layout.stripe_unit:
        yield Found(
            str(facts.request.target),
            f"--stripe-unit {format_size(layout.stripe_unit)} does not divide the object size of "
            f"{format_size(size)}; give another, or --object-size too.",
        )


@check(
    "OBJECT_MAP_LIMIT",
    Severity.ERROR,
    "The target would have more objects than an object map can hold.",
    methods=IMAGE_METHODS,
    errno=EINVAL,
)
def object_map(facts: Facts) -> Iterator[Found]:
    """Yield a target with too many objects for an object map."""
    image = facts.image
    if image is None or "object-map" not in target_features(facts, image):
        return
    size = facts.request.layout.object_size or image.object_size
    count = -(-image.size // size)
    if count > MAX_OBJECT_MAP:
        yield Found(
            str(facts.request.target),
            f"With objects of {format_size(size)} the target would have {count} objects, and an "
            f"object map holds at most {MAX_OBJECT_MAP}; give a larger --object-size.",
            "--object-size 4M",
        )


@check(
    "FEATURES_NEW",
    Severity.WARNING,
    "The target gets features that the source does not have, and that its clients may not support.",
    methods=IMAGE_METHODS,
)
def new(facts: Facts) -> Iterator[Found]:
    """Yield new features: whether today's clients support them is not known."""
    image = facts.image
    if image is None:
        return
    added = sorted(target_features(facts, image) - image.features)
    if added:
        yield Found(
            str(facts.request.target),
            f"The target gets features that the source does not have ({', '.join(added)}); make "
            "sure that all of its clients support them.",
        )


@check(
    "FEATURES_LOST",
    Severity.WARNING,
    "The target lacks features that the source has.",
    methods=IMAGE_METHODS,
)
def lost(facts: Facts) -> Iterator[Found]:
    """Yield lost features, such as exclusive-lock, without which two clients may write at once."""
    image = facts.image
    if image is None:
        return
    gone = sorted(image.features - target_features(facts, image) - {"striping"})
    if gone:
        yield Found(
            str(facts.request.target),
            f"The target lacks features that the source has: {', '.join(gone)}.",
        )
