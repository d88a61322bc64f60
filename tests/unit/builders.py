"""Migrations for tests: one by hand, and any by hypothesis."""

import dataclasses
import enum
import typing

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from rbdmigrate.model.bounds import MAX_DURATION
from rbdmigrate.model.migration import Hold, Migration, Place
from rbdmigrate.model.states import Goal, State

NOON = 1_700_000_000.0  # 2023-11-14T22:13:20Z


def migration(**changes) -> Migration:
    """A queued migration from rbd/a to ssd/b that is to be committed, with ``changes``."""
    plain = Migration(
        id="m1",
        source=Place("rbd", "", "a", pool_id=1, image_id="a1"),
        target=Place("ssd", "", "b", pool_id=2),
        goal=Goal.COMMITTED,
        state=State.QUEUED,
        created=NOON,
    )
    return dataclasses.replace(plain, **changes)


# What librbd takes as a name; undecodable bytes of a name are kept as lone surrogates.
names = st.text(
    st.characters(
        exclude_categories=["Cc", "Cs"], exclude_characters="/@", include_characters="\udc80\udcff"
    ),
    min_size=1,
    max_size=12,
)
_SCALARS = {
    str: st.text(max_size=12),
    bool: st.booleans(),
    int: st.integers(min_value=-(1 << 63), max_value=1 << 64),
    float: st.floats(min_value=0, max_value=4e9),  # times: up to the year 2096
}


def any_of(hint: typing.Any) -> st.SearchStrategy:
    """Every value that a field with the type ``hint`` may have; dataclasses field by field."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Union:
        return st.none() | any_of(args[0])
    if origin is tuple:
        return st.lists(any_of(args[0]), max_size=4).map(tuple)
    if origin is dict:
        return st.dictionaries(any_of(args[0]), any_of(args[1]), max_size=3)
    if dataclasses.is_dataclass(hint):
        fields = {name: any_of(inner) for name, inner in typing.get_type_hints(hint).items()}
        if hint is Place:
            fields.update(pool=names, image=names)
        if hint is Migration:
            fields.update(soak=st.floats(min_value=0, max_value=MAX_DURATION))
        return st.builds(hint, **fields)
    if issubclass(hint, enum.Enum):
        return st.sampled_from(hint)
    return _SCALARS[hint]


def full_of(hint: typing.Any) -> typing.Any:
    """A value of the type ``hint`` in which every optional part is there."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Union:
        return full_of(args[0])
    if origin is tuple:
        return (full_of(args[0]),)
    if origin is dict:
        return {full_of(args[0]): full_of(args[1])}
    if dataclasses.is_dataclass(hint):
        return hint(**{n: full_of(inner) for n, inner in typing.get_type_hints(hint).items()})
    if issubclass(hint, enum.Enum):
        return next(iter(hint))
    return {str: "x", bool: True, int: 1, float: NOON}[hint]


holds = any_of(Hold)
migrations = any_of(Migration)
# A migration has about two hundred random parts: one costs a hundred times as much as a number.
few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
