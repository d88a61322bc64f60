"""Imports that are cut off anywhere: the worker or the manager dies, and it goes on or back."""

import itertools

import pytest
import rados

from qa.faults.managers import start_dead
from qa.workload.images import content, names, opened, rados_objects, records
from qa.workload.sources import make_source
from tests.cluster.commands import Refused
from tests.cluster.importing import place, text  # noqa: F401 - a fixture

_numbers = itertools.count(1)


def arm(cluster, point, what):
    (cluster.faults / point).write_text(what, encoding="ascii")


def wait_through_failover(cluster, migration, target, *states):
    """Wait until it is in one of these states, also through a failover."""

    def there():
        start_dead(cluster)
        try:
            return migration.report(target)["state"] in states
        except (Refused, rados.Error):  # no manager right now
            return False

    cluster.wait_for(there, 120, f"{target} to be {' or '.join(states)}")


WORKER = [
    ("librbd.before", "1 prepare"),
    ("librbd.after", "1 prepare"),
    ("comparison_snapshot.after", "1 take"),
    ("worker.after", "1 prepare"),
    ("librbd.after", "1 execute"),
    ("verify.piece", "1"),
    ("librbd.before", "1 commit"),
    ("librbd.after", "1 commit"),
    ("comparison_snapshot.after", "1 drop"),
]
MANAGER = [
    ("store.write.after", "1 preparing"),
    ("store.write.before", "1 prepared"),
    ("store.write.after", "1 executing"),
    ("store.remove.before", "1"),
]


def test_a_worker_that_dies_at_any_step(cluster, client, migration, pool, place):  # noqa: F811
    source = make_source(place.folder, "raw")
    spec = text(source.spec(place.stream("file")))
    for point, what in WORKER:
        target = f"{pool}/worker{next(_numbers)}"
        arm(cluster, point, what)
        migration.ask("run", source_image=target, import_only=True, source_spec=spec, verify="full")
        wait_through_failover(cluster, migration, target, "committed")
        assert not (cluster.faults / point).exists(), f"{point} {what} was not reached"
        assert content(client, target) == source.views[""], f"{point} {what}"
        with opened(client, target) as image:
            assert list(image.list_snaps()) == []
    cluster.wait_for(lambda: records(client, pool) == [], 20, "the end of all records")


@pytest.mark.parametrize(("point", "what"), MANAGER)
@pytest.mark.usefixtures("managers")
def test_a_manager_that_dies(cluster, client, migration, pool, place, point, what):  # noqa: F811
    source = make_source(place.folder, "raw")
    spec = text(source.spec(place.stream("file")))
    target = f"{pool}/manager"
    arm(cluster, point, what)
    migration.raw("run", target, "--import-only", "--source-spec", spec, timeout=120)
    wait_through_failover(cluster, migration, target, "committed")
    assert content(client, target) == source.views[""]
    # It is told as ended from its history on; its record goes a moment later.
    cluster.wait_for(lambda: records(client, pool) == [], 20, "the end of its record")


@pytest.mark.parametrize("state", ["prepared", "executed"])
def test_an_abort_that_is_cut_off(cluster, client, migration, pool, place, state):  # noqa: F811
    source = make_source(place.folder, "raw-snapshots")
    before = rados_objects(client, pool)
    for point in ("librbd.before", "librbd.after"):
        target = f"{pool}/abort{next(_numbers)}"
        migration.ask(
            "run",
            source_image=target,
            import_only=True,
            source_spec=text(source.spec(place.stream("file"))),
            goal=state,
            object_size="8K",
        )
        migration.wait(target, state)
        arm(cluster, point, "1 abort")
        migration.ask("abort", target_image=target)
        wait_through_failover(cluster, migration, target, "aborted")
        assert names(client, pool) == []
    left = {name for name, _ in rados_objects(client, pool) - before}
    assert not [name for name in left if name.startswith(("rbd_header.", "rbd_id."))]
