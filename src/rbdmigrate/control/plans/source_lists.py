"""The imports that a list of disks stands for: a source-spec and a name for each. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, replace
from errno import EINVAL
from typing import Optional
from urllib.parse import unquote, urljoin

from ...model.errors import MigrationError
from ...model.source import StreamSpec
from ...model.source_list import ListRead, ListRow, SourceList
from ...model.source_spec import SourceSpec, parse_source_spec
from ...model.states import Method
from ...model.url import parse_url

_SUFFIXES = (
    ".qcow2", ".qcow", ".img", ".raw", ".vmdk", ".vhdx", ".vhd", ".vpc", ".vdi", ".hds", ".hdd",
    ".ova", ".tar",
)  # fmt: skip
_PACKED = (".gz", ".xz", ".zst", ".bz2")


@dataclass(frozen=True)
class ListedImport:
    """An import that a list names.

    ``name`` is what names of targets are made of, ``target`` the bare name that was given for it.
    """

    spec: SourceSpec
    name: str
    target: str = ""
    method: Optional[Method] = None
    as_raw: bool = False


def imports_of(given: SourceList, read: ListRead) -> Iterator[ListedImport]:
    """The imports of a list, in its order. Raises MigrationError(EINVAL)."""
    rows = read.rows if given.manifest else _in_folder(given, read)
    for number, row in enumerate(rows, 1):
        yield _import(given, read.base, row, f"{given.label}, disk {number}")


def _in_folder(given: SourceList, read: ListRead) -> Iterator[ListRow]:
    on_server = given.stream is not None and given.stream.type != "file"
    folder = read.base.rpartition("/")[0] if on_server else read.base.rstrip("/")
    return (ListRow(f"{folder}/{name}") for name in read.names)


def _import(given: SourceList, base: str, row: ListRow, where: str) -> ListedImport:
    kind = row.format or given.format
    if not kind:
        raise MigrationError(
            EINVAL, f"{where} has no type, and the list has none; give it there, such as qcow."
        )
    stream = replace(
        _stream(given, base, row.source),
        compression=row.compression,
        size=row.size,
        member=row.member,
        checksum=row.checksum,
    )
    passphrase = given.passphrase if kind == "qcow" else ""
    made = SourceSpec(format=kind, stream=stream, passphrase=passphrase)
    try:
        spec = parse_source_spec(made.to_json())
    except MigrationError as error:
        raise MigrationError(EINVAL, f"{where}: {error}") from None
    for secret in spec.secrets():
        raise MigrationError(
            EINVAL, f"{where} has {secret}, which may be a secret, and a plan must not contain one."
        )
    method = row.method or given.method
    if method is Method.LIVE and not spec.read_by_librbd:
        raise MigrationError(EINVAL, f"{where} has the method live, and librbd does not read it.")
    if row.as_raw and kind != "raw":
        raise MigrationError(EINVAL, f"{where} has as_raw, which is for the type raw.")
    return ListedImport(spec, _name(stream), row.target, method, row.as_raw)


def _stream(given: SourceList, base: str, source: str) -> StreamSpec:
    """The stream of a disk. The login of the list is for disks of the same server alone."""
    if source.startswith(("nbd:", "nbd+unix:")):
        return StreamSpec("nbd", uri=source)
    in_folder = not base or base.startswith("/")
    if source.startswith("/") or (in_folder and "://" not in source):
        folder = posixpath.dirname(base)
        return StreamSpec("file", file_path=posixpath.normpath(posixpath.join(folder, source)))
    url = urljoin(base, source)
    kind = given.stream
    if kind is None or kind.type == "file" or _server(kind.url) != _server(url):
        return StreamSpec("http", url=url)
    return replace(kind, url=url)


def _server(url: str) -> Optional[tuple[str, str, int]]:
    try:
        parts = parse_url(url)
    except ValueError:
        return None
    return parts.scheme, parts.host, parts.port


def _name(stream: StreamSpec) -> str:
    """The name of a disk: that of its file, without what says its format."""
    last = posixpath.basename(stream.location.rstrip("/"))
    name = last if stream.type == "file" else unquote(last)
    for suffixes in (_PACKED, _SUFFIXES):
        for suffix in suffixes:
            if name.lower().endswith(suffix) and len(name) > len(suffix):
                name = name[: -len(suffix)]
                break
    return name
