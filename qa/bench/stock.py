"""The stock tools, used as an administrator would without the module."""

import time
from collections.abc import Sequence

from qa.bench.rig import Rig

Pairs = Sequence["tuple[str, str]"]
_LONG = 900.0  # seconds


def rbd(rig: Rig, *args: str) -> None:
    """Run an ``rbd`` command without its progress bar."""
    rig.cluster.rbd(*args, timeout=_LONG)


def execute(rig: Rig, target: str) -> None:
    """Run ``rbd migration execute`` of a prepared migration."""
    rbd(rig, "--no-progress", "migration", "execute", target)


def convert(rig: Rig, source: str, target: str) -> None:
    """Run ``qemu-img convert`` from one image to a new one, with its default settings."""
    convert_file(rig, "raw", f"rbd:{source}:conf={rig.cluster.conf}", target)


def convert_file(rig: Rig, kind: str, where: str, target: str, timeout: float = _LONG) -> None:
    """Run ``qemu-img convert`` from a source in the format ``kind``. Raises CommandFailed."""
    rig.cluster.run(
        ["qemu-img", "convert", "-f", kind, "-O", "raw", where,
         f"rbd:{target}:conf={rig.cluster.conf}"],
        timeout=timeout,
    )  # fmt: skip


def convert_unordered(rig: Rig, kind: str, where: str, size: int, target: str) -> None:
    """Make an image of ``size`` bytes, and run ``qemu-img convert -n -W -m 16`` into it."""
    rbd(rig, "create", "--size", f"{size}B", target)
    rig.cluster.run(
        ["qemu-img", "convert", "-n", "-W", "-m", "16", "-f", kind, "-O", "raw", where,
         f"rbd:{target}:conf={rig.cluster.conf}"],
        timeout=_LONG,
    )  # fmt: skip


def import_file(rig: Rig, path: str, target: str) -> None:
    """Run ``rbd import`` of a raw file."""
    rbd(rig, "--no-progress", "import", path, target)


def import_url(rig: Rig, url: str, target: str) -> None:
    """Import from a server: ``curl URL | rbd import - IMAGE``."""
    pipe = 'curl -fsS "$1" | rbd --no-progress import - "$2"'
    rig.cluster.run(["bash", "-o", "pipefail", "-c", pipe, "_", url, target], timeout=_LONG)


def one_after_another(rig: Rig, pairs: Pairs) -> None:
    """Run ``rbd migration prepare``, ``execute`` and ``commit`` for each image in a shell loop."""
    for source, target in pairs:
        rbd(rig, "migration", "prepare", source, target)
        execute(rig, target)
        rbd(rig, "--no-progress", "migration", "commit", target)


def tasks(rig: Rig, pairs: Pairs) -> None:
    """Run ``ceph rbd task add migration``: prepare by hand, then an execute and a commit each.

    The commit is added after the execute has ended, because it is refused before.
    """
    for source, target in pairs:
        rbd(rig, "migration", "prepare", source, target)
        rig.ceph("rbd task add migration execute", image_spec=target)
    _wait_for_tasks(rig)
    for _, target in pairs:
        rig.ceph("rbd task add migration commit", image_spec=target)
    _wait_for_tasks(rig)


def _wait_for_tasks(rig: Rig) -> None:
    while rig.ceph("rbd task list"):
        time.sleep(0.1)
