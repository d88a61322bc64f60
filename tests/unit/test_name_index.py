"""Migrations by their images: also after a rename, and when they are over."""

from dataclasses import replace

import pytest

from rbdmigrate.model.import_source import Import
from rbdmigrate.model.migration import Migration, Place
from tests.fakes.bare import bare_cluster
from tests.fakes.loading import load
from tests.unit.builders import migration

NameIndex = load().module("engine.records.name_index").NameIndex
TrackedMigration = load().module("engine.records.tracked").TrackedMigration

ONE = migration(id="one")


@pytest.fixture
def index():
    with bare_cluster("hdd"):
        yield NameIndex()


def added(index, m: Migration):
    tracked = TrackedMigration(m)
    index.add(tracked)
    return tracked


def test_it_finds_by_either_name(index):
    tracked = added(index, ONE)
    assert index.to(ONE.target.spec) is tracked
    assert index.out_of(ONE.source.spec) is tracked
    assert index.to(ONE.source.spec) is None
    assert index.out_of(ONE.target.spec) is None


def test_the_source_of_an_import_is_no_image_here(index):
    added(index, replace(ONE, imported=Import("{}")))
    assert index.out_of(ONE.source.spec) is None


@pytest.mark.parametrize("end", ["source", "target"])
def test_a_renamed_image_is_found_by_its_new_name_alone(index, end):
    tracked = added(index, ONE)
    place: Place = replace(getattr(ONE, end), image="other")
    tracked.migration = replace(ONE, **{end: place})
    index.renamed(ONE, tracked)
    find = index.to if end == "target" else index.out_of
    assert find(place.spec) is tracked
    assert find(getattr(ONE, end).spec) is None


def test_of_two_with_one_name_the_other_stays(index):
    added(index, ONE)
    other = added(index, replace(ONE, id="other"))
    index.remove(ONE)
    assert index.to(ONE.target.spec) is other
    index.remove(other.migration)
    assert index.to(ONE.target.spec) is None
    assert not index._targets
    assert not index._sources


def test_a_source_is_found_by_its_id_whatever_its_name(index):
    tracked = added(index, ONE)
    renamed = replace(ONE.source, image="other")
    assert index.out_of_id(renamed) is tracked
    assert index.out_of_id(replace(renamed, image_id="another")) is None
    assert index.out_of_id(replace(renamed, pool_id=renamed.pool_id + 1)) is None
    tracked.migration = replace(ONE, source=renamed)
    index.renamed(ONE, tracked)
    assert index.out_of_id(ONE.source) is tracked
    index.remove(tracked.migration)
    assert index.out_of_id(ONE.source) is None


def test_sources_whose_ids_are_not_known_are_not_the_same(index):
    unknown = replace(ONE.source, image_id="")
    added(index, replace(ONE, source=unknown))
    assert index.out_of_id(replace(unknown, image="other")) is None
    known = added(index, replace(ONE, id="known"))
    assert index.out_of_id(replace(ONE.source, image="renamed")) is known
