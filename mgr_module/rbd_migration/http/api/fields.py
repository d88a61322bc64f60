"""The fields of requests and answers: type, description, check and JSON schema."""

import json
from dataclasses import dataclass
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Tuple

_NAMES = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
    "size": "a text such as 4M, or a whole number",
}
_TEXTS = ("string", "size", "array")  # types whose empty text counts as left out
_MOST = 1 << 53  # integers that every JSON parser keeps exact
LONGEST = 4096  # characters of a text: PATH_MAX of Linux, and longer than any name
_MANY = 1000  # texts of an array


class FieldError(ValueError):
    """An error in the arguments of a request, in one sentence."""


@dataclass(frozen=True)
class Field:
    """One field.

    ``type`` is JSON's; ``size`` is a text with a unit or a plain number. ``fields`` are those of an
    object, or of each object of an array. An array without them holds texts; an object without them
    may hold anything. ``longest`` is the maximum number of characters of a text, or of each text of
    an array.
    """

    name: str
    type: str
    text: str
    required: bool = False
    default: Any = None
    choices: Tuple[str, ...] = ()
    minimum: Optional[int] = None
    maximum: Optional[int] = None
    fields: Tuple["Field", ...] = ()
    nullable: bool = False
    example: Any = None
    longest: int = LONGEST

    def schema(self) -> Dict[str, Any]:
        """Return the JSON schema of OpenAPI 3.0."""
        found = self._plain_schema()
        found["description"] = self.text
        if self.choices:
            found["enum"] = [*self.choices, *([None] if self.nullable else [])]
        for name, value in (
            ("default", self.default),
            ("example", self.example),
            ("minimum", self.minimum),
            ("maximum", self.maximum),
        ):
            if value is not None:
                found[name] = value
        if self.nullable:
            found["nullable"] = True
        return found

    def _plain_schema(self) -> Dict[str, Any]:
        if self.type == "size":
            return {"oneOf": [{"type": "string"}, {"type": "integer", "minimum": 0}]}
        if self.type == "object":
            return object_schema(self.fields)
        if self.type == "array":
            items = object_schema(self.fields) if self.fields else {"type": "string"}
            return {"type": "array", "items": items}
        return {"type": self.type}


def object_schema(fields: Sequence[Field]) -> Dict[str, Any]:
    """Return the schema of an object with these fields; without fields, of any object."""
    if not fields:
        return {"type": "object"}
    found: Dict[str, Any] = {
        "type": "object",
        "properties": {field.name: field.schema() for field in fields},
    }
    required = [field.name for field in fields if field.required]
    if required:
        found["required"] = required
    return found


def check(fields: Sequence[Field], given: Any, where: str = "") -> Dict[str, Any]:
    """Check the arguments of a request's body and return them without those that are null.

    Raises FieldError for an argument that is missing, unknown or of the wrong type.
    """
    return _checked(fields, given, where, _value)


def check_texts(fields: Sequence[Field], given: Mapping[str, str]) -> Dict[str, Any]:
    """Check the arguments of a query string, where all values are texts. Raises FieldError."""
    return _checked(fields, given, "", _from_text)


def _checked(
    fields: Sequence[Field], given: Any, where: str, read: Callable[[Field, Any, str], Any]
) -> Dict[str, Any]:
    if not isinstance(given, Mapping):
        raise FieldError(f"{where or 'The body'} has to be a JSON object.")
    prefix = f"{where}." if where else ""
    known = {field.name: field for field in fields}
    for name in given:
        if name not in known:
            there = ", ".join(known) or "none"
            raise FieldError(f"{prefix}{_shown(name)} is not known; known fields: {there}.")
    found = {}
    for name, field in known.items():
        value = given.get(name)
        empty = value == "" and field.type in _TEXTS
        if value is None or empty:
            if field.required:
                raise FieldError(f"{prefix}{name} is missing: {field.text}")
            value = field.default
        else:
            value = read(field, value, prefix + name)
        if value is not None:
            found[name] = value
    return found


def _value(field: Field, value: Any, name: str) -> Any:
    kinds = {
        "string": isinstance(value, str),
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "number": isinstance(value, (int, float)) and not isinstance(value, bool),
        "boolean": isinstance(value, bool),
        "object": isinstance(value, dict),
        # The optional ones have always been taken as one text with commas too.
        "array": isinstance(value, list) or (isinstance(value, str) and not field.required),
        "size": isinstance(value, (str, int)) and not isinstance(value, bool),
    }
    if not kinds[field.type]:
        # The value may be a source-spec given as text, with secrets in it.
        given = "something else" if field.type == "object" else _shown(value)
        raise FieldError(f"{name} is {given}; give {_NAMES[field.type]}.")
    if field.type == "object":
        return check(field.fields, value, name) if field.fields else value
    if field.type == "array":
        return _texts(field, value, name)
    if isinstance(value, str):
        _refuse_long(field, value, name)
    if field.choices and value not in field.choices:
        raise FieldError(
            f"{name} {_shown(value)} is not known; choose from {', '.join(field.choices)}."
        )
    if isinstance(value, (int, float)):
        _in_bounds(field, value, name)
    return value


def _from_text(field: Field, text: str, name: str) -> Any:
    value: Any = text
    if field.type == "integer":
        try:
            value = int(text)
        except ValueError:
            raise FieldError(f"{name} is {_shown(text)}; give a whole number.") from None
    elif field.type == "boolean":
        known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        value = known.get(text.lower(), text)
    elif field.type == "array":
        found = _texts(field, text, name)
        for one in found:
            if field.choices and one not in field.choices:
                raise FieldError(
                    f"{name} {_shown(one)} is not known; choose from {', '.join(field.choices)}."
                )
        return found
    return _value(field, value, name)


def _texts(field: Field, value: Any, name: str) -> Any:
    """Parse a list of texts, or one text with commas between them."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not all(isinstance(part, str) for part in value):
        raise FieldError(f"{name} is {_shown(value)}; give a list of texts.")
    if len(value) > _MANY:
        raise FieldError(f"{name} has {len(value)} texts; give at most {_MANY}.")
    for part in value:
        _refuse_long(field, part, name)
    return list(value)


def _refuse_long(field: Field, text: str, name: str) -> None:
    if len(text) > field.longest:
        raise FieldError(
            f"{name} has {len(text)} characters; give a text of at most {field.longest}."
        )


def _in_bounds(field: Field, value: float, name: str) -> None:
    lowest = -_MOST if field.minimum is None else field.minimum
    highest = _MOST if field.maximum is None else field.maximum
    if not lowest <= value <= highest:
        raise FieldError(f"{name} is {value}; give a number from {lowest} to {highest}.")


def _shown(value: Any) -> str:
    """Format a wrong value for an error message: short and on one line."""
    try:
        text = json.dumps(value)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def field(name: str, type: str, text: str, **more: Any) -> Field:
    """Return a field that every answer has."""
    return Field(name, type, text, required=True, **more)
