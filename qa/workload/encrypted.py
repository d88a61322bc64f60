"""Encrypted disks made by QEMU, which first measures how much time of the processor a key takes."""

import subprocess
from typing import Callable, TypeVar

T = TypeVar("T")

_TRIES = 50
_TOO_COARSE = "Unable to get accurate CPU usage"


def retried_until_measured(make: Callable[[], T]) -> T:
    """Return what ``make`` returns; call it again while QEMU's measurement fails.

    Where the kernel counts a thread's time in ticks, QEMU 7.2 sees none in a short one, and ends.
    ``make`` raises CalledProcessError with what was written to stderr; another failure than that
    of the measurement is raised at once.
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
