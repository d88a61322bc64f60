"""Python's state of librbd's threads, kept between their callbacks."""

from __future__ import annotations

import ctypes
import threading

_local = threading.local()  # of each thread, for as long as its state is kept


def keep_thread_state() -> None:
    """Call it in a callback of librbd: keep what the interpreter has made for its thread.

    librbd's threads are not Python's. The interpreter makes a thread state for each of their
    callbacks and frees it at the end, which takes longer than a short callback does. A
    ``PyGILState_Ensure`` without its release keeps it (Python/C API, "Non-Python created
    threads"). librbd has few such threads, and a worker ends without finalizing the interpreter.
    """
    if not getattr(_local, "kept", False):
        ctypes.pythonapi.PyGILState_Ensure()
        _local.kept = True
