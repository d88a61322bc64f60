"""Copies of sources that are read in order, with workers that are killed at every step."""

import gzip
import hashlib
import json
import random
import shutil
import subprocess
from contextlib import closing, suppress

import pytest

from rbdmigrate.model.copy_mark import CopyMark
from rbdmigrate.model.import_policy import ImportPolicy
from rbdmigrate.model.source_spec import parse_source_spec
from rbdmigrate.sources import SourceError
from rbdmigrate.sources.copying import CopySource
from rbdmigrate.sources.qemu import content
from rbdmigrate.sources.qemu.process import QemuProcess
from rbdmigrate.worker.imports.external_reader import HEAD, ExternalReader
from rbdmigrate.worker.mover.copy import DiskCopy
from tests.unit.mover_disks import Killed, NoPace, Target, mark_of

KIB = 1 << 10
SIZE = 640 * KIB


def disk(seed):
    chance = random.Random(seed)
    parts = [chance.choice((bytes(64 * KIB), chance.randbytes(64 * KIB))) for _ in range(10)]
    return b"".join(parts)


OLD, NEW = disk(1), disk(2)


def compressed(data):
    return gzip.compress(data, mtime=0)


def life(spec, target, lives=None):
    """One worker's life: True when the copy is complete. Raises SourceError."""
    source = CopySource(parse_source_spec(json.dumps(spec)), ImportPolicy(folders=("/",)))
    reader, writer = ExternalReader(source, "head"), target.writer(lives)
    mark = mark_of(target) if target.mark else CopyMark(HEAD)
    copy = DiskCopy(
        reader=reader, writer=writer, pace=NoPace(), progress=lambda copied: None, name="x"
    )
    try:
        copy.run(reader.from_its_beginning(mark))
    except Killed:
        return False
    finally:
        writer.end()
    return True


def spec_of(path, **fields):
    return {"type": "raw", "stream": {"type": "file", "file_path": str(path), **fields}}


@pytest.mark.parametrize("lives", range(14))
@pytest.mark.parametrize("packed", [False, True])
def test_a_later_reading_corrects_what_an_earlier_one_left(packed, lives, tmp_path):
    """The file was another one when the first worker was killed, wherever that was."""
    path = tmp_path / "disk"
    made = compressed if packed else bytes
    fields = {"compression": "gzip", "size": SIZE} if packed else {}
    checksum = f"sha256:{hashlib.sha256(made(NEW)).hexdigest()}"
    spec, target = spec_of(path, checksum=checksum, **fields), Target(SIZE)
    path.write_bytes(made(OLD))
    with suppress(SourceError):  # it lived to the end
        assert not life(spec, target, lives)
    assert target.taken == []  # it is not complete
    path.write_bytes(made(NEW))
    assert life(spec, target)
    assert bytes(target.head) == NEW
    ((_, name, content),) = target.taken
    assert (name, content) == ("head", NEW)


def test_a_wrong_checksum_leaves_the_copy_incomplete_however_often_it_is_tried(tmp_path):
    path, target = tmp_path / "disk", Target(SIZE)
    path.write_bytes(OLD)
    spec = spec_of(path, checksum=f"sha256:{hashlib.sha256(NEW).hexdigest()}")
    for _ in range(3):
        with pytest.raises(SourceError) as caught:
            life(spec, target)
        assert caught.value.problem == "CHECKSUM_OTHER"
        assert target.taken == []
        assert not mark_of(target).complete


def test_snapshots_that_are_compressed(tmp_path):
    older, head = tmp_path / "older.gz", tmp_path / "head"
    older.write_bytes(compressed(OLD))
    head.write_bytes(NEW)
    spec = spec_of(head, checksum=f"md5:{hashlib.md5(NEW).hexdigest()}")
    stream = spec_of(older, compression="gzip", size=SIZE)["stream"]
    spec["snapshots"] = [{"type": "raw", "name": "older", "stream": stream}]
    for lives in ([3, 9, None], [1, 14, 20, None], [None]):
        target = Target(SIZE)
        assert [life(spec, target, its) for its in lives][-1]
        assert [(name, content) for _, name, content in target.taken] == [
            ("older", OLD),
            ("head", NEW),
        ]


@pytest.mark.skipif(shutil.which("qemu-nbd") is None, reason="needs qemu-utils")
def test_qemu_is_started_once_for_a_view_and_ended(tmp_path, monkeypatch):
    raw, path = tmp_path / "raw", tmp_path / "disk"
    raw.write_bytes(OLD)
    convert = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(path)]
    subprocess.run(convert, check=True, timeout=60)
    started = []

    class Counted(QemuProcess):
        def __init__(self, **options):
            super().__init__(**options)
            started.append(self._process)

    monkeypatch.setattr(content, "QemuProcess", Counted)
    spec = parse_source_spec(
        json.dumps({"type": "qcow", "stream": {"type": "file", "file_path": str(path)}})
    )
    with closing(ExternalReader(CopySource(spec, ImportPolicy(folders=("/",))), "head")) as reader:
        (head,) = reader.views()
        for _ in range(3):
            with reader.open(head) as view:
                assert sum(extent.length for extent in view.changes(None, 0, SIZE))
        assert len(started) == 1
        with pytest.raises(KeyError), reader.open(head):
            raise KeyError  # whatever goes wrong, another one is started then
        assert started[0].poll() is not None
        with reader.open(head):
            assert len(started) == 2
    assert all(process.poll() is not None for process in started)
