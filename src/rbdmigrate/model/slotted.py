"""Slots for dataclasses that exist by the thousand: a third of the memory of one with a dict."""

from __future__ import annotations

from dataclasses import fields
from typing import TypeVar

Class = TypeVar("Class", bound=type)


def slotted(cls: Class) -> Class:
    """Return a copy of the dataclass ``cls`` with a slot for each field, and no other attributes.

    As ``dataclass(slots=True)`` does from Python 3.10 on. ``cls`` derives from nothing, and its
    methods use no ``super()`` without arguments.
    """
    names = tuple(field.name for field in fields(cls))
    kept = {
        name: value
        for name, value in vars(cls).items()
        if name not in names and name not in ("__dict__", "__weakref__")
    }
    made: Class = type(cls)(cls.__name__, cls.__bases__, {**kept, "__slots__": names})
    made.__qualname__ = cls.__qualname__
    return made
