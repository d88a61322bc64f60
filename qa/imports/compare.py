"""Compares an image with a disk, in a process of its own: librbd may crash while it reads.

``python3 -m qa.imports.compare`` reads what to compare from standard input, as JSON: the folder of
the cluster, the image, and a file with the bytes of each view. It writes what is different.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import rados
import rbd

from qa.devcluster import Cluster
from qa.devcluster.layout import REPOSITORY
from qa.workload.images import opened

from .disk import Views

_PIECE = 4 << 20
_TIMEOUT = 120  # seconds


class Crashed(Exception):
    """The process that read an image did not come to its end; the message says how."""


def differences(cluster: Path, target: str, views: Views, prepared: bool) -> "list[str]":
    """Return what the head and the snapshots of an image have else than these views.

    ``prepared``: the image may have the module's own snapshot too. Raises Crashed.
    """
    with tempfile.TemporaryDirectory(prefix="rbd-migration-views-") as folder:
        files = []
        for number, (name, view) in enumerate(views.items()):
            file = Path(folder) / str(number)
            file.write_bytes(view)
            files.append((name, str(file)))
        asked = json.dumps([str(cluster), target, files, prepared])
        try:
            done = subprocess.run(
                [sys.executable, "-m", "qa.imports.compare"], input=asked, cwd=REPOSITORY,
                capture_output=True, text=True, timeout=_TIMEOUT, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise Crashed(f"a client that reads {target} hangs") from error
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:]
        raise Crashed(f"a client that read it ended with {done.returncode}: {' '.join(last)}")
    found: list[str] = json.loads(done.stdout)
    return found


def _compared(client: rados.Rados, target: str, views: Views, prepared: bool) -> "list[str]":
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


def main() -> None:
    """Compare what standard input names."""
    folder, target, files, prepared = json.load(sys.stdin)
    views = {name: Path(file).read_bytes() for name, file in files}
    with Cluster(Path(folder)).connect() as client:
        json.dump(_compared(client, target, views, prepared), sys.stdout)


if __name__ == "__main__":
    main()
