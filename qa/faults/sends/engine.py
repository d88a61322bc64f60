"""Starts, queries and ends an engine process (``host``)."""

import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Optional, cast

from qa.devcluster import Cluster
from qa.devcluster.layout import REPOSITORY
from qa.devcluster.modules import MODULE
from qa.devcluster.processes import MARK
from qa.faults.bench import Bench
from qa.faults.images import Sample
from qa.faults.managers import wait_for_all
from qa.faults.sends.build import build

_ANSWER_TIMEOUT = 40.0


class EngineGone(Exception):
    """The engine's process ended during a request."""


class EngineProcess:
    """The engine, in place of the managers' module."""

    def __init__(self, bench: Bench, library: Path, arms: Path, generation: int) -> None:
        cluster = bench.cluster
        self._log: IO[bytes] = open(arms.with_name("engine.log"), "ab")  # noqa: SIM115 - in end()
        self._process = subprocess.Popen(
            [sys.executable, "-B", "-c", _boot()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={
                "PATH": os.defpath,
                "LANG": "C.UTF-8",
                MARK: str(cluster.layout.root),
                "RBD_MIGRATION_FAULT_DIR": str(cluster.faults),
            },
            cwd="/",
        )
        self.pid = self._process.pid
        self.ask(
            {
                "identity": {
                    "name": f"mgr.{cluster.mgrs()[0]}",
                    "conf": str(cluster.conf),
                    "keyring": str(cluster.layout.keyring),
                },
                "manager": cluster.mgrs()[0],
                "generation": generation,
                "repository": str(REPOSITORY),
                "environment": {
                    "LD_PRELOAD": str(library),
                    "KILLSEND_PORTS": ",".join(map(str, _osd_ports(cluster))),
                    "KILLSEND_ARMS": str(arms),
                },
            }
        )

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def ask(self, message: "dict[str, Any]") -> "dict[str, Any]":
        """Return its answer to one message. Raises EngineGone."""
        pipe, out = cast(IO[bytes], self._process.stdin), cast(IO[bytes], self._process.stdout)
        try:
            pipe.write(json.dumps(message).encode() + b"\n")
            pipe.flush()
        except OSError as error:
            raise EngineGone from error
        with selectors.DefaultSelector() as selector:
            selector.register(out, selectors.EVENT_READ)
            if not selector.select(_ANSWER_TIMEOUT):
                raise EngineGone(f"no answer to {message}")
        line = out.readline()
        if not line:
            raise EngineGone
        return cast("dict[str, Any]", json.loads(line))

    def call(self, call: str, sample: Sample, goal: str = "committed") -> "dict[str, Any]":
        """Request a migration, or its abort, commit or execution."""
        return self.ask(
            {"call": call, "source": sample.source, "target": sample.target, "goal": goal}
        )

    def end(self, *, kill: bool = False) -> bool:
        """End the process; True if it ended normally."""
        if kill:
            self._process.kill()
        with contextlib.suppress(OSError):
            cast(IO[bytes], self._process.stdin).close()
        try:
            code: Optional[int] = self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            code = None
        cast(IO[bytes], self._process.stdout).close()
        self._log.close()
        return code == 0


def _boot() -> str:
    return (
        f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); "
        "from qa.faults.sends.host import main; main()"
    )


def _osd_ports(cluster: Cluster) -> Iterator[int]:
    for osd in cluster.mon_command("osd dump")["osds"]:
        for address in osd["public_addrs"]["addrvec"]:
            yield int(address["addr"].rpartition(":")[2])


class Laboratory:
    """Runs the engine while the module is disabled; starts a new one if it has died."""

    def __init__(self, bench: Bench, library: Path, generation: int) -> None:
        self.bench = bench
        self.arms = bench.cluster.layout.root / "arms"
        self.arms.mkdir(exist_ok=True)
        self._library = library
        self._generation = generation
        self._engine: Optional[EngineProcess] = None

    @property
    def engine(self) -> EngineProcess:
        """Return a running engine; a new one if the last has died."""
        if self._engine is not None and not self._engine.alive:
            self._engine.end()
            self._engine = None
        if self._engine is None:
            self._engine = EngineProcess(self.bench, self._library, self.arms, self._generation)
        return self._engine

    @property
    def alive(self) -> bool:
        """Whether an engine runs right now."""
        return self._engine is not None and self._engine.alive

    def arm(self, act: str, sample: Sample, n: int, *, both: bool = False) -> Path:
        """Let the worker (or the engine too) die at the ``n``-th message of an act."""
        path = self.arms / f"{act}.{sample.target[2]}"
        path.write_text(f"{n} both" if both else str(n), encoding="ascii")
        return path

    def close(self) -> None:
        """End the engine; its state is kept."""
        if self._engine is not None:
            self._engine.end()
            self._engine = None


@contextlib.contextmanager
def laboratory(bench: Bench) -> Iterator[None]:
    """Disable the module and provide ``bench.lab``; without a C compiler there is none."""
    library = build(bench.cluster.layout.root)
    if library is None:
        yield
        return
    cluster = bench.cluster
    wait_for_all(cluster)
    cluster.ceph("mgr", "module", "disable", MODULE)
    time.sleep(1)
    lab = Laboratory(bench, library, int(cluster.mon_command("mgr dump")["epoch"]))
    bench.lab = lab
    try:
        yield
    finally:
        bench.lab = None
        lab.close()
        cluster.ceph("mgr", "module", "enable", MODULE, "--force")
        time.sleep(1)
        wait_for_all(cluster)
