"""Turning what RADOS and the store raise into one sentence for the user."""

from __future__ import annotations

from collections.abc import Callable
from errno import EAGAIN
from types import TracebackType
from typing import Optional

import rados

from ...cluster.client import error_number
from ...model.errors import MigrationError, errno_text
from ...model.spec import ImageSpec
from ..records.registry import StoreFenced


class TranslatedErrors:
    """A context in which only MigrationError gets out. ``ended``: the engine is stopping."""

    def __init__(self, target: ImageSpec, ended: bool, on_fenced: Callable[[str], None]) -> None:
        self._target = target
        self._ended = ended
        self._on_fenced = on_fenced

    def __enter__(self) -> None:
        if self._ended:
            raise MigrationError(EAGAIN, "This manager is giving up its role; try again.")

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        if isinstance(error, StoreFenced):
            self._on_fenced(str(error))
            raise MigrationError(EAGAIN, "Another manager took over; try again.") from error
        if isinstance(error, rados.ConnectionShutdown):
            self._on_fenced("our RADOS client was blocklisted")
            raise MigrationError(EAGAIN, "The module reconnects; try again.") from error
        if isinstance(error, rados.Error):
            number = error_number(error)
            raise MigrationError(
                number,
                f"The cluster did not answer about {self._target}: {errno_text(number)}; look at "
                "`ceph health` and try again.",
            ) from error
