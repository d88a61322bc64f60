"""Prepared migrations, and their copies."""

import contextlib
import time
from collections.abc import Iterator
from typing import Optional

from qa.bench.rig import TARGET, Rig
from qa.workload.images import MIB, place


def prepared(rig: Rig, size: int, data: Optional[int] = None, object_size: int = 4 * MIB) -> str:
    """Prepare a migration and return its target. ``data``: bytes in the image; without it, all."""
    source, target = rig.pair()
    rig.image(source, size, size if data is None else data, object_size)
    rig.ask("prepare", source_image=source, target_image=target)
    rig.wait(target, "prepared")
    return target


def copy(rig: Rig, target: str) -> float:
    """Return the seconds from the start of the copy until all data is copied."""
    begin = time.monotonic()
    rig.ask("execute", target_image=target)
    rig.wait(target, "executed")
    return time.monotonic() - begin


def discard(rig: Rig, target: str) -> None:
    """End the migration, whatever its state, and remove the image."""
    source = rig.status(target)["source"]
    abort(rig, target)
    rig.remove([source, target])


def abort(rig: Rig, target: str) -> None:
    """Abort the migration, whatever its state."""
    rig.ask("abort", target_image=target, force=True)
    rig.until(lambda: rig.status(target)["ended"], f"the end of {target}")


@contextlib.contextmanager
def at_once(rig: Rig, copies: int) -> Iterator[None]:
    """Limit the number of parallel copies in the block."""
    rig.ask("limit set", max_copies=copies)
    try:
        yield
    finally:
        rig.ask("limit set", max_copies=4)


@contextlib.contextmanager
def throttled(rig: Rig, rate: str) -> Iterator[None]:
    """Set the throttle of all copies (``20M``) in the block."""
    rig.ask("throttle set", rate=rate)
    try:
        yield
    finally:
        rig.ask("throttle clear")


def arrived(rig: Rig) -> int:
    """Return the number of data objects in the target's pool, read with RADOS."""
    with place(rig.client, f"{TARGET}/-") as ioctx:
        return sum(each.key.startswith("rbd_data.") for each in ioctx.list_objects())
