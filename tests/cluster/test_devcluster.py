"""The development cluster itself, on the real thing."""

import subprocess
from pathlib import Path

import pytest

from qa.devcluster import Cluster, ClusterOptions, CommandFailed, DevClusterError, processes
from qa.devcluster.layout import REPOSITORY

_OF_PYPI = {"ui"}  # ./run starts them with packages of the Python Package Index


def test_is_healthy_and_takes_io(cluster: Cluster, pool: str) -> None:
    cluster.wait_for(lambda: cluster.health()["status"] == "HEALTH_OK", 30, "HEALTH_OK")
    cluster.rbd("create", "--size", "64M", f"{pool}/one")
    cluster.rbd("bench", "--io-type", "write", "--io-total", "1M", f"{pool}/one")
    assert cluster.rbd("ls", pool).split() == ["one"]
    with cluster.connect() as client:
        assert client.pool_exists(pool)


def test_a_failed_command_says_what_failed(cluster: Cluster) -> None:
    with pytest.raises(CommandFailed, match="nonesuch") as caught:
        cluster.rbd("info", "nonesuch/image")
    assert caught.value.returncode == 2


def test_another_manager_takes_over_when_one_is_killed(cluster: Cluster) -> None:
    cluster.wait_mgrs()
    killed = cluster.mgr_kill()
    try:
        # A standby of Ceph 16 is sometimes silent for a minute or two.
        cluster.wait_for(lambda: cluster.active_mgr() not in {killed, None}, 150, "a takeover")
    finally:
        cluster.mgr_start(killed)
        cluster.wait_mgrs()


def test_an_osd_can_be_stopped_and_started(cluster: Cluster) -> None:
    cluster.osd_stop(0)
    cluster.osd_start(0)
    cluster.wait_for(lambda: cluster.health()["status"] == "HEALTH_OK", 30, "HEALTH_OK")


@pytest.mark.timeout(150)
def test_a_second_cluster_runs_at_the_same_time_and_leaves_nothing(
    cluster: Cluster, tmp_path: Path
) -> None:
    folder = tmp_path / "second"
    with Cluster(folder) as second:
        second.up(ClusterOptions(module=False))
        assert second.ceph("fsid") != cluster.ceph("fsid")
        assert processes.carrying(str(folder))
    assert not folder.exists()
    assert processes.carrying(str(folder)) == []
    assert cluster.health()["status"].startswith("HEALTH_")


def test_a_daemon_that_does_not_come_up_is_shown(tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    no_attempt = {"ms_bind_retry_count": "0"}
    with pytest.raises(DevClusterError, match=r"(?s)ended while it was starting.*unable to bind"):
        Cluster(folder).up(ClusterOptions(conf=no_attempt))
    assert not folder.exists()
    assert processes.carrying(str(folder)) == []


def test_every_tool_starts_as_run_starts_it() -> None:
    """Without the paths that pytest adds."""
    found = {file.parent.name for file in REPOSITORY.glob("qa/*/__main__.py")} - _OF_PYPI
    assert found
    for tool in sorted(found):
        done = subprocess.run(
            ["/usr/bin/python3", "-m", f"qa.{tool}", "--help"],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), tool
