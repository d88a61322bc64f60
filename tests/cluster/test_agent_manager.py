"""The agent while there is no manager: it waits, and asks on when there is one again."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from qa.devcluster import Cluster, processes
from qa.devcluster.layout import REPOSITORY
from qa.faults.managers import start_dead

HOST = "pve9"
_ASKING = """
import sys
from rbdmigrate.model.agent_messages import Inventory
from rbdmigrate_agent.manager import Unanswered
from rbdmigrate_agent.rados_manager import RadosManager
manager = RadosManager(conf=sys.argv[1], user="admin", host=sys.argv[2])
for line in sys.stdin:
    try:
        manager.ask(Inventory("1", ()), float(line))
    except Unanswered as error:
        print(error, flush=True)
    else:
        print("answered", flush=True)
"""


class Asking:
    """A process that asks as the agent does: librados ends a process, not only a call."""

    def __init__(self, cluster: Cluster, conf: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _ASKING, str(conf), HOST],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **cluster.env,
                "PYTHONPATH": str(REPOSITORY / "src"),
                processes.MARK: str(cluster.layout.root),
            },
        )

    def ask(self, seconds: float) -> str:
        """What it says of a question that may take so long; nothing when the process ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{seconds:g}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def asking(cluster: Cluster, tmp_path: Path) -> "Iterator[Asking]":
    """Its configuration has a timeout with which librados would end the process."""
    conf = tmp_path / "ceph.conf"
    text = cluster.conf.read_text(encoding="utf-8")
    conf.write_text(f"{text}\n[client]\nrados_mon_op_timeout = 1\n", encoding="utf-8")
    started = Asking(cluster, conf)
    yield started
    started.end()


def test_an_agent_survives_a_time_without_a_manager(
    cluster: Cluster, migration: object, asking: Asking
) -> None:
    start_dead(cluster)
    cluster.wait_mgrs()
    assert asking.ask(60) == "answered"
    try:
        for name in cluster.mgrs():
            cluster.mgr_kill(name)
        said = [asking.ask(0.5) for _ in range(4)]
        assert said == ["The cluster did not answer within 0.5 s."] * 4
        waiting = asking.ask(0.5)
        assert waiting.startswith("The cluster has not answered 4 earlier requests")
        time.sleep(1)  # longer than the timeout of its configuration
    finally:
        start_dead(cluster)
        cluster.wait_module()
        cluster.wait_mgrs()
    assert asking.ask(120) == "answered"
    assert asking.ask(60) == "answered"
    assert "forgotten" in cluster.ceph("rbd", "migration", "agent", "rm", HOST)
