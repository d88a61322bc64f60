"""Images of format 1: their identity, their header, and the directory that lists them."""

from __future__ import annotations

import struct
from types import SimpleNamespace
from typing import Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.control.lifecycle.situation import Situation, diagnose
from rbdmigrate.model.image_ident import (
    header_object,
    id_in_headers,
    is_old_format,
    old_format_ident,
    old_format_name,
)
from rbdmigrate.model.migration import Migration, Place
from rbdmigrate.model.observation import HeaderState, ImageView, MigrationHeader, Observation
from rbdmigrate.model.states import Goal, State
from tests.fakes import errors
from tests.fakes import rados_module as rados
from tests.fakes.loading import load

headers = load().module("cluster.headers")
image_snapshots = load().module("cluster.image_snapshots")
old_format = load().module("cluster.old_format")

PREFIX = "rb.0.106a.6b8b4567"
IDENT = f"{PREFIX}/vm"
# As release 16 wrote it: 8 MiB in objects of 4 MiB, with the snapshot 6 called "s".
HEADER = (
    b"<<< Rados Block Device Image >>>\n".ljust(40, b"\0")
    + PREFIX.encode().ljust(24, b"\0")
    + b"RBD\0001.005\0\0\0\x16\0\0\0"
    + struct.pack("<QQIIQ", 8 << 20, 6, 1, 0, 2)
    + struct.pack("<QQ", 6, 8 << 20)
    + b"s\0"
)
MIGRATING = HEADER.replace(b"<<< Rados Block Device Image >>>", b"<<< Migrating RBD Image      >>>")
DIRECTORY = b"\0\0\0\0\1\0\0\0\2\0\0\0o1\0\0\0\0"  # as release 16 wrote it


class Objects:
    """An ioctx on a pool with objects that have only data."""

    def __init__(self, **objects: bytes) -> None:
        self.objects = {name.replace("_DOT_", "."): data for name, data in objects.items()}
        self.between: Optional[bytes] = None  # another client's directory, before the next write
        self.version = 1

    def read(self, oid: str, length: int = 8192, offset: int = 0) -> bytes:
        if oid not in self.objects:
            raise rados.ObjectNotFound(f"no {oid}", errno=2)
        return self.objects[oid][offset : offset + length]

    def get_last_version(self) -> int:
        return self.version

    def execute(self, oid: str, *args: Any) -> Any:
        self.read(oid)
        raise errors.RadosOSError("no migration", errno=22)

    def operate_write_op(self, op: Any, oid: str) -> None:
        if self.between is not None:
            self.objects[oid], self.between = self.between, None
            self.version += 1
        if op.new_object and oid in self.objects:
            raise errors.RadosOSError("exists", errno=17)
        if not op.new_object and op.expected != self.version:
            raise errors.RadosOSError("another version", errno=34)
        self.objects[oid] = op.content
        self.version += 1


class ActKind(SimpleNamespace):
    """A write to one object."""

    new_object = False
    expected = 0

    def __enter__(self) -> ActKind:
        return self

    def __exit__(self, *_: Any) -> None:
        return None

    def new(self, how: int) -> None:
        self.new_object = True

    def assert_version(self, version: int) -> None:
        self.expected = version

    def write_full(self, content: bytes) -> None:
        self.content = content


@pytest.fixture(autouse=True)
def _writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rados, "WriteOpCtx", ActKind)


def pool(header: bytes = HEADER, directory: Optional[bytes] = None) -> Any:
    objects = {"vm_DOT_rbd": header}
    if directory is not None:
        objects["rbd_directory"] = directory
    return Objects(**objects)


def test_it_is_known_by_its_data_objects_and_its_name() -> None:
    assert old_format_ident(PREFIX, "vm") == IDENT
    assert is_old_format(IDENT)
    assert old_format_name(IDENT) == "vm"
    assert header_object(IDENT) == "vm.rbd"
    assert id_in_headers(IDENT) == ""


def test_an_id_stays_an_id() -> None:
    assert not is_old_format("10a0371803b7")
    assert old_format_name("10a0371803b7") is None
    assert header_object("10a0371803b7") == "rbd_header.10a0371803b7"
    assert id_in_headers("10a0371803b7") == "10a0371803b7"


