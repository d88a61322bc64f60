"""Examining and completing the data objects of a target as plain RADOS objects.

librbd copies an object view by view: the content at the oldest snapshot first, then each later one
as a write that leaves the former content in a clone. The object itself records which views were
written: its *sequence* is the highest snapshot id in the context of any write to it. librbd guards
each of its own writes by it (class method ``assert_snapc_seq``), and so does this module: a write
for a view succeeds only if nothing was written since the view before, by librbd or by any client.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from errno import ENOENT, EOVERFLOW, ERANGE
from typing import Any, Optional

import rados

from .client import error_number

_ABOVE, _REACHED = 0, 1  # a number is above the object's sequence, or is not
_IN_FLIGHT = 64


def object_name(prefix: str, number: int, *, old_format: bool) -> str:
    """The name of a data object; those of format 1 have shorter numbers."""
    return f"{prefix}.{number:012x}" if old_format else f"{prefix}.{number:016x}"


def _guard(number: int, state: int) -> bytes:
    return struct.pack("<QB", number, state)


class DataObjects:
    """The objects of one image: ``prefix`` of their names, ``size`` in bytes.

    ``snapshot``: the one that :meth:`read_part` reads; None: the head. ``old_format``: the image is
    of format 1.
    """

    def __init__(
        self,
        *,
        cluster: rados.Rados,
        pool_id: int,
        namespace: str,
        prefix: str,
        size: int,
        snapshot: Optional[int] = None,
        old_format: bool = False,
    ) -> None:
        self._ioctx = cluster.open_ioctx2(pool_id)
        self._ioctx.set_namespace(namespace)
        if snapshot is not None:
            self._ioctx.set_read(snapshot)
        self._prefix = prefix
        self._size = size
        self._old_format = old_format

    def close(self) -> None:
        """Close the pool."""
        self._ioctx.close()

    def _name(self, number: int) -> str:
        return object_name(self._prefix, number, old_format=self._old_format)

    def existing(self, numbers: Iterable[int]) -> list[int]:
        """Return those of the objects whose head exists."""

        def ask(number: int) -> Any:
            return self._ioctx.aio_stat(self._name(number), lambda *answer: None)

        return self._ask(numbers, ask, (-ENOENT,))

    def behind(self, numbers: Mapping[int, int]) -> list[int]:
        """Return those of the (existing) objects whose sequence is below the given snapshot."""

        def ask(number: int) -> Any:
            argument = _guard(numbers[number], _REACHED)
            return self._ioctx.aio_execute(self._name(number), "rbd", "assert_snapc_seq", argument)

        reached = set(self._ask(numbers, ask, (-ERANGE, -ENOENT)))
        return [number for number in numbers if number not in reached]

    def _ask(
        self, numbers: Iterable[int], ask: Callable[[int], Any], no: tuple[int, ...]
    ) -> list[int]:
        """The objects for which RADOS answers yes; many requests are sent at a time."""
        found: list[int] = []
        asked: deque[tuple[int, Any]] = deque()

        def take() -> None:
            number, completion = asked.popleft()
            completion.wait_for_complete()
            result = int(completion.get_return_value())
            if result >= 0:
                found.append(number)
            elif result not in no:
                raise rados.OSError("an object could not be examined", errno=-result)

        for number in numbers:
            asked.append((number, ask(number)))
            if len(asked) >= _IN_FLIGHT:
                take()
        while asked:
            take()
        return found

    def version(self, number: int) -> Optional[int]:
        """The version of the object's head; None when there is none."""
        try:
            self._ioctx.read(self._name(number), 1)
        except rados.ObjectNotFound:
            return None
        return int(self._ioctx.get_last_version())

    def read(self, number: int, snapshot: Optional[int]) -> Optional[bytes]:
        """The object's content at a snapshot or the head, padded; None where there is none."""
        self._ioctx.set_read(rados.LIBRADOS_SNAP_HEAD if snapshot is None else snapshot)
        try:
            found: bytes = self._ioctx.read(self._name(number), self._size)
        except rados.ObjectNotFound:
            return None
        finally:
            self._ioctx.set_read(rados.LIBRADOS_SNAP_HEAD)
        return found.ljust(self._size, b"\0")

    def read_part(self, number: int, offset: int, length: int) -> Optional[bytes]:
        """Bytes of an object at ``snapshot``, padded with zeros; None without the object there."""
        try:
            found: bytes = self._ioctx.read(self._name(number), length, offset)
        except rados.ObjectNotFound:
            return None
        return found.ljust(length, b"\0")

    def write_view(
        self, number: int, content: Optional[bytes], above: int, before: Sequence[int], version: int
    ) -> bool:
        """Write a view's whole content if the object is unchanged since it was read; else return
        False.

        ``content`` None: the view does not have the object. ``above``: the snapshot before the
        view, which the object's sequence must not have reached. ``before``: the snapshots that
        keep the present content. ``version``: of the head that was read; a later write or removal
        of it makes this fail.
        """
        self._ioctx.set_self_managed_snap_write(list(before))
        try:
            with rados.WriteOpCtx() as op:
                op.assert_version(version)
                op.execute("rbd", "assert_snapc_seq", _guard(above, _ABOVE))
                if content is None:
                    op.remove()
                else:
                    op.write_full(content.rstrip(b"\0"))
                self._ioctx.operate_write_op(op, self._name(number))
        except rados.Error as error:
            if error_number(error) in (ERANGE, EOVERFLOW, ENOENT):
                return False
            raise
        finally:
            self._ioctx.set_self_managed_snap_write([])
        return True
