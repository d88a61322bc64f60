"""The one API that every front end calls. Thread-safe; takes and returns plain data."""

from __future__ import annotations

from contextlib import AbstractContextManager

from ..control.access import Access
from .caller import on_behalf_of
from .host import Host
from .planning import Planning
from .requests.control import Steering
from .requests.create import Beginning
from .requests.queries import Listing, Report


class Engine(Planning, Listing, Beginning, Steering):
    """Carries out migrations and answers for them. One engine runs in the active manager.

    A base class for each kind of request: :class:`Listing` tells what there is,
    :class:`Beginning` takes on new migrations, :class:`Steering` says what becomes of those under
    way, :class:`Planning` has ``plans``. All of them draw on the same
    :class:`~rbdmigrate.engine.requests.components.Parts`.
    """

    @staticmethod
    def on_behalf_of(caller: Access) -> AbstractContextManager[None]:
        """A context in which this thread asks for somebody who may touch as much as ``caller``.

        Requests then find and show what the caller may see, and refuse with EACCES to act on
        anything else. Outside of it a thread may touch everything.
        """
        return on_behalf_of(caller)


__all__ = ["Engine", "Host", "Report"]