@pytest.mark.parametrize("raw", [HEADER, MIGRATING])
def test_the_header_is_read(raw: bytes) -> None:
    ioctx = pool(raw)
    assert old_format.ident_of(ioctx, "vm") == IDENT
    header = old_format.header_of(ioctx, IDENT)
    assert header is not None
    assert (header.prefix, header.size, header.object_size) == (PREFIX, 8 << 20, 4 << 20)
    assert (header.newest, header.snapshots) == (6, ((6, "s"),))
    assert image_snapshots.snapshot_ids(ioctx, IDENT) == (6, [6])
    assert image_snapshots.snapshot_names(ioctx, IDENT) == ["s"]
    assert (headers.size(ioctx, IDENT), headers.object_size(ioctx, IDENT)) == (8 << 20, 4 << 20)
    assert (headers.features(ioctx, IDENT), headers.parent(ioctx, IDENT)) == (0, None)


@pytest.mark.parametrize("raw", [b"", b"what", HEADER[:60], HEADER.replace(b"<<<", b"???")])
def test_another_object_is_no_image(raw: bytes) -> None:
    assert old_format.ident_of(pool(raw), "vm") is None


def test_another_image_of_its_name_is_another_image() -> None:
    other = pool(HEADER.replace(b"106a", b"106b"))
    assert old_format.header_of(other, IDENT) is None
    assert headers.view_by_id(other, IDENT) is None
    assert not headers.image_exists(other, IDENT)


def test_an_image_that_the_directory_does_not_list_is_taken_from_it_by_a_migration() -> None:
    listed = pool(directory=b"\0\0\0\0\1\0\0\0\2\0\0\0vm\0\0\0\0")
    assert headers.view_by_name(listed, "vm") == ImageView(IDENT, "vm", True, False, None)
    hidden = pool(directory=DIRECTORY)
    assert headers.view_by_name(hidden, "vm") == ImageView(IDENT, "vm", False, True, None)


def test_a_name_is_listed_again_in_order() -> None:
    ioctx = pool(directory=DIRECTORY)
    for _ in range(2):
        old_format.add_name(ioctx, "aa")
        assert list(old_format.names(ioctx)) == ["aa", "o1"]
    assert old_format.is_listed(ioctx, "aa")
    ioctx = pool()  # no image of any format is left
    old_format.add_name(ioctx, "vm")
    assert list(old_format.names(ioctx)) == ["vm"]


def test_a_name_that_another_client_lists_meanwhile_is_kept() -> None:
    ioctx = pool(directory=DIRECTORY)
    ioctx.between = b"\0\0\0\0\1\0\0\0\2\0\0\0zz\0\0\0\0"
    old_format.add_name(ioctx, "aa")
    assert list(old_format.names(ioctx)) == ["aa", "zz"]


@given(st.dictionaries(st.text(min_size=1), st.just(b""), max_size=50))
def test_any_directory_is_read_as_it_is_written(entries: dict[str, bytes]) -> None:
    ioctx = Objects()
    for name in entries:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rados, "WriteOpCtx", ActKind)
            old_format.add_name(ioctx, name)  # type: ignore[arg-type]
    assert list(old_format.names(ioctx)) == sorted(entries, key=str.encode)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "target", "found"),
    [
        (None, None, Situation.HALF_PREPARED),
        (HeaderState.PREPARED, HeaderState.PREPARED, Situation.PREPARED),
        (HeaderState.EXECUTED, HeaderState.EXECUTED, Situation.EXECUTED),
        (HeaderState.ABORTING, HeaderState.ABORTING, Situation.HALF_ABORTED),
    ],
)
def test_its_situation_is_that_of_any_image(
    state: Optional[HeaderState], target: Optional[HeaderState], found: Situation
) -> None:
    m = Migration(
        id="1",
        source=Place("hdd", "", "vm", 1, IDENT),
        target=Place("nvme", "", "vm", 2, "dst"),
        goal=Goal.COMMITTED,
        state=State.PREPARING,
        created=1.0,
    )
    of_source = None if state is None else MigrationHeader(True, 2, "", "vm", "dst", state)
    source = ImageView(IDENT, "vm", False, True, of_source)
    other = None
    if target is not None:
        of_target = MigrationHeader(False, 1, "", "vm", "", target)
        other = ImageView("dst", "vm", True, False, of_target)
    assert diagnose(m, Observation(source, other)) is found
    given_back = ImageView(IDENT, "vm", True, False, None)
    assert diagnose(m, Observation(given_back, None)) is Situation.UNTOUCHED
    if other:  # the source was given back and the target still points to it
        assert diagnose(m, Observation(given_back, other)) is Situation.HALF_ABORTED
