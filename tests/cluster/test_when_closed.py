"""``--cutover when-closed``: the cutover comes when the last client closes the image."""

import contextlib
import json
from collections.abc import Iterator
from errno import EINVAL
from typing import Any

import rados

from qa.devcluster import Cluster
from qa.workload.images import HEAD, digests, image_id, make_image, names, trash
from qa.workload.process import start
from qa.workload.writer import writing
from tests.cluster.commands import Commands

Pools = "tuple[str, str]"
_TIMES, _PAUSE = 50, 0.2


@contextlib.contextmanager
def reopening(cluster: Cluster, spec: str, times: int, pause: float) -> "Iterator[Any]":
    process = start(cluster, "reopening_process", spec, times, pause, 7)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_it_waits_while_the_image_is_open_and_then_cuts_over(
    cluster: Cluster, migration: Commands, client: rados.Rados, pools: Pools
) -> None:
    image = f"{pools[0]}/disk"
    make_image(client, image)
    before = image_id(client, image)
    with writing(cluster, image, rate=100) as writer:
        migration.text(
            "run", image, "--object-size", "1M", "--cutover", "when-closed", "--goal", "cut-over"
        )
        report = migration.wait(image, "executed")
        assert report["method"] == "warm"
        assert report["cutover"]["mode"] == "when-closed"
        assert report["hold"]["reason"] == "clients"
        writer.wait_acked(50)
        assert migration.report(image)["state"] == "executed"
        writer.stop()
    migration.wait(image, "cut-over")
    assert image_id(client, image) != before
    report = migration.report(image)
    assert report["clients"] == "target"
    migration.text("commit", image)
    migration.wait(image, "committed")
    assert trash(client, pools[0]) == []


def test_a_client_that_reopens_all_the_time_loses_no_write(
    cluster: Cluster, migration: Commands, client: rados.Rados, pools: Pools
) -> None:
    image = f"{pools[0]}/disk"
    make_image(client, image)
    before = image_id(client, image)
    with reopening(cluster, image, _TIMES, _PAUSE) as process:
        migration.text(
            "run", image, "--object-size", "1M", "--cutover", "when-closed", "--goal", "cut-over"
        )
        said = [json.loads(line) for line in process.stdout]
        assert process.wait(60) == 0
    assert len(said) == _TIMES
    assert [one["lost"] for one in said] == [[]] * _TIMES
    report = migration.wait(image, "cut-over")
    assert image_id(client, image) != before
    assert report["rounds"]["pause_seconds"] > 0
    found = digests(client, image)
    migration.text("commit", image)
    migration.wait(image, "committed")
    assert digests(client, image)[HEAD] == found[HEAD]


def test_what_clients_would_not_find_again_is_refused(
    migration: Commands, client: rados.Rados, pools: Pools
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source)
    said = migration.refused(EINVAL, "run", source, target, "--cutover", "when-closed")
    assert "--name-changes" in said
    said = migration.refused(EINVAL, "run", source, target, "--cutover", "later")
    assert "when-closed" in said
    said = migration.refused(EINVAL, "run", source, target, "--max-pause", "3s")
    assert "--cutover" in said
    assert names(client, pools[1]) == []
