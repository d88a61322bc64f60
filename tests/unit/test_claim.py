"""What an unreadable record is about."""

import json

from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.model.claim import Claim, claim_of
from rbdmigrate.model.migration_codec import encode
from rbdmigrate.model.spec import ImageSpec
from tests.unit.builders import few, migration, migrations

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["pool", "image", "image_id", "source"]), inner)
    ),
    max_leaves=8,
)


@few
@given(migrations)
def test_a_record_of_a_newer_schema_still_says_which_images_it_is_about(record):
    newer = {**json.loads(encode(record)), "schema": 9, "colour": "blue"}
    claim = claim_of(json.dumps(newer).encode())
    assert claim.specs == {record.source.spec, record.target.spec}
    assert claim.ids == {record.source.image_id, record.target.image_id} - {""}
    assert not claim.obscure


def test_an_external_source_is_no_image():
    newer = {**json.loads(encode(migration())), "source": {"type": "qcow"}}
    claim = claim_of(json.dumps(newer).encode())
    assert claim.specs == {migration().target.spec}


def test_what_is_no_record_may_be_about_any_image():
    for raw in (b"", b"\xff", b"[]", b"{}", b'{"source": 3, "target": {}}', b"[" * 100_000):
        assert claim_of(raw).obscure


@given(anything, anything)
def test_nothing_makes_it_fail(source, target):
    claim_of(json.dumps({"source": source, "target": target}).encode())


def test_a_name_or_an_id_is_enough():
    here, there = ImageSpec("p", "", "a"), ImageSpec("p", "", "b")
    claim = Claim(frozenset([here]), frozenset(["17"]))
    assert claim.names(frozenset([here, there]))
    assert claim.names(frozenset([there]), frozenset(["17"]))
    assert not claim.names(frozenset([there]), frozenset(["18"]))
