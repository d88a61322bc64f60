"""Reading the lists of a plan file: folders, buckets, web pages and manifests that name disks."""

from __future__ import annotations

import json
from typing import Any, Optional

from ...model.source import StreamSpec
from ...model.source_list import ListRow, SourceList
from ...model.source_spec import SourceSpec
from .manifest import KINDS, kind_of, parse_manifest
from .plan_fields import PlanObject, refuse
from .plan_images import checked_spec, import_method

MAX_LISTS = 20
_FIELDS = ("folder", "manifest", "type", "name", "exclude", "method", "passphrase")
_OF_A_DISK = ("compression", "size", "member", "checksum")
_STREAMS = ("file", "http", "s3")


def source_lists(top: PlanObject) -> tuple[SourceList, ...]:
    """Return the lists of a plan. Raises MigrationError(EINVAL)."""
    items = top.items("lists")
    if len(items) > MAX_LISTS:
        raise refuse("lists", f"has more than {MAX_LISTS} objects", "make several plans")
    return tuple(_list(item, path) for item, path in items)


def _list(value: Any, path: str) -> SourceList:
    given = PlanObject(value, path, _FIELDS)
    if given.has("folder") == given.has("manifest"):
        what = "has both" if given.has("folder") else "lacks"
        raise refuse(path, f"{what} a folder and a manifest", "give one of them")
    return _manifest(given) if given.has("manifest") else _folder(given)


def _folder(given: PlanObject) -> SourceList:
    if not given.text("type"):
        raise refuse(
            given.where("type"), "is missing", "name the format of the disks, such as qcow"
        )
    spec = _spec(given, "folder")
    return SourceList(
        stream=_stream(given, "folder", spec),
        format=spec.format,
        name=given.text("name") or "*",
        exclude=given.texts("exclude"),
        method=import_method(given, spec),
        passphrase=spec.passphrase,
    )


def _manifest(given: PlanObject) -> SourceList:
    for name in ("name", "exclude"):
        if given.has(name):
            raise refuse(given.where(name), "is for a folder", "leave it out")
    raw = given.raw("manifest")
    inline = isinstance(raw, str)
    plain = {"type": "file", "file_path": "/"} if inline else raw
    spec = _spec(given, "manifest", plain)
    rows: tuple[ListRow, ...] = ()
    stream: Optional[StreamSpec] = None
    if inline:
        rows = parse_manifest(raw, "csv", f"{given.where('manifest')} in the plan")
    else:
        stream = _stream(given, "manifest", spec)
        if not kind_of(stream.location):
            ends = ", ".join(f".{kind}" for kind in KINDS)
            raise refuse(
                given.where("manifest"), "has a name with another ending", f"it ends in {ends}"
            )
    return SourceList(
        stream=stream,
        manifest=True,
        format=given.text("type"),
        method=import_method(given, spec if given.text("type") else None),
        passphrase=spec.passphrase,
        rows=rows,
    )


def _spec(given: PlanObject, name: str, stream: Any = None) -> SourceSpec:
    """The source-spec that a disk at the place of the list would have."""
    plain = {"type": given.text("type") or "qcow", "stream": stream or given.raw(name)}
    if given.has("passphrase"):
        plain["passphrase"] = given.text("passphrase")
    return checked_spec(json.dumps(plain), given.where(name))


def _stream(given: PlanObject, name: str, spec: SourceSpec) -> StreamSpec:
    stream = spec.stream
    if stream is None or stream.type not in _STREAMS:
        raise refuse(
            given.where(name),
            "is of a type that has no lists",
            f"choose a stream of type {', '.join(_STREAMS)}",
        )
    for field in _OF_A_DISK:
        if getattr(stream, field):
            raise refuse(
                f"{given.where(name)}.{field}",
                "is for a single disk, and this is a list",
                "leave it out, and list the disk in images with a source_spec",
            )
    return stream
