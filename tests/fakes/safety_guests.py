"""The clients of a random run: they use disks, wherever these are, and tell the judge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rbdmigrate.model.states import Method, State

from . import errors, rbd_module
from .cluster import BLOCK
from .judge import Disk, Judge
from .world import World, block


class Guests:
    """A client for each disk, and others that take snapshots and resize."""

    def __init__(self, world: World, judge: Judge) -> None:
        self.world = world
        self.judge = judge
        self.open: dict[str, Any] = {}
        self._writes = 0

    def close(self) -> None:
        """All of them close their images."""
        for image in self.open.values():
            image.close()

    def _usable(self, disk: str) -> bool:
        """Whether a client may open the disk: no prepare and no abort is under way."""
        state = self.judge.disks[disk]
        if state.source is None:
            return self._header(state).link is None
        record = self.judge.record_of(state.source)
        if record is None or record["method"] == Method.WARM.value:
            return True
        return record["prepared_at"] is not None and record["state"] != State.ABORTING.value

    def _header(self, disk: Disk) -> Any:
        pool = self.world.cluster.pool_named(disk.pool)
        return pool.objects[("", f"rbd_header.{disk.ident}")].header

    def client_opens(self, disk: str) -> None:
        state = self.judge.disks[disk]
        if disk in self.open or not self._usable(disk):
            return
        ioctx = self.world.client().ioctx(f"{state.pool}/{disk}")
        ident = state.ident
        try:
            image = rbd_module.Image(ioctx, image_id=ident)
        except (errors.RbdError, errors.Error):
            return
        if state.ident != ident or not self._usable(disk):
            image.close()  # it came too late
            return
        self.open[disk] = image

    def client_closes(self, disk: str) -> None:
        if disk in self.open:
            self.open.pop(disk).close()

    def client_writes(self, disk: str, number: int) -> None:
        state = self.judge.disks[disk]
        if disk in self.open and number * BLOCK < state.size:
            self._writes += 1
            data = block(b"write %d" % self._writes)
            if not self._done(lambda: self.open[disk].write(data, number * BLOCK)):
                return
            state.head[number] = data
            self.judge.client_did(state, "write")

    def client_discards(self, disk: str, number: int) -> None:
        state = self.judge.disks[disk]
        if disk in self.open and number in state.head:
            if not self._done(lambda: self.open[disk].discard(number * BLOCK, BLOCK)):
                return
            del state.head[number]
            self.judge.client_did(state, "discard")

    @staticmethod
    def _done(act: Callable[[], Any]) -> bool:
        """Whether a client could do something."""
        try:
            act()
        except (errors.RbdError, errors.Error):
            return False
        return True

    def _with_image(self, disk: str, act: Callable[[Any], None]) -> bool:
        """As `rbd snap create` and others do it: open, act, close, with another client or none."""
        state = self.judge.disks[disk]
        if not self._usable(disk):
            return False
        ioctx = self.world.client("rbd").ioctx(f"{state.pool}/{disk}")
        ident = state.ident
        try:
            with rbd_module.Image(ioctx, image_id=ident) as image:
                if state.ident != ident or not self._usable(disk):
                    return False
                act(image)
        except (errors.RbdError, errors.Error):
            return False
        return True

    def snap_create(self, disk: str) -> None:
        state = self.judge.disks[disk]
        self._writes += 1
        name = f"snap{self._writes}"
        if self._with_image(disk, lambda image: image.create_snap(name)):
            state.snapshots[name] = dict(state.head)
            self.judge.client_did(state, "snap_create")

    def snap_remove(self, disk: str) -> None:
        state = self.judge.disks[disk]
        name = min(state.snapshots, default="")
        if name and self._with_image(disk, lambda image: image.remove_snap(name)):
            del state.snapshots[name]
            self.judge.client_did(state, "snap_rm")

    def resize(self, disk: str, size: int) -> None:
        state = self.judge.disks[disk]
        if size * BLOCK == state.size:
            return
        if self._with_image(disk, lambda image: image.resize(size * BLOCK)):
            state.size = size * BLOCK
            state.head = {n: data for n, data in state.head.items() if n < size}
            self.judge.client_did(state, "resize")
