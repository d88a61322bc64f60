"""Imports by the method copy: QEMU reads the source, and the target is an ordinary image."""

import itertools
import subprocess
from errno import EINVAL, EOPNOTSUPP

import pytest

from qa.workload.images import MIB, content, opened, rados_objects, records
from tests.cluster.commands import is_one_sentence
from tests.cluster.importing import place, text  # noqa: F401 - a fixture
from tests.unit.test_import_table import ROWS, base_disk, packed

#: format of the spec, format of qemu-img, its options, and the kind of the stream
CASES = {
    "compressed": ("qcow", "qcow2", ["-c"], "file"),
    "over-http": ("qcow", "qcow2", ["-c", "-o", "compression_type=zstd"], "http"),
    "vmdk": ("vmdk", "vmdk", ["-o", "subformat=streamOptimized"], "file"),
    "split": ("vmdk", "vmdk", ["-o", "subformat=twoGbMaxExtentSparse"], "file"),
    "vhdx": ("vhdx", "vhdx", [], "https"),
    "vpc": ("vpc", "vpc", ["-o", "force_size=on"], "file"),
    "raw": ("raw", "raw", [], "http"),
}


def qemu_img(*args):
    subprocess.run(["qemu-img", *map(str, args)], check=True, stdout=subprocess.DEVNULL)


@pytest.fixture
def disk(place):  # noqa: F811
    """A raw disk with data and holes, and its bytes."""
    path = place.folder / "copied.raw"
    with open(path, "wb") as file:
        for number in range(0, 24, 3):
            file.seek(number * MIB)
            file.write(bytes([number + 1]) * (MIB + 4096))
        file.truncate(32 * MIB)
    return path, path.read_bytes()


def snapshots(client, spec):
    with opened(client, spec) as image:
        return [snapshot["name"] for snapshot in image.list_snaps()]


@pytest.mark.parametrize("case", CASES)
def test_what_is_copied_is_what_qemu_reads(case, client, migration, pool, place, disk):  # noqa: F811
    kind, qemu, options, stream = CASES[case]
    path = place.folder / f"{case}.{qemu}"
    if case != "raw":
        qemu_img("convert", "-f", "raw", "-O", qemu, *options, disk[0], path)
    else:
        path = disk[0]
    target = f"{pool}/copy"
    spec = text({"type": kind, "stream": place.stream(stream)(path)})
    args = ("--import-only", "--method", "copy", "--source-spec", spec)
    migration.text("run", target, *args, "--verify", "full")
    report = migration.wait(target, "committed")
    assert report["method"] == "copy"
    assert report["verification"]["outcome"] == "passed"
    assert content(client, target) == disk[1]
    assert snapshots(client, target) == []


def test_every_row_of_the_table_becomes_an_image(client, migration, pool, place):  # noqa: F811
    """From a file, with its snapshots: what ``qemu-img convert`` makes of them."""
    base, wanted = base_disk(place.folder / "base.raw"), {}
    for number, (name, row) in enumerate(ROWS.items()):
        folder = place.folder / f"row{number}"
        folder.mkdir()
        path, views, fields = packed(row, base, folder)
        spec = {"type": row.kind, "stream": {**place.stream("file")(path), **fields}}
        if row.secret:
            spec["passphrase"] = row.secret
        wanted[f"{pool}/row{number}"] = name, views
        migration.ask(
            "run",
            source_image=f"{pool}/row{number}",
            source_spec=text(spec),
            import_only=True,
            method="copy",
            goal="executed",
        )
    for target, (name, views) in wanted.items():
        migration.wait(target, "executed")
        for view, data in views.items():
            assert content(client, target, view or "") == data, f"{name} {view or 'head'}"


def test_internal_snapshots_come_along(client, migration, pool, place, disk):  # noqa: F811
    path = place.folder / "snapshots.qcow2"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", "-c", disk[0], path)
    qemu_img("snapshot", "-c", "one", path)
    write = ["qemu-io", "-f", "qcow2", "-c", "write -P 9 1M 2M", "-c", "write -z 3M 1M", str(path)]
    subprocess.run(write, check=True, stdout=subprocess.DEVNULL)
    target = f"{pool}/copy"
    spec = text({"type": "qcow", "stream": place.stream("file")(path)})
    args = ("--import-only", "--method", "copy", "--source-spec", spec, "--goal", "executed")
    migration.text("run", target, *args)
    migration.wait(target, "executed")
    head = bytearray(disk[1])
    head[MIB : 3 * MIB] = bytes([9]) * (2 * MIB)
    head[3 * MIB : 4 * MIB] = bytes(MIB)
    assert content(client, target, "one") == disk[1]
    assert content(client, target) == bytes(head)
    with opened(client, target, read_only=False) as image:
        image.write(b"of a client", 0)  # before it is compared
    head[: len(b"of a client")] = b"of a client"
    migration.text("verify", target, "--mode", "full")
    assert migration.wait(target, "verified")["verification"]["outcome"] == "passed"
    migration.text("commit", target)
    assert content(client, target) == bytes(head)
    assert snapshots(client, target) == ["one"]


