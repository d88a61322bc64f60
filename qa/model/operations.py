"""Random operations on an image, and a model of its content after them."""

import random
from dataclasses import dataclass, field
from typing import Optional

import rbd

_SECTOR = 512
_KINDS = ("write", "discard", "zeroes", "snapshot", "remove", "rollback", "resize")
_WEIGHTS = (36, 16, 10, 20, 9, 3, 6)


@dataclass
class Model:
    """The head and the snapshots (by name, the oldest first) of an image."""

    head: bytearray
    snapshots: "dict[str, bytes]" = field(default_factory=dict)
    removed_newer: bool = False  # a snapshot was removed that is newer than one that still exists


def operate(
    image: rbd.Image,
    model: Model,
    chance: random.Random,
    object_size: int,
    *,
    without: "tuple[str, ...]" = (),
) -> None:
    """Apply one random operation to the image and to the model; a write for one of ``without``."""
    (kind,) = chance.choices(_KINDS, _WEIGHTS)
    if kind in without:
        kind = "write"
    extent = _extent(chance, len(model.head), object_size)
    if kind == "write":
        _write(image, model, extent, chance.randbytes(extent[1]))
    elif kind == "discard":
        image.discard(*extent)
        _read_back(image, model, extent)
    elif kind == "zeroes":
        thick = rbd.RBD_WRITE_ZEROES_FLAG_THICK_PROVISION if chance.random() < 0.3 else 0
        image.write_zeroes(*extent, thick)
        model.head[extent[0] : sum(extent)] = bytes(extent[1])
    elif kind == "resize":
        _resize(image, model, chance, object_size)
    else:
        _snapshots(image, model, chance, kind)


def _extent(chance: random.Random, size: int, object_size: int) -> "tuple[int, int]":
    """Return a random (offset, length): whole objects, a part of one, or any range."""
    number = chance.randrange(max(1, -(-size // object_size)))
    if chance.random() < 0.3:
        offset, length = number * object_size, object_size * chance.choice([1, 1, 2])
    else:
        offset = number * object_size + chance.randrange(object_size // _SECTOR) * _SECTOR
        length = chance.randrange(1, 2 * object_size // _SECTOR) * _SECTOR
    offset = min(offset, size - _SECTOR)
    return offset, min(length, size - offset)


def _write(image: rbd.Image, model: Model, extent: "tuple[int, int]", data: bytes) -> None:
    image.write(data, extent[0])
    model.head[extent[0] : sum(extent)] = data


def _read_back(image: rbd.Image, model: Model, extent: "tuple[int, int]") -> None:
    """Update the model from the image after a discard, which librbd rounds."""
    image.flush()
    model.head[extent[0] : sum(extent)] = image.read(*extent)


def _resize(image: rbd.Image, model: Model, chance: random.Random, object_size: int) -> None:
    size = int(len(model.head) * chance.choice([0.5, 0.75, 1.25, 1.5]))
    size = max(object_size, min(size, 16 * object_size)) // _SECTOR * _SECTOR
    image.flush()
    image.resize(size)
    model.head = bytearray(model.head[:size].ljust(size, b"\0"))


def _snapshots(image: rbd.Image, model: Model, chance: random.Random, kind: str) -> None:
    name: Optional[str] = None
    if kind != "snapshot" and model.snapshots:
        name = chance.choice(list(model.snapshots))
    if name is None:
        made = f"s{chance.getrandbits(32):x}"
        image.flush()
        image.create_snap(made)
        model.snapshots[made] = bytes(model.head)
    elif kind == "remove":
        model.removed_newer |= next(iter(model.snapshots)) != name
        image.remove_snap(name)
        del model.snapshots[name]
    else:
        image.rollback_to_snap(name)
        model.head = bytearray(model.snapshots[name])


def differences(image: rbd.Image, model: Model) -> "list[str]":
    """Describe the differences between an open image and the model."""
    listed = [s["name"] for s in image.list_snaps()]
    names = [name for name in listed if not name.startswith(".rbd_migration.")]
    if names != list(model.snapshots):
        return [f"the snapshots are {names}, not {list(model.snapshots)}"]
    found = []
    for name, wanted in (*model.snapshots.items(), (None, bytes(model.head))):
        image.set_snap(name)
        have = image.read(0, image.size()) if image.size() else b""
        if have != wanted:
            found.append(f"{name or 'head'}: {_first_difference(have, wanted)}")
    image.set_snap(None)
    return found


def _first_difference(have: bytes, wanted: bytes) -> str:
    if len(have) != len(wanted):
        return f"{len(have)} bytes instead of {len(wanted)}"
    bad = [
        at
        for at in range(0, len(wanted), _SECTOR)
        if have[at : at + _SECTOR] != wanted[at : at + _SECTOR]
    ]
    return f"{len(bad)} sectors differ, the first at {bad[0]}"
