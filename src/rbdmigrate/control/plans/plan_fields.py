"""Reading the fields of a plan's objects: each error names the path of the field."""

from __future__ import annotations

import re
from collections.abc import Iterable
from errno import EINVAL
from typing import Any, Callable, TypeVar

from ...model.errors import MigrationError
from ...model.plan import MAX_ITEMS

_T = TypeVar("_T")
_MAX_LIST = 1000


def refuse(path: str, problem: str, form: str) -> MigrationError:
    """Return an error about the field at ``path`` of a plan."""
    where = f"{path} in the plan" if path else "The plan"
    return MigrationError(EINVAL, f"{where} {problem}; {form}.")


class PlanObject:
    """An object of the plan at ``path``, whose ``fields`` are known; others are refused."""

    def __init__(self, value: Any, path: str, fields: Iterable[str]) -> None:
        fields = tuple(fields)
        if value == "":
            value = {}  # written and left empty
        if not isinstance(value, dict):
            raise refuse(
                path, f"is {_kind(value)}, not an object", f"its fields are {', '.join(fields)}"
            )
        for name in value:
            if name not in fields:
                raise refuse(
                    _join(path, shown(str(name))[1:-1]),
                    "is not known",
                    f"{'its' if not path else 'the'} fields here are {', '.join(fields)}",
                )
        self._value: dict[str, Any] = value
        self.path = path

    def where(self, name: str) -> str:
        """Return the path of a field."""
        return _join(self.path, name)

    def has(self, name: str) -> bool:
        """Return whether a field is given."""
        return name in self._value

    def raw(self, name: str) -> Any:
        """Return a field as it is given; an empty text if it is missing."""
        return self._value.get(name, "")

    def text(self, name: str) -> str:
        """Return a text; empty if it is missing."""
        value = self._value.get(name, "")
        if isinstance(value, bool) or value is None:
            value = "" if value is None else str(value).lower()
        if isinstance(value, (int, float)):
            value = str(value)
        if not isinstance(value, str):
            raise refuse(self.where(name), f"is {_kind(value)}, not a text", "give one text")
        if not value.isprintable():
            raise refuse(self.where(name), "holds unprintable characters", "remove them")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts; a single text stands for a list of one."""
        value = self._value.get(name, "")
        if isinstance(value, str):
            value = [value] if value else []
        if not isinstance(value, list) or len(value) > _MAX_LIST:
            raise refuse(self.where(name), f"is {_kind(value)}", f"give up to {_MAX_LIST} texts")
        items = {str(number): item for number, item in enumerate(value)}
        inner = PlanObject(items, self.where(name), items)
        return tuple(inner.text(number) for number in items)

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """Return a whole number from ``low`` to ``high``."""
        text = self.text(name)
        if not text:
            return default
        if not re.fullmatch(r"-?[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise refuse(
                self.where(name),
                f"is {shown(text)}",
                f"give a whole number from {low} to {high}",
            )
        return int(text)

    def flag(self, name: str) -> bool:
        """Return true or false; false if it is missing."""
        return self.choice(name, ("true", "false"), "false") == "true"

    def choice(self, name: str, known: Iterable[str], default: str) -> str:
        """Return one of the ``known`` texts."""
        text = self.text(name) or default
        if text not in known:
            raise refuse(self.where(name), f"is {shown(text)}", f"choose from {', '.join(known)}")
        return text

    def object(self, name: str, fields: Iterable[str]) -> PlanObject:
        """Return a nested object; an empty one if it is missing."""
        return PlanObject(self.raw(name), self.where(name), fields)

    def items(self, name: str) -> list[tuple[Any, str]]:
        """Return the items of a list, with their paths."""
        value = self.raw(name)
        if value == "":
            return []
        if not isinstance(value, list) or len(value) > MAX_ITEMS:
            raise refuse(
                self.where(name), f"is {_kind(value)}", f"give a list of up to {MAX_ITEMS} objects"
            )
        return [(item, f"{self.where(name)}[{number}]") for number, item in enumerate(value)]

    def read(self, name: str, text: str, read: Callable[[str, str], _T], default: _T) -> _T:
        """Return the result of ``read``, whose error messages name the path."""
        return read(text, f"{self.where(name)} in the plan:") if text else default


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _kind(value: Any) -> str:
    known = ((dict, "an object"), (list, "a list"), (str, "a text"))
    return next((name for kind, name in known if isinstance(value, kind)), "something else")


def shown(text: str) -> str:
    """Return a text as given, for a message: printable and short."""
    printable = ascii(text)
    return printable if len(printable) <= 60 else printable[:57] + "..."
