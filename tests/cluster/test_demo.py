"""The demo's tour, on the session's cluster and with a small image."""

import io
from pathlib import Path
from typing import Optional

import pytest

from qa.demo import guest_tour, scenario, summary
from qa.demo.console import Console
from qa.demo.corrupt import WRONG_BYTES
from qa.demo.result import Result
from qa.demo.settings import Settings
from qa.demo.sizes import MIB
from qa.demo.stopwatch import Stopwatch
from qa.devcluster import Cluster


class Tour:
    """Runs the tour between two empty pools."""

    def __init__(self, cluster: Cluster, pools: "tuple[str, str]", folder: Path) -> None:
        self._cluster = cluster
        self._pools = pools
        self._folder = folder
        self._out = io.StringIO()

    def run(self, rate: float, corrupt: Optional[str] = None) -> Result:
        settings = Settings(
            source_pool=self._pools[0],
            target_pool=self._pools[1],
            size=32 * MIB,
            rate=rate,
            corrupt=corrupt,
        )
        console = Console(self._out)
        self._cluster.wait_active()
        result = scenario.run(self._cluster, settings, console, self._folder, Stopwatch())
        summary.show(result, console)
        return result

    @property
    def text(self) -> str:
        return self._out.getvalue()


@pytest.fixture
def tour(cluster: Cluster, pools: "tuple[str, str]", tmp_path: Path) -> Tour:
    return Tour(cluster, pools, tmp_path)


def test_nothing_differs_after_a_migration_under_load(tour: Tour) -> None:
    result = tour.run(rate=100)
    assert result.problems == ()
    assert result.comparison.bytes_read == 3 * 32 * MIB
    assert result.client.writes > 50
    assert result.exit_code == 0
    assert tour.text.endswith("\n0 bytes differ\n")
    assert "rbd migration commit" in tour.text
    assert "\x1b" not in tour.text


@pytest.mark.parametrize(("corrupt", "view"), [("head", "head"), ("snapshot", "tuesday")])
def test_bytes_that_were_spoiled_are_found(tour: Tour, corrupt: str, view: str) -> None:
    result = tour.run(rate=20, corrupt=corrupt)
    assert result.problems == ()
    assert result.comparison.differing[view] == WRONG_BYTES
    assert result.comparison.bytes_differ == WRONG_BYTES
    assert result.exit_code == 1
    assert tour.text.endswith(f"\n{WRONG_BYTES} bytes differ\n")


def test_the_disk_of_a_virtual_machine_moves(
    cluster: Cluster, pools: "tuple[str, str]", tmp_path: Path
) -> None:
    out = io.StringIO()
    settings = Settings(source_pool=pools[0], target_pool=pools[1], size=32 * MIB)
    assert guest_tour.run(cluster, settings, Console(out), tmp_path) == 0
    assert "goes on, after a pause of" in out.getvalue()
    assert out.getvalue().endswith("wrong blocks        0\n")
