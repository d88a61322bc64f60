"""Dataclasses with slots: as before, but without a dict for each object."""

from dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from typing import Optional, get_type_hints

import pytest

from rbdmigrate.model.cutover import CutoverPolicy
from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.migration import Migration, Place, TimelineEntry
from rbdmigrate.model.slotted import slotted
from tests.fakes.loading import load

TrackedMigration = load().module("engine.records.tracked").TrackedMigration


@slotted
@dataclass(frozen=True)
class Thing:
    """A thing."""

    name: str
    size: int = 3
    parts: "list[str]" = field(default_factory=list)

    @property
    def twice(self) -> int:
        return 2 * self.size


def test_it_is_a_dataclass_as_before():
    thing = Thing("a")
    assert thing == Thing("a", 3, [])
    assert (thing.twice, replace(thing, size=5).twice) == (6, 10)
    assert repr(thing) == "Thing(name='a', size=3, parts=[])"
    assert [one.default for one in fields(Thing)][1] == 3
    assert get_type_hints(Thing)["size"] is int
    assert (Thing.__doc__, Thing.__module__) == ("A thing.", __name__)
    assert Thing("a").parts is not thing.parts


def test_it_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Thing("a").size = 4


@pytest.mark.parametrize(
    "kind", [Thing, Migration, Place, TimelineEntry, LayoutOptions, CutoverPolicy, TrackedMigration]
)
def test_what_exists_by_the_thousand_has_no_dict(kind):
    made: Optional[object] = object.__new__(kind)
    assert not hasattr(made, "__dict__")
