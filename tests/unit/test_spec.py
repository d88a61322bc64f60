"""Image specs: what is taken for one, and what is refused with a sentence."""

from errno import EINVAL

import pytest
from hypothesis import given

from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.spec import ImageSpec, parse_image_spec
from tests.unit.builders import names

TAKEN = [
    ("a", ImageSpec("rbd", "", "a")),
    ("ssd/a", ImageSpec("ssd", "", "a")),
    ("ssd/ns/a", ImageSpec("ssd", "ns", "a")),
    ("a b", ImageSpec("rbd", "", "a b")),
    ("größe", ImageSpec("rbd", "", "größe")),
]


@pytest.mark.parametrize(("text", "spec"), TAKEN)
def test_what_is_left_out_is_the_default_pool_and_the_default_namespace(text, spec):
    assert parse_image_spec(text, "rbd", "source") == spec


REFUSED = [
    *["", "/", "/a", "a/", "p//a", "p/n/a/x", "p/n/"],
    *["a\tb", "a\nb", "a\n", "p\n/a", "a\x7f", "\x00"],
]


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_image_spec_is_refused_with_the_form(text):
    with pytest.raises(
        MigrationError, match=r"^The target .* is not an image spec; .*image\.$"
    ) as e:
        parse_image_spec(text, "rbd", "target")
    assert e.value.errno == EINVAL


@pytest.mark.parametrize("text", ["a@s", "p/a@s", "p/n/a@s", "@", "a@"])
def test_a_snapshot_is_refused_as_such(text):
    with pytest.raises(MigrationError, match=r"^The source .* names a snapshot; .*\.$") as e:
        parse_image_spec(text, "rbd", "source")
    assert e.value.errno == EINVAL


@given(names, names, names)
def test_a_printed_spec_reads_back(pool, namespace, image):
    for spec in (ImageSpec(pool, "", image), ImageSpec(pool, namespace, image)):
        assert parse_image_spec(str(spec), "other", "source") == spec
