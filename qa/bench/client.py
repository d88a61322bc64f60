"""A client that runs next to the copies: fio writes 4 KiB through librbd, one after another."""

import contextlib
import math
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from qa.bench.rig import TARGET, Rig
from qa.devcluster import processes
from qa.workload.images import MIB, opened

RATE = 100  # writes per second that it attempts
_SIZE = 256 * MIB
_START = 60.0  # seconds within which it has to start
_EDGE = 0.1  # seconds at both ends of a span that may belong to the spans next to it


class Client:
    """A running fio. Its measurements can be read after it has ended."""

    def __init__(self, process: "subprocess.Popen[bytes]", folder: Path) -> None:
        self._process = process
        self._log = folder / "fio_clat.1.log"

    def end(self) -> None:
        """Wait until fio has ended. Raises CalledProcessError."""
        code = self._process.wait(120)
        if code:
            raise subprocess.CalledProcessError(code, "fio")

    def between(self, begin: float, end: float) -> "list[float]":
        """Return the milliseconds of each write that ended in a span of ``time.time()``."""
        lines = [line.split(",") for line in self._log.read_text(encoding="ascii").splitlines()]
        writes = [(int(fields[0]) / 1e3, int(fields[1]) / 1e6) for fields in lines]
        return [taken for at, taken in writes if begin + _EDGE <= at <= end - _EDGE]


@contextlib.contextmanager
def running(rig: Rig, seconds: float) -> Iterator[Client]:
    """Start a client that writes for ``seconds``, on an image that is not migrated."""
    name = f"client{time.time_ns()}"
    image = rig.image(f"{TARGET}/{name}", _SIZE, _SIZE)
    with opened(rig.client, image, read_only=False) as handle:
        handle.metadata_set("conf_rbd_cache", "false")  # acknowledged is written
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            ["fio", "--name=client", "--ioengine=rbd", "--clientname=admin", f"--pool={TARGET}",
             f"--rbdname={name}", "--rw=randwrite", "--bs=4k", "--iodepth=1",
             f"--rate_iops={RATE}", "--time_based", f"--runtime={seconds + 2:.0f}",
             f"--write_lat_log={folder}/fio", "--log_unix_epoch=1", "--output=/dev/null"],
            env={**rig.cluster.env, processes.MARK: str(rig.cluster.layout.root)},
            stdin=subprocess.DEVNULL,
            cwd=folder,
        )  # fmt: skip
        try:
            _wait_until_open(rig, image)
            yield Client(process, Path(folder))
        finally:
            process.kill()
            process.wait()
            rig.remove([image])


def _wait_until_open(rig: Rig, image: str) -> None:
    def watched() -> bool:
        with opened(rig.client, image) as handle:
            return any(True for _ in handle.watchers_list())

    rig.cluster.wait_for(watched, _START, "the client to begin")
    time.sleep(0.5)


def percentile(latencies: "Sequence[float]", part: float) -> float:
    """Return the percentile ``part`` (0 to 1) of the values. Raises ValueError without values."""
    if not latencies:
        raise ValueError("the client made no write in this time")
    ordered = sorted(latencies)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]
