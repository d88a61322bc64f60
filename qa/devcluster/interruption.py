"""Signals that end a tool: it cleans up, and the clean-up is not interrupted."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Optional

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def interrupt_on_signals() -> None:
    """From now on let SIGTERM and SIGHUP raise KeyboardInterrupt, as Ctrl-C does.

    An ignored signal, as under nohup, stays ignored.
    """
    for number in _SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(number: int, frame: Optional[FrameType]) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Block these signals, for work that must not be left half done.

    Only the main thread can do that, and only it is interrupted.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
