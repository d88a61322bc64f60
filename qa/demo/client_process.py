"""The client's process as the demo uses it: start, check, stop, read its messages."""

import contextlib
import json
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

from qa.demo.errors import DemoError
from qa.devcluster import Cluster, processes
from qa.devcluster.layout import REPOSITORY

_START_TIMEOUT = 120.0
_STOP_TIMEOUT = 40.0  # more than the client's own limit for its last write


class ClientProcess:
    """A running client."""

    def __init__(
        self, cluster: Cluster, pool: str, image: str, folder: Path, seed: int, rate: float
    ) -> None:
        self.journal = folder / "client.journal"
        self.lock_held = self.lock_checks = 0
        self._log = folder / "client.log"
        self._read = b""
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable, "-m", "qa.demo.client",
                    "--conf", str(cluster.conf), "--pool", pool, "--image", image,
                    "--journal", str(self.journal), "--seed", str(seed), "--rate", str(rate),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # Marked as one of the cluster's: it ends with the cluster in any case.
                env={**cluster.env, processes.MARK: str(cluster.layout.root)},
                cwd=REPOSITORY,
                start_new_session=True,  # Ctrl-C in a terminal is for the demo alone
            )  # fmt: skip
        self.client_id: int = 0

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_until_it_writes(self) -> None:
        """Wait until the first write is acknowledged."""
        deadline = time.monotonic() + _START_TIMEOUT
        self.client_id = int(self._hear("open", deadline)["client"])
        self._hear("writing", deadline)

    def check(self) -> None:
        """Raise DemoError if the client has ended by itself."""
        if self._process.poll() is not None:
            raise DemoError(f"The client ended by itself: {self._last_words()}")

    def stop(self) -> None:
        """Let the client finish its write and close the image."""
        self.check()
        self._end_of_input()
        said = self._hear("end", time.monotonic() + _STOP_TIMEOUT)
        self.lock_held, self.lock_checks = said["lock_held"], said["lock_checks"]
        try:
            self._process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise DemoError("The client did not end after it had closed the image.") from None

    def kill(self) -> None:
        """Kill the client if it still runs."""
        self._process.kill()
        self._process.wait()
        self._end_of_input()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _end_of_input(self) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def _hear(self, event: str, deadline: float) -> dict[str, Any]:
        """Read the client's next message, which has to be of this kind."""
        stdout = self._process.stdout
        assert stdout is not None
        while b"\n" not in self._read:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([stdout], [], [], left)[0]:
                raise DemoError(f"The client has not said '{event}' in time and is killed.")
            # Unbuffered: what select() cannot see must not be kept back.
            piece = stdout.read1(4096)  # type: ignore[attr-defined]
            if not piece:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(5)
                raise DemoError(f"The client ended by itself: {self._last_words()}")
            self._read += piece
        line, _, self._read = self._read.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        if message["event"] != event:
            raise DemoError(f"The client said '{message['event']}' instead of '{event}'.")
        return message

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
        said: Optional[str] = next((line for line in reversed(lines) if line.strip()), None)
        return said or f"exit code {self._process.poll()}."


@contextlib.contextmanager
def running_client(
    cluster: Cluster, pool: str, image: str, folder: Path, seed: int, rate: float
) -> Iterator[ClientProcess]:
    """Start a client, and make sure that it has ended after the block."""
    client = ClientProcess(cluster, pool, image, folder, seed, rate)
    try:
        client.wait_until_it_writes()
        yield client
    finally:
        client.kill()
