"""Every format over every stream by the method live, the whole way, while a client writes.

These are the cells of the table of imports in the documentation that say yes for ``live``.
"""

import csv
from errno import ENOSYS, EOPNOTSUPP
from pathlib import Path

import pytest
import rbd

from qa.workload.images import content, opened, rados_objects
from qa.workload.sources import FORMATS, KIB, make_source
from tests.cluster.importing import Place, place, text  # noqa: F401 - a fixture

STREAMS = ("file", "http", "https", "s3", "nbd")
TABLE = Path(__file__).parents[2] / "doc" / "reference" / "import-table.csv"

#: Rows of the table, and the kinds of sources that stand for them here.
ROWS = {
    "``raw``": ("raw", "raw-snapshots"),
    "``qcow``, version 1": ("qcow1",),
    "``qcow``, version 2": ("qcow2",),
    "``qcow``, version 3": ("qcow3-snapshots",),
    "``qcow``, bitmaps": ("qcow3-bitmaps",),
}


class Copy:
    """The target of one import, and what it has to hold."""

    def __init__(self, client, migration, target, source):
        self.client, self.migration, self.target, self.source = client, migration, target, source
        self.views = {name: bytearray(view) for name, view in source.converted().items()}

    def write(self, offset, data):
        with opened(self.client, self.target, read_only=False) as image:
            image.write(data, offset)
        self.views[""][offset : offset + len(data)] = data

    def check(self, when):
        for name, view in self.views.items():
            found = content(self.client, self.target, name)
            assert found == bytes(view), f"{self.source.name} {name or 'head'} {when}"
        with opened(self.client, self.target) as image:
            assert [s["name"] for s in image.list_snaps()] == self.source.snapshots


def librbd_knows_nbd(client, pool):
    """Whether the librbd of this process knows the stream: it says ENOSYS to what it does not."""
    spec = {"type": "raw", "stream": {"type": "nbd", "uri": "nbd+unix:///x?socket=/nowhere/x"}}
    with client.open_ioctx(pool) as ioctx:
        try:
            rbd.RBD().migration_prepare_import(text(spec), ioctx, "x")
        except (rbd.Error, OSError) as error:
            return abs(error.errno) != ENOSYS
    raise AssertionError("what is nowhere was imported")


def test_these_are_the_cells_of_the_table():
    with TABLE.open(encoding="utf-8", newline="") as file:
        columns, *rows = csv.reader(file)
    found = {
        (row[0], column)
        for row in rows
        for column, cell in zip(columns, row)
        if column.startswith("``live``") and cell == "yes"
    }
    streams = [stream for stream in STREAMS if stream != "https"]
    assert found == {(row, f"``live`` {stream}") for row in ROWS for stream in streams}
    assert {kind for kinds in ROWS.values() for kind in kinds} == set(FORMATS)


@pytest.mark.parametrize("stream", STREAMS)
def test_formats_over(stream, cluster, client, migration, pool, place):  # noqa: F811
    if stream == "s3" and not cluster.layout.s3.exists():
        pytest.skip("the cluster has no object gateway")
    before = rados_objects(client, pool)
    if stream == "nbd" and not librbd_knows_nbd(client, pool):
        spec = text({"type": "raw", "stream": {"type": "nbd", "uri": "nbd://127.0.0.1/x"}})
        said = migration.refused(
            EOPNOTSUPP, "prepare", f"{pool}/x", "--import-only", "--source-spec", spec
        )
        assert "does not know streams of type nbd" in said
        assert rados_objects(client, pool) == before
        return
    copies = []
    for kind in FORMATS:
        source = make_source(place.folder, kind)
        target = f"{pool}/{kind}"
        spec = text(source.spec(place.stream(stream)))
        report = migration.ask(
            "prepare",
            source_image=target,
            import_only=True,
            source_spec=spec,
            object_size="8K" if kind == "raw-snapshots" else "256K",
        )
        assert report["state"] == "prepared"
        copies.append(Copy(client, migration, target, source))
    for copy in copies:
        copy.check("prepared")
        copy.write(100 * KIB, b"before" * 5000)
        copy.check("written to")
        migration.ask("execute", target_image=copy.target)
    for copy in copies:
        migration.wait(copy.target, "executed")
        copy.check("executed")
        copy.write(600 * KIB, b"after" * 5000)
    for copy in copies:
        report = migration.ask("commit", target_image=copy.target)
        assert report["state"] == "committed"
        assert report["bytes_copied"] == report["bytes_total"] > 0
        copy.check("committed")
