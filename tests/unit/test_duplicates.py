"""Two records about one image: both rest, for one of them would harm what the other is about."""

from dataclasses import replace

import pytest

from rbdmigrate.control.lifecycle.duplicates import duplicates
from rbdmigrate.model.import_source import Import
from rbdmigrate.model.migration import Migration, Place
from rbdmigrate.model.states import State
from tests.unit.builders import migration

ONE = migration(id="one")
OTHER = replace(
    ONE,
    id="other",
    source=Place("rbd", "", "c", 1, "c1"),
    target=Place("ssd", "", "d", 2),
)


def on(m: Migration, image: str, image_id: str, namespace: str = "") -> Migration:
    """``m`` with another target in the same pool."""
    return replace(m, target=replace(m.target, image=image, image_id=image_id, namespace=namespace))


IMPORT = replace(ONE, imported=Import("{}"))
CASES = [
    (ONE, OTHER, False, "they share nothing"),
    (ONE, replace(OTHER, source=ONE.source), True, "one source"),
    (ONE, replace(OTHER, source=replace(ONE.source, image="renamed")), True, "renamed meanwhile"),
    (
        ONE,
        replace(OTHER, source=replace(ONE.source, image_id="c1")),
        False,
        "another image has the name of the source now",
    ),
    (
        ONE,
        replace(OTHER, source=replace(ONE.source, namespace="tenant")),
        False,
        "ids count in their namespace only",
    ),
    (ONE, replace(OTHER, target=ONE.target), True, "one target, which has no id yet"),
    (on(ONE, "b", "t1"), on(OTHER, "b", ""), True, "one of them has the target's id"),
    (on(ONE, "b", "t1"), on(OTHER, "z", "t1"), True, "one id, whatever the names"),
    (on(ONE, "b", "t1"), on(OTHER, "b", "t2"), False, "two targets that were renamed"),
    (ONE, on(OTHER, "b", "", "tenant"), False, "the same name in another namespace"),
    (IMPORT, replace(OTHER, imported=Import("{}"), source=ONE.source), False, "many may read one"),
    (IMPORT, replace(OTHER, imported=Import("{}"), target=ONE.target), True, "imports, one target"),
    (ONE, replace(OTHER, source=ONE.source, state=State.COMMITTED), False, "it is over"),
    (ONE, replace(OTHER, source=ONE.source, state=State.FAILED), True, "a failed one may go on"),
]


@pytest.mark.parametrize(("one", "other", "double", "why"), CASES)
def test_records_about_one_image_are_found_and_no_others(one, other, double, why):
    assert (duplicates([one, other]).keys() == {"one", "other"}) is double, why
    assert duplicates([one]) == duplicates([other]) == {}


def test_each_is_told_of_the_others_and_how_to_remove_itself():
    other = replace(OTHER, source=ONE.source, target=replace(OTHER.target, namespace="tenant"))
    found = duplicates([ONE, other])
    assert "migration.one (rbd/a to ssd/b, queued)" in found["other"]
    assert "migration.other (rbd/a to ssd/tenant/d, queued)" in found["one"]
    assert "`rados -p ssd rmomapkey rbd_migration migration.one`" in found["one"]
    assert "`rados -p ssd -N tenant rmomapkey rbd_migration migration.other`" in found["other"]


def test_a_sentence_names_a_few_of_thousands():
    found = duplicates(replace(OTHER, id=f"m{n}", source=ONE.source) for n in range(2000))
    assert len(found) == 2000
    assert "migration.m4 " in found["m1999"]
    assert "migration.m5 " not in found["m1999"]
    assert "and 1994 more; none of them" in found["m1999"]
    assert "migration.m5 " in found["m0"]
    assert max(map(len, found.values())) < 1000