def test_what_librbd_cannot_read_is_proposed_and_works(client, migration, pool, place, disk):  # noqa: F811
    path = place.folder / "refused.qcow2"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", "-c", disk[0], path)
    target = f"{pool}/copy"
    args = ("--import-only", "--source-spec")
    spec = text({"type": "qcow", "stream": place.stream("file")(path)})
    said = migration.refused(EOPNOTSUPP, "run", target, *args, spec)
    assert "--method copy" in said
    checked = migration.ask("check", source_image=target, import_only=True, source_spec=spec)
    methods = {m["method"]: (m["ok"], m["recommended"]) for m in checked["methods"]}
    assert methods == {"live": (False, False), "copy": (True, True)}
    migration.text("run", target, "--method", "copy", *args, spec)
    migration.wait(target, "committed")
    assert content(client, target) == disk[1]


def test_a_chain_outside_of_the_folders_is_refused(migration, pool, place, disk, tmp_path):  # noqa: F811
    secret, path = tmp_path / "secret.raw", place.folder / "hostile.qcow2"
    secret.write_bytes(b"x" * MIB)
    qemu_img("create", "-f", "qcow2", "-b", secret, "-F", "raw", path)
    args = ("--import-only", "--method", "copy", "--source-spec")
    spec = text({"type": "qcow", "stream": place.stream("file")(path)})
    said = migration.refused(1, "run", f"{pool}/copy", *args, spec)
    assert "is open to imports" in said
    assert is_one_sentence(said)
    live = text({"type": "vmdk", "stream": place.stream("file")(path)})
    said = migration.refused(
        EINVAL, "run", f"{pool}/copy", "--import-only", "--method", "live", "--source-spec", live
    )
    assert "leave out --method live" in said


POINTS = [
    ("external.made", "1"),
    ("external.marked", "1"),
    ("librbd.after", "1 prepare"),
    ("mover.piece", "3 one"),
    ("mover.piece", "6"),
    ("mover.before", "1 snapshot"),
    ("mover.after", "2 snapshot"),
    ("mover.after", "3 mark"),
    ("librbd.after", "1 execute"),
    ("verify.piece", "1"),
    ("librbd.after", "1 commit"),
    ("comparison_snapshot.before", "1 drop"),
]
_numbers = itertools.count(1)


def test_a_worker_that_dies_anywhere(cluster, client, migration, pool, place, disk):  # noqa: F811
    path = place.folder / "killed.qcow2"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", "-c", disk[0], path)
    qemu_img("snapshot", "-c", "one", path)
    write = ["qemu-io", "-f", "qcow2", "-c", "write -P 9 1M 2M", str(path)]
    subprocess.run(write, check=True, stdout=subprocess.DEVNULL)
    head = disk[1][:MIB] + bytes([9]) * (2 * MIB) + disk[1][3 * MIB :]
    spec = text({"type": "qcow", "stream": place.stream("file")(path)})
    for point, what in POINTS:
        target = f"{pool}/worker{next(_numbers)}"
        (cluster.faults / point).write_text(what, encoding="ascii")
        migration.ask(
            "run",
            source_image=target,
            source_spec=spec,
            import_only=True,
            method="copy",
            verify="full",
            object_size="64K",
        )
        migration.wait(target, "committed")
        assert not (cluster.faults / point).exists(), f"{point} {what} was not reached"
        assert content(client, target, "one") == disk[1], f"{point} {what}"
        assert content(client, target) == head, f"{point} {what}"
        cluster.wait_for(lambda name=target: snapshots(client, name) == ["one"], 60, "our snapshot")
    cluster.wait_for(lambda: records(client, pool) == [], 60, "the end of all records")


def test_paused_and_aborted_in_the_middle(cluster, client, migration, pool, place, disk):  # noqa: F811
    path = place.folder / "aborted.vmdk"
    qemu_img("convert", "-f", "raw", "-O", "vmdk", disk[0], path)
    before = rados_objects(client, pool)
    target = f"{pool}/copy"
    spec = text({"type": "vmdk", "stream": place.stream("http")(path)})
    migration.ask("run", source_image=target, source_spec=spec, import_only=True, rate="1M")
    cluster.wait_for(lambda: migration.report(target)["bytes_copied"] > MIB, 60, "some data")
    migration.text("pause", target)
    cluster.wait_for(lambda: not migration.report(target)["acting"], 60, "the copy to stop")
    migration.text("abort", target)
    migration.wait(target, "aborted")
    left = {name for _, name in rados_objects(client, pool) - before}
    assert [name for name in left if name.startswith(("rbd_data", "rbd_header", "rbd_id"))] == []
