"""The kinds of sources: the disks that librbd reads, and the table of all kinds."""

from collections.abc import Callable

from qa.workload.sources import MIB, make_source, qemu

from .disk import Disk, Maker, as_qemu_reads
from .faults import FAULTS
from .foreign import FOREIGN
from .refused import REFUSED

_CLUSTERS = ("512", "4k", "64k", "256k", "2M")
_NAMES: "tuple[str | bytes, ...]" = (
    "with space", "grün-日本", "at@sign", "sla/sh", "", "n" * 200, b"\xff\xfe", "\x1b[1mbold",
)  # fmt: skip


def _raw(maker: Maker) -> Disk:
    path, content = maker.raw()
    return maker.disk("raw", path, {"": content})


def _raw_odd(maker: Maker) -> Disk:
    """Sizes that are no multiple of 512, also of 0 bytes."""
    path = maker.folder / "disk.raw"
    content = maker.chance.randbytes(maker.chance.choice([0, 1, 511, 513, 4097, MIB + 777]))
    path.write_bytes(content)
    return maker.disk("raw", path, {"": content})


def _raw_snapshots(maker: Maker) -> Disk:
    source = make_source(maker.folder, "raw-snapshots", maker.seed, maker.size())
    return Disk(source.spec(maker.stream), source.views)


def _qcow1(maker: Maker) -> Disk:
    path, views = maker.qcow("qcow1")
    return maker.disk("qcow", path, views)


def _qcow2(maker: Maker) -> Disk:
    chance = maker.chance
    options = [f"cluster_size={chance.choice(_CLUSTERS)}"]
    options.append(f"preallocation={chance.choice(['off', 'off', 'metadata', 'falloc', 'full'])}")
    kind = chance.choice(["qcow2", "qcow3"])
    if kind == "qcow3":
        options.append(f"refcount_bits={chance.choice([1, 2, 4, 8, 16, 32, 64])}")
        options.append(f"lazy_refcounts={chance.choice(['on', 'off'])}")
    path, views = maker.qcow(kind, *options)
    if kind == "qcow3" and chance.random() < 0.3:
        qemu("img", "bitmap", "--add", str(path), "changes")
    if chance.random() < 0.3:
        with path.open("ab") as file:
            file.write(chance.randbytes(1000))
    return maker.disk("qcow", path, views)


def _qcow2_snapshots(maker: Maker) -> Disk:
    """Snapshots, some of them removed, returned to, or of another size than the head."""
    chance = maker.chance
    options = (f"cluster_size={chance.choice(_CLUSTERS)}",)
    path, views = maker.qcow("qcow3-snapshots", *options)
    change = chance.choice(["none", "return", "remove", "grow", "shrink"])
    name = chance.choice(["one", "two"])
    if change == "return":
        qemu("img", "snapshot", "-a", name, str(path))
        views[""] = views[name]
    elif change == "remove":
        qemu("img", "snapshot", "-d", name, str(path))
        del views[name]
    elif change == "grow":
        qemu("img", "resize", "-f", "qcow2", str(path), str(len(views[""]) + MIB))
        views[""] += bytes(MIB)
    elif change == "shrink":
        size = chance.randrange(512, len(views[""]), 512)
        qemu("img", "resize", "-f", "qcow2", "--shrink", str(path), str(size))
        views[""] = views[""][:size]
    return maker.disk("qcow", path, views)


def _qcow2_names(maker: Maker) -> Disk:
    """A snapshot with an unusual name, or two with one name."""
    path, views = maker.qcow("qcow3")
    name = maker.chance.choice([*_NAMES, "twice"])
    for _ in range(2 if name == "twice" else 1):
        qemu("img", "snapshot", "-c", name, str(path))  # type: ignore[arg-type]
    text = name if isinstance(name, str) else name.decode("utf-8", "replace")
    return maker.disk("qcow", path, {text: views[""], "": views[""]})


def _discarded(maker: Maker) -> Disk:
    """Discarded and zeroed clusters that kept no place."""
    path, _ = maker.qcow("qcow3")
    for command in ("discard 0 64k", "write -z -u 64k 64k"):
        qemu("io", "-f", "qcow2", "-d", "unmap", "-c", command, str(path))
    content = as_qemu_reads(path, "qcow2")
    assert content is not None
    return maker.disk("qcow", path, {"": content})


_READABLE: "dict[str, Callable[[Maker], Disk]]" = {
    "raw": _raw,
    "raw, odd size": _raw_odd,
    "raw with snapshots": _raw_snapshots,
    "qcow 1": _qcow1,
    "qcow2": _qcow2,
    "qcow2 with snapshots": _qcow2_snapshots,
    "qcow2, snapshot names": _qcow2_names,
    "qcow2, discarded": _discarded,
}

#: All kinds by their names in the table, with their generators.
KINDS: "dict[str, Callable[[Maker], Disk]]" = {**_READABLE, **REFUSED, **FOREIGN, **FAULTS}
