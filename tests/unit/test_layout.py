"""Layout options: what `rbd create` would take is taken, the rest is refused up front."""

from errno import EINVAL
from itertools import combinations

import pytest

from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.layout import FEATURES, SINGLE_CLIENT, LayoutOptions, parse_layout

TAKEN = [
    ({}, LayoutOptions()),
    ({"object_size": "4K"}, LayoutOptions(object_size=4 << 10)),
    ({"object_size": "32M"}, LayoutOptions(object_size=32 << 20)),
    ({"image_shared": True}, LayoutOptions(shared=True)),
    (
        {"image_shared": True, "image_feature": ["layering"]},
        LayoutOptions(shared=True, features=("layering",)),
    ),
    (
        {"stripe_unit": "64K", "stripe_count": 4},
        LayoutOptions(stripe_unit=64 << 10, stripe_count=4),
    ),
    (
        {"stripe_unit": "1M", "stripe_count": 1, "object_size": "1M"},
        LayoutOptions(object_size=1 << 20, stripe_unit=1 << 20, stripe_count=1),
    ),
    ({"journal_object_size": "64M"}, LayoutOptions(journal_object_size=64 << 20)),
    ({"journal_splay_width": 1}, LayoutOptions(journal_splay_width=1)),
    (
        {"data_pool": "ec", "journal_pool": "j", "flatten": True},
        LayoutOptions(data_pool="ec", journal_pool="j", flatten=True),
    ),
]


@pytest.mark.parametrize(("given", "layout"), TAKEN)
def test_what_is_asked_is_kept_and_what_is_not_asked_stays_open(given, layout):
    assert parse_layout(**given) == layout


REFUSED = [
    ({"object_size": "5M"}, "--object-size '5M' must be a power of two from 4 KiB to 32 MiB"),
    ({"object_size": "0"}, "--object-size"),
    ({"object_size": "2K"}, "--object-size"),
    ({"object_size": "64M"}, "--object-size"),
    ({"object_size": "big"}, "--object-size 'big' is not a size"),
    ({"journal_object_size": "2K"}, "--journal-object-size"),
    ({"journal_object_size": "128M"}, "--journal-object-size"),
    ({"journal_splay_width": 0}, "--journal-splay-width"),
    (
        {"image_feature": ["layerin"]},
        "--image-feature 'layerin' is not known; choose from layering",
    ),
    ({"image_feature": ["object-map"]}, "object-map needs exclusive-lock"),
    ({"image_feature": ["journaling"]}, "journaling needs exclusive-lock"),
    ({"image_feature": ["exclusive-lock,fast-diff"]}, "fast-diff needs object-map"),
    ({"image_feature": ["fast-diff", "object-map"]}, "object-map needs exclusive-lock"),
    ({"stripe_unit": "64K"}, "go together"),
    ({"stripe_count": 4}, "go together"),
    ({"stripe_unit": "64K", "stripe_count": 0}, "--stripe-count"),
    ({"stripe_unit": "256", "stripe_count": 2}, "--stripe-unit"),
    ({"stripe_unit": "0", "stripe_count": 2}, "--stripe-unit"),
    ({"stripe_unit": "x", "stripe_count": 2}, "--stripe-unit"),
    ({"stripe_unit": "2M", "stripe_count": 2, "object_size": "1M"}, "--stripe-unit"),
    ({"stripe_unit": "3K", "stripe_count": 2, "object_size": "1M"}, "--stripe-unit"),
    ({"image_format": 1}, "--image-format 1"),
]


@pytest.mark.parametrize(("given", "words"), REFUSED)
def test_a_bad_value_is_one_sentence_that_names_the_option(given, words):
    with pytest.raises(MigrationError) as e:
        parse_layout(**given)
    assert e.value.errno == EINVAL
    assert words in str(e.value)
    assert str(e.value).endswith(".")


@pytest.mark.parametrize("name", SINGLE_CLIENT)
def test_a_shared_image_takes_no_feature_for_a_single_client(name):
    together = ["exclusive-lock", "object-map", name]
    with pytest.raises(MigrationError, match="--image-shared cannot go with"):
        parse_layout(image_feature=together, image_shared=True)


def test_features_may_be_repeated_joined_and_in_any_order():
    wanted = ("layering", "exclusive-lock", "object-map")
    for spelling in (
        ["layering", "exclusive-lock", "object-map"],
        ["object-map,layering , exclusive-lock,"],
        ["object-map", "layering,exclusive-lock", "layering"],
    ):
        assert parse_layout(image_feature=spelling).features == wanted


def test_every_set_of_features_is_complete_or_refused():
    assert parse_layout(image_feature=[""]).features is None, "empty counts as left out"
    for size in range(1, len(FEATURES) + 1):
        for names in combinations(FEATURES, size):
            complete = (
                ("exclusive-lock" in names or not {"object-map", "journaling"} & {*names})
                and ("object-map" in names or "fast-diff" not in names)
            )  # fmt: skip
            if complete:
                bits = parse_layout(image_feature=names).feature_bits()
                assert bits == sum({FEATURES[name] for name in names})
            else:
                with pytest.raises(MigrationError):
                    parse_layout(image_feature=names)


def test_features_not_asked_for_are_librbds_choice():
    assert LayoutOptions().feature_bits() is None
    assert LayoutOptions(features=()).feature_bits() == 0
