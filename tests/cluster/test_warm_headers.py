"""During a warm migration what opens images as krbd does can open both of them."""

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EBUSY

import pytest
import rados

from qa.devcluster import Cluster
from qa.workload.images import content, image_id, make_image, names, omap, place
from qa.workload.writer import writing
from tests.cluster.commands import Commands

# layering, striping, exclusive-lock, object-map, fast-diff, deep-flatten, data-pool, operations:
# what krbd maps. It refuses an image with any other feature, such as migrating (1 << 11).
KRBD = 1 | 2 | 4 | 8 | 16 | 32 | 128 | 256
MIGRATING = 1 << 11
FEATURES = ("layering", "exclusive-lock", "object-map", "fast-diff", "deep-flatten")


class KernelClient:
    """Reads images as krbd does: the id of a name, the header, the objects of the data."""

    def __init__(self, client: rados.Rados) -> None:
        self._client = client

    def read(self, spec: str) -> bytes:
        """Return the content of the head. Raises rados.ObjectNotFound for a name that is free."""
        with place(self._client, spec) as ioctx:
            raw = ioctx.read(f"rbd_id.{spec.rpartition('/')[2]}")
            header = omap(ioctx, f"rbd_header.{raw[4:].decode()}")
            refuse(header)
            (size,) = struct.unpack("<Q", header["size"])
            length = 1 << header["order"][0]
            prefix = header["object_prefix"][4:].decode()
            parts = [
                self._object(ioctx, f"{prefix}.{number:016x}", length)
                for number in range(-(-size // length))
            ]
        return b"".join(parts)[:size]

    @staticmethod
    def _object(ioctx: rados.Ioctx, oid: str, length: int) -> bytes:
        try:
            return bytes(ioctx.read(oid, length)).ljust(length, b"\0")
        except rados.ObjectNotFound:
            return b"\0" * length


def refuse(header: "dict[str, bytes]") -> None:
    """Fail for a header that krbd does not map, or that is part of a migration of librbd."""
    (features,) = struct.unpack("<Q", header["features"])
    assert not features & ~KRBD, f"features {features:#x}"
    assert "migration" not in header
    (operations,) = struct.unpack("<Q", header.get("op_features", bytes(8)))
    assert not operations & MIGRATING, f"op_features {operations:#x}"


class Watch:
    """Looks at the headers of both images and opens both names, again and again."""

    def __init__(self, client: rados.Rados, specs: "tuple[str, str]") -> None:
        self._client = client
        self._kernel = KernelClient(client)
        self._specs = specs
        self._ended = threading.Event()
        self.looks = 0
        self.opened = dict.fromkeys(specs, 0)
        self.headers: set[str] = set()
        self.wrong: list[str] = []

    def end(self) -> None:
        self._ended.set()

    def run(self) -> None:
        while not self._ended.is_set():
            try:
                self._look()
            except Exception as error:
                self.wrong.append(repr(error))
                return
            self.looks += 1

    def _look(self) -> None:
        for spec in self._specs:
            with place(self._client, spec) as ioctx:
                for item in list(ioctx.list_objects()):
                    if item.key.startswith("rbd_header."):
                        self._header(ioctx, item.key)
            try:
                self._kernel.read(spec)
                self.opened[spec] += 1
            except rados.ObjectNotFound:
                pass  # it has not its name

    def _header(self, ioctx: rados.Ioctx, oid: str) -> None:
        header = omap(ioctx, oid)
        if "features" in header:  # not while it is made or removed
            refuse(header)
            self.headers.add(oid)


@contextmanager
def watching(client: rados.Rados, specs: "tuple[str, str]") -> Iterator[Watch]:
    watch = Watch(client, specs)
    thread = threading.Thread(target=watch.run)
    thread.start()
    try:
        yield watch
    finally:
        watch.end()
        thread.join(60)
    assert not thread.is_alive()
    assert watch.wrong == []


@pytest.mark.parametrize("end", ["commit", "abort"])
def test_no_header_ever_shows_a_migration_and_krbd_opens_the_image_that_clients_use(
    cluster: Cluster,
    migration: Commands,
    client: rados.Rados,
    pools: "tuple[str, str]",
    end: str,
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source, features=FEATURES)
    base = content(client, source)
    kernel = KernelClient(client)
    assert kernel.read(source) == base
    with watching(client, (source, target)) as watch:
        with writing(cluster, source) as writer:
            migration.text("prepare", "--method", "warm", source, target)
            migration.text("execute", target)
            report = migration.wait(target, "executed")
            kernel.read(source)
            migration.refused(EBUSY, "cutover", target)
            kernel.read(source)
            writer.stop()
        last = content(client, source)
        assert kernel.read(source) == last
        migration.text("cutover", target)
        assert kernel.read(target) == last
        with writing(cluster, target, seed=8) as writer:
            kernel.read(target)
            writer.stop()
        last = content(client, target)
        migration.text(end, target)
        migration.wait(target, "committed" if end == "commit" else "aborted")
        left = target if end == "commit" else source
        assert kernel.read(left) == last
    assert watch.headers == {
        f"rbd_header.{report[name]}" for name in ("source_image_id", "target_image_id")
    }
    assert all(watch.opened.values()), watch.opened
    assert names(client, left.partition("/")[0]) == ["disk"]
    assert image_id(client, left) in (report["source_image_id"], report["target_image_id"])


def test_the_look_at_headers_sees_a_migration_of_librbd(
    migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    """So that the test above can fail."""
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source)
    migration.text("prepare", source, target)
    with pytest.raises(AssertionError, match="features"):
        KernelClient(client).read(target)
    migration.text("abort", target)
