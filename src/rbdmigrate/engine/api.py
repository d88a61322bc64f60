"""The one API that every front end calls. Thread-safe; takes and returns plain data."""

from __future__ import annotations

from .beginning import Beginning
from .host import Host
from .listing import Listing, Report
from .planning import Planning
from .steering import Steering


class Engine(Planning, Listing, Beginning, Steering):
    """Carries out migrations and answers for them. One engine runs in the active manager.

    A base class for each kind of request: :class:`Listing` tells what there is,
    :class:`Beginning` takes on new migrations, :class:`Steering` says what becomes of those under
    way, :class:`Planning` has ``plans``. All of them draw on the same
    :class:`~rbdmigrate.engine.parts.Parts`.
    """


__all__ = ["Engine", "Host", "Report"]
