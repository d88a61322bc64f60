"""The source of an import as the one side of a verification; the target is the other.

Files and streams are read by our own reader (``sources``), not by librbd: what librbd got wrong
when it copied it would get wrong again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Optional

import rados
import rbd

from ...control.objects.extents import ExtentSet
from ...model.errors import MigrationError
from ...model.import_policy import ImportPolicy
from ...model.import_source import Import
from ...model.jobs.acts import ImportEnds
from ...model.states import Method
from ...sources import Content, Limits, changes, identify, open_content
from ...sources.copying import CopySource, identify_copied
from ..session import Session
from ..verify.compare import ImageReader
from ..verify.sides import Side
from . import native, native_copy
from .source_access import resolver_of

_NO_END = Limits(total=None)


class ExternalView:
    """The head or a snapshot of a source outside, open for reading. Thread-safe."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self.in_order = content.in_order
        self._lock = threading.Lock()  # a reader has one connection

    def __enter__(self) -> ExternalView:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._content.close()

    def size(self) -> int:
        """Bytes."""
        return self._content.size

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the disk."""
        with self._lock:
            return self._content.read(offset, length)

    def allocated(self) -> ExtentSet:
        """What may hold data."""
        extents = ExtentSet()
        for offset, length in self._content.extents(0, self._content.size):
            extents.add(offset, offset + length)
        return extents


class ExternalSide:
    """A source outside. The comparison snapshot stands for its head."""

    def __init__(
        self,
        *,
        imported: Import,
        comparison_snapshot: str,
        policy: ImportPolicy,
        resolve: Callable[[str, str], str],
        copied: bool = False,
    ) -> None:
        """``copied``: by the mover, and so it is read as the mover does."""
        self._copied = copied
        self._imported = imported
        self._point = comparison_snapshot
        self._policy = policy
        self._resolve = resolve
        self._source = CopySource(imported.source, policy, resolve_config=resolve)

    def close(self) -> None:
        """Give back what it took on this host."""
        self._source.close()

    def open(self, snapshot: Optional[str]) -> ExternalView:
        """A snapshot, or the head (None)."""
        name = None if snapshot == self._point else snapshot
        if self._copied:
            return ExternalView(self._source.open(name))
        return ExternalView(
            open_content(self._imported.source, name, self._policy, _NO_END, self._resolve)
        )

    def snapshots(self) -> list[str]:
        """Its snapshots, the oldest first, and the comparison snapshot."""
        return [*self._imported.snapshots, *([self._point] if self._point else [])]

    def changed_since(self, comparison_snapshot: str) -> str:
        """Why its head is not what it was at the prepare any more; empty where nothing tells."""
        source = self._imported.source
        if self._copied:
            now = identify_copied(self._source)
        else:
            now = identify(source, self._policy, resolve_config=self._resolve)
        return " ".join(changes(self._imported.identity, now)[:1]).rstrip(".")


class NativeSide:
    """A snapshot of an image: all that there is of the source."""

    def __init__(self, ioctx: rados.Ioctx, found: native.Found, comparison_snapshot: str) -> None:
        self._reader = ImageReader(name="source", ioctx=ioctx, ident=found.place.image_id)
        self._snapshot = found.snapshot
        self._point = comparison_snapshot

    def open(self, snapshot: Optional[str]) -> rbd.Image:
        """The snapshot, whatever is asked for."""
        return self._reader.open(self._snapshot)

    def snapshots(self) -> list[str]:
        """The comparison snapshot of the target, which holds the same."""
        return [self._point] if self._point else []

    def changed_since(self, comparison_snapshot: str) -> str:
        """Snapshots do not change."""
        return ""


@contextmanager
def opened(session: Session, ends: ImportEnds, comparison_snapshot: str) -> Iterator[Side]:
    """The source's side; ``comparison_snapshot`` is a name. Raises MigrationError."""
    imported = ends.imported
    if not imported.native:
        resolve, copied = resolver_of(session, ends), ends.method is Method.COPY
        outside = ExternalSide(
            imported=imported,
            comparison_snapshot=comparison_snapshot,
            policy=ends.policy,
            resolve=resolve,
            copied=copied,
        )
        try:
            yield outside
        finally:
            outside.close()
        return
    with ExitStack() as stack:
        try:
            if ends.method is Method.COPY:
                side: Side = native_copy.open_history(session, ends, stack)
            else:
                found = native.find(session, imported.source)
                side = NativeSide(
                    stack.enter_context(session.open(found.place)), found, comparison_snapshot
                )
        except MigrationError as error:
            raise MigrationError(
                error.errno, f"{error.message[:-1]}, so what was copied from it cannot be compared."
            ) from error
        yield side
