"""The text of a plan file as plain data: a safe subset of YAML.

Every scalar is a text, so ``22:00`` is a time and ``no`` a name; the reader of a field knows its
type. Aliases, tags and duplicate keys are refused, and depth and size are bounded: parsing YAML
blocks the manager, some 30 us for each part. JSON is parsed a hundred times as fast, and may be
longer.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from errno import EINVAL
from typing import Any, Optional

import yaml

from ...model.errors import MigrationError

MAX_TEXT = 512 << 10  # characters of JSON: some thousand images by name
MAX_YAML = 100_000  # characters of YAML, at some 1 us
MAX_PARTS = 6_000  # of YAML, at some 30 us: a plan of 1,200 images by name
MAX_DEPTH = 12  # a plan has 7 levels

_PARTS = (",", ":", "[", "{", "?", "- ", "\n")  # characters that begin or end a part of YAML
_NULLS = ("", "~", "null", "Null", "NULL")  # texts that YAML reads as null
_TOO_DEEP = f"is nested deeper than {MAX_DEPTH} levels"
_EXAMPLE = "a plan begins with `plan: NAME`, and `select:` or `images:` follow"


def load_plan_text(text: str) -> Any:
    """Return the dicts, lists and texts of a YAML (or JSON) document. MigrationError(EINVAL)."""
    if len(text) > MAX_TEXT:
        raise _too_long(f"is longer than {MAX_TEXT} characters", "or make several plans")
    if text.lstrip().startswith("{"):
        found = _json(text)
        if found is not None:
            return found
    _refuse_long_yaml(text)
    try:
        return _document(iter(yaml.parse(text, Loader=yaml.SafeLoader)))
    except yaml.MarkedYAMLError as error:
        problem = " ".join(str(error.problem or "something is missing").split())
        raise MigrationError(
            EINVAL, f"The plan is not YAML{_where(error.problem_mark)}: {_short(problem)}."
        ) from None
    except (yaml.YAMLError, ValueError, OverflowError):
        raise MigrationError(
            EINVAL, "The plan holds characters that YAML does not allow; save it as text in UTF-8."
        ) from None


def _too_long(problem: str, form: str) -> MigrationError:
    return MigrationError(EINVAL, f"The plan {problem}; select images by rules, {form}.")


def _refuse_long_yaml(text: str) -> None:
    """Refuse text that would take long to parse, before it is parsed."""
    form = "make several plans, or give it as JSON, which is read quickly"
    if len(text) > MAX_YAML:
        raise _too_long(f"is YAML of more than {MAX_YAML} characters", form)
    if sum(map(text.count, _PARTS)) > MAX_PARTS:
        raise _too_long(f"is YAML of more than {MAX_PARTS} parts (such as lines and commas)", form)


def _json(text: str) -> Optional[dict[str, Any]]:
    """The plain data of a JSON object; None if it is not one: then it is read as YAML."""
    try:
        found = json.loads(
            text, parse_int=str, parse_float=str, parse_constant=str, object_pairs_hook=_object
        )
    except RecursionError:
        raise MigrationError(EINVAL, f"The plan {_TOO_DEEP}; {_EXAMPLE}.") from None
    except ValueError:
        return None
    plain: dict[str, Any] = _as_texts(found, 1)
    return plain


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise MigrationError(EINVAL, f"The plan has {_short(ascii(twice))} twice; give it once.")
    return found


def _as_texts(value: Any, depth: int) -> Any:
    """Plain data with every scalar as a text, as from YAML."""
    if isinstance(value, (dict, list)) and depth > MAX_DEPTH:
        raise MigrationError(EINVAL, f"The plan {_TOO_DEEP}; {_EXAMPLE}.")
    if isinstance(value, dict):
        return {name: _as_texts(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_as_texts(item, depth + 1) for item in value]
    if value is None:
        return ""
    return value if isinstance(value, str) else str(value).lower()  # true, false


def _document(events: Iterator[Any]) -> Any:
    """The only document of a stream."""
    next(events)  # the stream's start
    begin = next(events)
    if not isinstance(begin, yaml.DocumentStartEvent):
        raise MigrationError(EINVAL, f"The plan is empty; {_EXAMPLE}.")
    found = _node(next(events), events, 1)
    next(events)  # the document's end
    after = next(events)
    if not isinstance(after, yaml.StreamEndEvent):
        raise _refuse("has more than one document", after, "make a file for each")
    return found


def _node(event: Any, events: Iterator[Any], depth: int) -> Any:
    if isinstance(event, yaml.AliasEvent) or event.anchor:
        raise _refuse("holds an anchor or alias (& or *)", event, "quote the text, or repeat it")
    if event.tag:
        raise _refuse("holds a tag (!)", event, "quote the text")
    if depth > MAX_DEPTH:
        raise _refuse(_TOO_DEEP, event, _EXAMPLE)
    if isinstance(event, yaml.ScalarEvent):
        return "" if event.implicit[0] and event.value in _NULLS else event.value
    if isinstance(event, yaml.SequenceStartEvent):
        return [_node(item, events, depth + 1) for item in _until(events, yaml.SequenceEndEvent)]
    found: dict[str, Any] = {}
    for key in _until(events, yaml.MappingEndEvent):
        if not isinstance(key, yaml.ScalarEvent):
            raise _refuse("has a key that is not a text", key, _EXAMPLE)
        name = _node(key, events, depth)
        if name in found:
            raise _refuse(f"has {_short(ascii(name))} twice", key, "give it once")
        found[name] = _node(next(events), events, depth + 1)
    return found


def _until(events: Iterator[Any], end: Any) -> Iterator[Any]:
    for event in events:
        if isinstance(event, end):
            return
        yield event


def _refuse(problem: str, at: Any, form: str) -> MigrationError:
    return MigrationError(EINVAL, f"The plan {problem}{_where(at.start_mark)}; {form}.")


def _where(mark: Any) -> str:
    return "" if mark is None else f" (line {mark.line + 1}, column {mark.column + 1})"


def _short(text: str) -> str:
    printable = text.encode("ascii", "backslashreplace").decode()
    return printable if len(printable) <= 80 else printable[:77] + "..."
