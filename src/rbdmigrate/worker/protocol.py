"""What the manager's process and a worker say to each other: one JSON object a line.

Manager to worker: first ``{"identity": {...}, "parent": pid}``, then one job at a time::

    {"job": 7, "op": "execute", "args": {...}}

and at any time a rate for the copy, in bytes per second (null: no limit)::

    {"rate": 52428800}

Worker to manager: first a ``hello``, then for each job any number of ``progress`` events and one
``done`` or ``failed``::

    {"event": "hello", "version": "0.1.0", "pid": 4711, "addresses": [...], "clients": [...]}
    {"event": "progress", "job": 7, "done": 12, "total": 64, "bytes": 50331648, "bytes_total": ...}
    {"event": "done", "job": 7, "result": {...}}
    {"event": "failed", "job": 7, "errno": 16, "message": "...", "cause": "librbd"}
    {"event": "gave_up", "job": 7, "message": "..."}

``cause`` is ``refused`` (our own finding; nothing was changed, ``message`` is for the user),
``librbd`` (``message`` is empty: librbd's texts mislead and repeat secrets) or ``bug`` (a Python
traceback, for the manager's log alone). A worker that gives up ends in the middle of the job, as if
it had been killed; ``message`` is for the user.

When its standard input ends the worker ends at once.
"""

from __future__ import annotations

import json
from typing import Any

MAX_LINE = 1 << 20  # bytes; neither side reads a longer line


def encode_line(message: dict[str, Any]) -> bytes:
    """A message as it goes over the pipe."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def decode_line(line: bytes) -> dict[str, Any]:
    """The inverse. Raises ValueError for anything that is not one JSON object."""
    message = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError("a message is not a JSON object")
    return message
