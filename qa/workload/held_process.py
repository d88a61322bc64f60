"""Processes of the module that wait at a fault point for a test (``rbdmigrate.faults``)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class HeldProcess:
    """The process that waits at one fault point, or all of them that came to it."""

    def __init__(self, gate: Path, log: Path) -> None:
        self._gate = gate
        self._log = log

    def waits(self) -> bool:
        """Whether a process came to the point."""
        return self._log.exists()

    def arrivals(self) -> "list[str]":
        """The process id and the detail (state or act) of each that came, in order."""
        return self._log.read_text(encoding="ascii").splitlines() if self.waits() else []

    def let_go(self) -> None:
        """Have it go on now rather than at the end of the block."""
        self._gate.unlink(missing_ok=True)


@contextmanager
def held_at(faults: Path, point: str, detail: str = "") -> Iterator[HeldProcess]:
    """Hold up each process that comes to ``point`` with ``detail`` until the block ends.

    ``faults`` is the fault folder of the processes.
    """
    gate, log = faults / f"{point}.wait", faults / f"{point}.reached"
    log.unlink(missing_ok=True)  # of a process before
    gate.write_text(detail, encoding="ascii")
    held = HeldProcess(gate, log)
    try:
        yield held
    finally:
        held.let_go()
