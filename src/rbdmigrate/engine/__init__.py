"""The engine: the loop, the slots, and the one API that every front end calls (:class:`Engine`).

A migration's record says what is wanted and what was last seen. For each record, again and again:
observe -> ``control.lifecycle`` decides -> one act in a slot -> write what came of it. Nothing is
inferred from where the code was, so a crash anywhere is the same as a pause.
"""

from .api import Engine, Host
from .settings import Settings

__all__ = ["Engine", "Host", "Settings"]
