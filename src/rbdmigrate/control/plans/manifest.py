"""Manifests: the rows of a CSV, JSON or YAML text that names disks. Pure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from errno import E2BIG, EINVAL
from typing import Any

from ...model.errors import MigrationError
from ...model.source_list import MAX_LISTED, ListRow
from ...model.states import Method
from .plan_fields import shown
from .plan_text import load_plan_text

MAX_MANIFEST = 512 << 10
"""The longest manifest, in bytes."""

FIELDS = (
    "source", "type", "target", "method", "as_raw", "compression", "size", "member", "checksum",
)  # fmt: skip
KINDS = ("csv", "json", "yaml", "yml")
_METHODS = (Method.LIVE.value, Method.COPY.value)
_LONGEST = 4096  # characters of a field: the longest path of Linux


def kind_of(name: str) -> str:
    """The kind of a manifest by the end of its name; empty if it is none of ``KINDS``."""
    kind = name.rpartition(".")[2].lower()
    return kind if kind in KINDS else ""


def parse_manifest(text: str, kind: str, label: str) -> tuple[ListRow, ...]:
    """Return the rows of a manifest. Raises MigrationError, whose message names ``label``."""
    if len(text) > MAX_MANIFEST:
        raise MigrationError(
            E2BIG, f"{label} is longer than {MAX_MANIFEST >> 10} KiB; make several lists of it."
        )
    if kind == "csv":
        rows = _csv(text, label)
    elif kind == "json":
        rows = _json(text, label)
    else:
        rows = _yaml(text, label)
    if len(rows) > MAX_LISTED:
        raise MigrationError(
            E2BIG, f"{label} names more than {MAX_LISTED} disks; make several plans."
        )
    return tuple(_row(row, f"{label}, disk {number}") for number, row in enumerate(rows, 1))


def _csv(text: str, label: str) -> list[Mapping[str, Any]]:
    reader = csv.reader(io.StringIO(text), skipinitialspace=True, strict=True)
    try:
        lines = [line for line in reader if line]
    except csv.Error as error:
        raise _refuse(label, f"is not CSV (line {reader.line_num}: {error})") from None
    if not lines:
        raise _refuse(label, "is empty")
    names = [name.strip() for name in lines[0]]
    if "source" not in names or len(set(names)) < len(names):
        raise _refuse(label, "does not begin with a line of the names of its columns, each once")
    for number, line in enumerate(lines[1:], 1):
        if len(line) > len(names):
            raise _refuse(f"{label}, disk {number}", "has more columns than the first line names")
    return [dict(zip(names, (cell.strip() for cell in line))) for line in lines[1:]]


def _json(text: str, label: str) -> list[Mapping[str, Any]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise _refuse(label, "is not JSON") from None
    return _listed(found, label)


def _yaml(text: str, label: str) -> list[Mapping[str, Any]]:
    try:
        return _listed(load_plan_text(text), label)
    except MigrationError as error:
        said = error.message.replace("The plan", label, 1)
        raise MigrationError(error.errno, said) from None


def _listed(found: Any, label: str) -> list[Mapping[str, Any]]:
    if not isinstance(found, list) or not all(isinstance(row, Mapping) for row in found):
        raise _refuse(label, "is not a list of objects")
    return found


def _row(row: Mapping[str, Any], label: str) -> ListRow:
    _only_known(row, label)
    fields = {name: _text(row, name, label) for name in FIELDS}
    if not fields["source"]:
        raise _refuse(label, "has no source")
    method, as_raw = fields["method"], fields["as_raw"].lower()
    if method and method not in _METHODS:
        raise _refuse(label, f"has the method {shown(method)}, not live or copy")
    if as_raw not in ("", "true", "false"):
        raise _refuse(label, f"has {shown(as_raw)} as as_raw, not true or false")
    if "/" in fields["target"] or "@" in fields["target"]:
        raise _refuse(label, "has a target with '/' or '@'; a manifest gives the bare name")
    size = fields["size"]
    if size and not (size.isascii() and size.isdigit() and len(size) < 20):
        raise _refuse(label, f"has {shown(size)} as size, not the bytes of the disk")
    return ListRow(
        fields["source"],
        fields["type"],
        fields["target"],
        Method(method) if method else None,
        as_raw == "true",
        fields["compression"],
        int(size or 0),
        fields["member"],
        fields["checksum"],
    )


def _only_known(names: Iterable[str], label: str) -> None:
    for name in names:
        if name not in FIELDS:
            raise _refuse(label, f"has the unknown field {shown(name)}")


def _text(row: Mapping[str, Any], name: str, label: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if isinstance(value, (bool, int)):
        value = str(value).lower()
    if not isinstance(value, str) or len(value) > _LONGEST or not value.isprintable():
        raise _refuse(label, f"has a {name} that is no text, too long or not printable")
    return value


def _refuse(label: str, problem: str) -> MigrationError:
    return MigrationError(
        EINVAL, f"{label} {problem}; its fields are {', '.join(FIELDS)}, of which source is needed."
    )
