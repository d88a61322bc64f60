"""Compares an image with a disk, in a process of its own: librbd may crash while it reads."""

import tempfile
from pathlib import Path

import rados
import rbd

from qa.devcluster import Cluster
from qa.workload.apart import apart
from qa.workload.images import opened

from .disk import Views

_PIECE = 4 << 20


def differences(cluster: Path, target: str, views: Views, prepared: bool) -> "list[str]":
    """Return what the head and the snapshots of an image have else than these views.

    ``prepared``: the image may have the module's own snapshot too. Raises ``apart.Crashed``.
    """
    with tempfile.TemporaryDirectory(prefix="rbd-migration-views-") as folder:
        files = []
        for number, (name, view) in enumerate(views.items()):
            file = Path(folder) / str(number)
            file.write_bytes(view)
            files.append((name, str(file)))
        found: list[str] = apart(Cluster(cluster), compared, target, files, prepared)
    return found


def compared(
    client: rados.Rados, target: str, files: "list[tuple[str, str]]", prepared: bool
) -> "list[str]":
    """Return the same, for a client; the bytes of each view are in a file."""
    views = {name: Path(file).read_bytes() for name, file in files}
    found = []
    with opened(client, target) as image:
        listed = [str(each["name"]) for each in image.list_snaps()]
    if prepared:
        listed = [name for name in listed if not name.startswith(".rbd_migration.")]
    expected = [name for name in views if name]
    if listed != expected:
        found.append(f"snapshots {listed} instead of {expected}")
    for name, view in views.items():
        if name in (*listed, ""):
            with opened(client, target, name) as image:
                wrong = _difference(image, view)
            if wrong:
                found.append(f"{name or 'head'} {wrong}")
    return found


def _difference(image: rbd.Image, view: bytes) -> str:
    size = image.size()
    if size != len(view):
        return f"has {size} bytes instead of {len(view)}"
    for at in range(0, size, _PIECE):
        piece = image.read(at, min(_PIECE, size - at))
        if piece != view[at : at + len(piece)]:
            first = next(n for n, byte in enumerate(piece) if byte != view[at + n])
            return f"differs at byte {at + first}"
    return ""
