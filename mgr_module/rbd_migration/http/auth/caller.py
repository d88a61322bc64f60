"""The caller of a request at the module's own server."""

from typing import FrozenSet, NamedTuple


class Caller(NamedTuple):
    """``name`` is for the log; ``permissions`` are the dashboard's for the scope ``rbd-image``."""

    name: str
    permissions: FrozenSet[str]
