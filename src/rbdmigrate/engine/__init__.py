"""The engine: carries out migrations, and the one API that every front end calls (:class:`Engine`).

A migration's record says what is wanted and what was last seen. For each record, again and again:
observe, decide (``control.lifecycle.decide``), act in a worker, write the outcome. Nothing is
inferred from where the code was, so a crash anywhere is the same as a pause.
"""

from .engine import Engine
from .host import Host
from .settings import Settings

__all__ = ["Engine", "Host", "Settings"]
