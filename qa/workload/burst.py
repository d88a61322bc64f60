"""A client with many parallel writes, as a busy virtual machine has.

Each write goes to a different object that was not written before, so that in a migration it first
has to copy the object. The results of the writes are counted by errno.
"""

import contextlib
import json
import threading
import time
from collections.abc import Iterator

from qa.devcluster import Cluster
from qa.workload.process import start

_TIMEOUT = 60.0


class Burst:
    """A running client; use :func:`burst`."""

    def __init__(self, cluster: Cluster, spec: str, depth: int, rate: float) -> None:
        self._counts: dict[int, int] = {}
        self._process = start(cluster, "burst_process", spec, depth, rate)
        threading.Thread(target=self._listen, daemon=True).start()

    def written(self) -> int:
        """Return how many writes have ended, successful or not."""
        return sum(self._counts.values())

    def errors(self) -> "dict[int, int]":
        """Return how many writes failed, by errno."""
        return {-code: count for code, count in self._counts.items() if code < 0}

    def wait_written(self, more: int, timeout: float = _TIMEOUT) -> None:
        """Wait for this number of further writes to end."""
        goal, deadline = self.written() + more, time.monotonic() + timeout
        while self.written() < goal:
            assert self._process.poll() is None, "the client ended"
            assert time.monotonic() < deadline, f"no {more} more writes within {timeout:g} s"
            time.sleep(0.05)

    def end(self) -> None:
        """Let it complete its writes and close the image; kill it if it does not."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]
        try:
            self._process.wait(_TIMEOUT)
        finally:
            self._process.kill()
            self._process.wait()

    def _listen(self) -> None:
        for line in self._process.stdout:  # type: ignore[union-attr]
            self._counts = {int(code): count for code, count in json.loads(line).items()}


@contextlib.contextmanager
def burst(cluster: Cluster, spec: str, depth: int = 16, rate: float = 200) -> Iterator[Burst]:
    """Run a client that writes ``rate`` times per second, up to ``depth`` writes in parallel."""
    client = Burst(cluster, spec, depth, rate)
    try:
        yield client
    finally:
        client.end()
