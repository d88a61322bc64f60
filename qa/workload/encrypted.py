"""Encrypted disks made by QEMU, which first measures how much time of the processor a key takes."""

import subprocess
from typing import Callable, TypeVar

T = TypeVar("T")

_TRIES = 50
_TOO_COARSE = "Unable to get accurate CPU usage"


def measured(make: Callable[[], T]) -> T:
    """Call ``make`` until QEMU's measurement succeeds.

    Where the kernel counts a thread's time in ticks, QEMU 7.2 sees none in a short one, and ends.
    ``make`` raises CalledProcessError with what was written to stderr.
    """
    for _ in range(_TRIES):
        try:
            return make()
        except subprocess.CalledProcessError as error:
            said = error.stderr or b""
            text = said if isinstance(said, str) else said.decode(errors="replace")
            if _TOO_COARSE not in text:
                raise
    return make()
