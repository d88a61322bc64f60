"""Frozen dataclasses to JSON-able data and back, strictly: unknown fields are refused.

A record is the only memory of a migration, so a field that this version does not know
must not be dropped silently by a rewrite: it makes the record undecodable (and the store keeps it).

A value that may be of one of several dataclasses (a ``Union``) is an object with one key, the name
of its class: ``{"Done": {...}}``.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import typing
from collections.abc import Hashable, Iterable, Mapping
from errno import E2BIG, EINVAL
from typing import Any, Callable, TypeVar

from .errors import MigrationError, RecordError

T = TypeVar("T")
_STORED = "stored"  # the key of a field's metadata for its stored name
_IF_SET = "if set"  # the key for a field that is left out while it has its default
_LARGEST = 1e11  # seconds: larger than for any date


def to_plain(value: Any) -> Any:
    """Dataclasses to dicts, enums to their values, tuples and sets to lists, inside dicts too."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            f.stored: (to_tagged if f.union else to_plain)(getattr(value, f.name))
            for f in _fields(type(value))
            if not f.if_set or getattr(value, f.name) != f.default
        }
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, frozenset):
        return sorted(to_plain(item) for item in value)
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    return value


def to_stored(value: Any) -> dict[str, Any]:
    """A dataclass as :func:`to_plain` makes it, without the fields that have their default.

    Versions that do not know a field can read the record as long as it has its default.
    """
    return {
        f.stored: (to_tagged if f.union else to_plain)(found)
        for f in _fields(typing.cast(Hashable, type(value)))
        if (found := getattr(value, f.name)) != f.default or f.required
    }


def stored_as(name: str) -> dict[str, str]:
    """Metadata for a dataclass field that is stored under another name, which a release gave it."""
    return {_STORED: name}


def stored_if_set() -> dict[str, bool]:
    """Metadata for a dataclass field that is left out while it has its default.

    Versions that do not know the field read the rest.
    """
    return {_IF_SET: True}


def to_tagged(value: Any) -> Any:
    """A dataclass as an object whose only key is the name of its class; None as None."""
    return None if value is None else {type(value).__name__: to_plain(value)}


def from_tagged(classes: Iterable[type], data: Any, where: str = "record") -> Any:
    """The inverse of :func:`to_tagged` for one of ``classes``. Raises RecordError."""
    names = {cls.__name__: cls for cls in classes}
    if not isinstance(data, Mapping) or len(data) != 1:
        raise RecordError(f"{where} is not an object with one of the keys {', '.join(names)}")
    (name,) = data
    if name not in names:
        raise RecordError(f"{where} is of the unknown kind {shown(name)}")
    return from_plain(names[name], data[name], where)


def from_plain(cls: type[T], data: Any, where: str = "record") -> T:
    """The inverse of :func:`to_plain` for the dataclass ``cls``.

    Raises RecordError, naming the path of the offending field, for unknown fields, missing
    fields without a default and values of another type.
    """
    if not isinstance(data, Mapping):
        raise RecordError(f"{where} is not an object")
    fields = _fields(typing.cast(Hashable, cls))
    known = {f.stored for f in fields}
    unknown = sorted(str(key) for key in data if key not in known)
    if unknown:
        raise RecordError(f"{where} has an unknown field {unknown[0]!r}")
    values: dict[str, Any] = {}
    for f in fields:
        if f.stored in data:
            values[f.name] = _decode(f.hint, data[f.stored], f"{where}.{f.stored}")
        elif f.required:
            raise RecordError(f"{where} lacks the field {f.stored!r}")
    return cls(**values)


def dumped(plain: Mapping[str, Any], schema: int) -> bytes:
    """Return the stored form of the plain fields of a record; see :func:`loaded`."""
    return json.dumps({"schema": schema, **plain}, separators=(",", ":")).encode()


def loaded(raw: bytes, schema: int) -> dict[str, Any]:
    """Return the plain fields of a stored record of this schema. Raises RecordError."""
    try:
        plain: Any = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise RecordError("it is not JSON") from error
    if not isinstance(plain, dict):
        raise RecordError("it is not a JSON object")
    found = plain.pop("schema", None)
    if found != schema:
        raise RecordError(f"its schema is {shown(found)}, this version reads {schema}")
    return plain


def readable(raw: bytes, what: str, largest: int, read: Callable[[], object]) -> None:
    """Make sure, before ``raw`` is written, that it is no larger than ``largest`` bytes and that
    ``read`` can read it.

    Raises MigrationError, E2BIG or EINVAL; nothing has been changed then.
    """
    if len(raw) > largest:
        raise MigrationError(
            E2BIG,
            f"The record of {what} would have {len(raw)} bytes, but at most {largest} can be "
            "read back; nothing was changed. Give less, such as a shorter window or fewer images.",
        )
    try:
        read()
    except RecordError as error:
        raise MigrationError(
            EINVAL,
            f"The record of {what} could not be read back ({error}); nothing was changed.",
        ) from error


def shown(value: Any) -> str:
    """A value of a broken record for an error's message, shortened; never fails."""
    try:
        return repr(value)[:80]
    except RecursionError:
        return f"a deeply nested {type(value).__name__}"


@dataclasses.dataclass(frozen=True)
class _Field:
    """A field of a dataclass. ``union``: its value may be of one of several dataclasses.

    ``if_set``: it is left out while it has its default.
    """

    name: str
    stored: str
    hint: Any
    union: bool
    if_set: bool
    required: bool
    default: Any


@functools.cache
def _fields(cls: Any) -> tuple[_Field, ...]:
    hints = typing.get_type_hints(cls)
    return tuple(_field(f, hints[f.name]) for f in dataclasses.fields(cls))


def _field(f: dataclasses.Field[Any], hint: Any) -> _Field:
    made = f.default_factory is not dataclasses.MISSING
    default = f.default_factory() if made else f.default  # type: ignore[misc]
    return _Field(
        name=f.name,
        stored=f.metadata.get(_STORED, f.name),
        hint=hint,
        union=len(members(hint)) > 1,
        if_set=_IF_SET in f.metadata,
        required=default is dataclasses.MISSING,
        default=default,
    )


def members(hint: Any) -> tuple[Any, ...]:
    """The classes of a ``Union``, without None; of anything else nothing."""
    if typing.get_origin(hint) is not typing.Union:
        return ()
    return tuple(arg for arg in typing.get_args(hint) if arg is not type(None))


def _decode(hint: Any, value: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Union:
        if value is None and type(None) in args:
            return None
        classes = members(hint)
        if len(classes) > 1:
            return from_tagged(classes, value, where)
        return _decode(classes[0], value, where)
    if origin in (tuple, frozenset):
        if not isinstance(value, list):
            raise RecordError(f"{where} is not a list")
        return origin(_decode(args[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict:  # keys are texts: JSON has no others
        if not isinstance(value, Mapping):
            raise RecordError(f"{where} is not an object")
        return {str(key): _decode(args[1], item, f"{where}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(hint):
        return from_plain(typing.cast(type, hint), value, where)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        try:
            return hint(value)
        except (ValueError, RecursionError) as error:
            raise RecordError(f"{where} has the unknown value {shown(value)}") from error
    return _scalar(hint, value, where)


def _scalar(hint: type, value: Any, where: str) -> Any:
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        if not 0 <= value < _LARGEST:
            raise RecordError(f"{where} is neither a time nor a duration")
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise RecordError(f"{where} is not of type {hint.__name__}")
    return value
