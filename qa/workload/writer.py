"""A client that uses an image while it migrates: a process of its own, like a virtual machine.

It writes 4 KiB at random places, one write after another, and reports the start and acknowledgement
of each write, so that the expected content is known afterwards.
"""

import contextlib
import json
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any, Callable

import rados

from qa.devcluster import Cluster
from qa.workload.client import WRITE
from qa.workload.images import content
from qa.workload.process import start

_TIMEOUT = 45.0


def write_bytes(seed: int, number: int) -> bytes:
    """Return the data of the write with this number."""
    return random.Random(f"{seed}/{number}").randbytes(WRITE)


class Writer:
    """A running writer; use :func:`writing`."""

    def __init__(self, cluster: Cluster, spec: str, rate: float, seed: int) -> None:
        self.client_id = 0
        self.address = ""
        self.owns_lock = False  # at its last check
        self._seed = seed
        self._begun: dict[int, int] = {}  # number -> offset
        self._acked = 0
        self._ended = False
        self._process = start(cluster, "writer_process", spec, rate, seed)
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def acked(self) -> int:
        """Return how many writes were acknowledged."""
        return self._acked

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def wait_acked(self, more: int = 1, timeout: float = _TIMEOUT) -> float:
        """Wait for that many more acknowledged writes and return the seconds that it took."""
        begin, goal = time.monotonic(), self._acked + more
        self._wait(lambda: self._acked >= goal, timeout, f"{more} more writes")
        return time.monotonic() - begin

    def stop(self) -> None:
        """Let it complete its write and close the image."""
        self._process.stdin.close()  # type: ignore[union-attr]
        code = self._process.wait(_TIMEOUT)
        assert code == 0, f"the writer ended with exit code {code}"
        self._wait(lambda: self._ended, 5, "its last words")

    def end(self) -> None:
        """Let it close the image if it still runs, and kill it if it does not.

        The watch of a client that is killed stays for 30 s, and keeps an abort waiting.
        """
        if self.running:
            with contextlib.suppress(OSError):
                self._process.stdin.close()  # type: ignore[union-attr]
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
        self.kill()

    def kill(self) -> None:
        """Kill it if it still runs."""
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]
        self._wait(lambda: self._ended, 5, "its last words")

    def applied(self, base: bytes) -> bytes:
        """Return ``base`` with all acknowledged writes applied."""
        image = bytearray(base)
        for number in range(1, self._acked + 1):
            offset = self._begun[number]
            image[offset : offset + WRITE] = write_bytes(self._seed, number)
        return bytes(image)

    def expected(self, base: bytes) -> "Callable[[bytes], list[int]]":
        """Return a check for offsets of 4 KiB blocks that differ from base and the writes."""
        image = self.applied(base)
        unsure = {
            offset: write_bytes(self._seed, number)
            for number, offset in self._begun.items()
            if number > self._acked
        }

        def wrong(found: bytes) -> "list[int]":
            assert len(found) == len(image)
            blocks = range(0, len(image), WRITE)
            odd = [at for at in blocks if found[at : at + WRITE] != image[at : at + WRITE]]
            return [at for at in odd if found[at : at + WRITE] != unsure.get(at)]

        return wrong

    def lost(self, client: rados.Rados, spec: str, base: bytes) -> "list[int]":
        """Return the offsets of wrong blocks of the head; ``base`` is its content at first."""
        return self.expected(base)(content(client, spec))

    def _listen(self) -> None:
        for line in self._process.stdout:  # type: ignore[union-attr]
            self._heard(json.loads(line))
        self._ended = True

    def _heard(self, said: "dict[str, Any]") -> None:
        if "open" in said:
            self.client_id, self.address = said["open"], said["address"]
        elif "lock" in said:
            self.owns_lock = said["lock"]
        elif "begin" in said:
            self._begun[said["begin"]] = said["offset"]
        else:
            self._acked = said["acked"]

    def _wait(self, done: "Callable[[], bool]", timeout: float, what: str) -> None:
        deadline = time.monotonic() + timeout
        while not done():
            assert not self._ended, f"the writer ended, waiting for {what}"
            assert time.monotonic() < deadline, f"no {what} within {timeout:g} s"
            time.sleep(0.02)


@contextlib.contextmanager
def writing(cluster: Cluster, spec: str, rate: float = 100, seed: int = 7) -> Iterator[Writer]:
    """Start a writer, wait for its first write, and make sure that it has ended after the block."""
    writer = Writer(cluster, spec, rate, seed)
    try:
        writer.wait_acked()
        yield writer
    finally:
        writer.end()
