"""Reading the JSON text of a source-spec and its fields: each error names the path of the field.

No message repeats a value that may be a secret.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from errno import EINVAL
from typing import Any, Callable

from .errors import MigrationError

MAX_TEXT = 64 << 10  # characters; the longest sensible spec, with 100 snapshots, has a third of it
MAX_DEPTH = 8  # a spec has 4 levels
MAX_STRING = 4096  # the longest path of Linux, and longer than servers take for a URL
EXAMPLE = '{"type": "raw", "stream": {"type": "file", "file_path": "/mnt/image.raw"}}'

_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def refuse(path: str, problem: str, form: str = "") -> MigrationError:
    """Return an error about the field at ``path``; ``form`` says what to give instead."""
    where = f"{path} in the source-spec" if path else "The source-spec"
    return MigrationError(EINVAL, f"{where} {problem}" + (f"; {form}." if form else "."))


class _Duplicate(ValueError):
    pass


class _Constant(ValueError):
    pass


def load_json(text: str) -> Any:
    """Parse JSON strictly: no duplicate keys, no NaN, bounded depth and size."""
    if len(text) > MAX_TEXT:
        raise refuse("", f"is longer than {MAX_TEXT} characters", "leave out what is not needed")
    depth = 0
    for found in _STRUCTURE.finditer(text):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(found.group(), 0)
        if depth > MAX_DEPTH:
            raise refuse("", f"is nested deeper than {MAX_DEPTH} levels", f"the form is {EXAMPLE}")
    try:
        return json.loads(text, object_pairs_hook=_pairs, parse_constant=_constant)
    except _Duplicate as error:
        raise refuse(str(error), "is given twice", "give it once") from None
    except _Constant as error:
        raise refuse("", f"holds {error}, which is not JSON", "leave it out") from None
    except json.JSONDecodeError as error:
        raise refuse(
            "",
            f"is not JSON (line {error.lineno}, column {error.colno}: {error.msg.lower()})",
            f"the form is {EXAMPLE}",
        ) from None
    except (ValueError, RecursionError):
        raise refuse(
            "", "holds a number that is too long", "give ids as `ceph` shows them"
        ) from None


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _Duplicate(shown(name))
        found[name] = value
    return found


def _constant(name: str) -> Any:
    raise _Constant(name)


def shown(name: str) -> str:
    """A field's name as given, for a message: printable and short."""
    printable = name.encode("ascii", "backslashreplace").decode()
    return _CONTROL.sub("?", printable)[:40] or "''"


_KINDS = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a number"}


def kind_of(value: Any) -> str:
    """Return the type of a JSON value, for a message."""
    return "null" if value is None else _KINDS.get(type(value), "a number")


def as_object(value: Any, path: str) -> dict[str, Any]:
    """Return the value if it is an object."""
    if not isinstance(value, dict):
        raise refuse(path, f"is {kind_of(value)}", "it must be an object such as " + EXAMPLE)
    return value


def join_path(path: str, name: str) -> str:
    """Return the path of the field ``name`` of the object at ``path``."""
    return f"{path}.{name}" if path else name


def only_known(values: dict[str, Any], path: str, allowed: Iterable[str], of: str) -> None:
    """Refuse fields that are not ``allowed``."""
    allowed = tuple(allowed)
    for name in values:
        if name not in allowed:
            fields = ", ".join(allowed)
            raise refuse(
                join_path(path, shown(name)), f"is not a field of {of}", f"its fields are {fields}"
            )


def required_string(values: dict[str, Any], path: str, name: str, form: str, of: str) -> str:
    """Return a required string: not empty, printable, of bounded length."""
    where = join_path(path, name)
    if name not in values:
        raise refuse(where, f"is missing: {of} needs it", form)
    value = values[name]
    if not isinstance(value, str):
        raise refuse(where, f"is {kind_of(value)}, not a string", form)
    if not value:
        raise refuse(where, "is empty", form)
    if len(value) > MAX_STRING:
        raise refuse(where, f"is longer than {MAX_STRING} characters", form)
    if not value.isprintable():  # half of a surrogate pair is not either
        raise refuse(where, "holds an unprintable character", form)
    return value


def required_type(
    values: dict[str, Any],
    path: str,
    known: Iterable[str],
    of: str,
    hint: Callable[[str], str],
) -> str:
    """Return the type, one of the ``known``; ``hint`` may give advice about another one."""
    listed = ", ".join(known)
    form = f"choose from {listed}"
    value = required_string(values, path, "type", form, f"every {of}")
    if value not in known:
        advice = hint(value)
        raise refuse(
            join_path(path, "type"),
            f"is {shown(value)!r}, which is no {of} that librbd reads",
            advice or form,
        )
    return value
