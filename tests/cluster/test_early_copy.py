"""The first round of a closed image begins before it has its snapshot; whoever comes is noticed."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest
import rbd

from qa.model.killed_worker import ActFailed, answer_of
from qa.workload.images import content, digests, make_image, opened, place
from rbdmigrate.model.jobs import acts
from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.rounds import hidden_name, round_prefix
from tests.cluster.test_warm_worker import Chosen, ends_of, wait_until

pytestmark = pytest.mark.timeout(300)

MAPS = ("layering", "exclusive-lock", "object-map", "fast-diff")
NUMBER = 0xE1
IDENT = f"{NUMBER:012x}"


@pytest.fixture
def specs(pools):
    return [f"{pool}/image" for pool in pools]


@pytest.fixture
def ends(client, specs, worker):
    """Both ends of a migration that is prepared."""
    make_image(client, specs[0], snapshots=(), features=MAPS)
    found = ends_of(client, NUMBER, *specs)
    made = worker.run(found, acts.Prepare(LayoutOptions()))
    return replace(found, target=replace(found.target, image_id=made.target_id))


def of_users(client, spec):
    found = digests(client, spec)
    return {name: found[name] for name in found if not name.startswith(round_prefix(IDENT))}


def hidden(ends):
    return f"{ends.target.pool}/{hidden_name(ends.id)}"


def of_rounds(client, spec):
    with opened(client, spec) as image:
        return [s["name"] for s in image.list_snaps() if s["name"].startswith(round_prefix(IDENT))]


def require_moved(client, specs, worker, ends):
    """The target is what the source is, snapshots included."""
    wanted = of_users(client, specs[0])
    worker.run(ends, acts.CutOver())
    assert of_users(client, specs[1]) == wanted


def test_all_is_copied_while_the_monitors_number_the_snapshot(client, specs, worker, ends):
    with worker.held_at("early.before", "number") as held:
        begun = worker.begin(ends, acts.Execute())
        wait_until(held.waits)
        wait_until(lambda: content(client, hidden(ends)) == content(client, specs[0]))
        assert of_rounds(client, specs[0]) == []
    done = answer_of(begun)
    assert done.rounds == 1
    assert done.left == 0  # no long look is needed to know it
    assert content(client, hidden(ends), done.comparison_snapshot) == content(client, specs[0])
    require_moved(client, specs, worker, ends)


CHANGES = {
    "nothing": lambda image: None,
    "write": lambda image: image.write(b"x" * 5000, 12345),
    "discard": lambda image: image.discard(0, image.size()),
    "zeroes": lambda image: image.write_zeroes(0, image.size() // 2),
    "grown": lambda image: image.resize(image.size() + 4096),
    "shrunk": lambda image: image.resize(image.size() // 2),
    "snapshot": lambda image: image.create_snap("new"),
    "snapshot, then a write": lambda image: (image.create_snap("new"), image.write(b"y", 0)),
    "metadata": lambda image: image.metadata_set("owner", "somebody"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_client_does_meanwhile_is_noticed(client, specs, worker, ends, change):
    with worker.held_at("early.before", "number") as held:
        begun = worker.begin(ends, acts.Execute())
        wait_until(held.waits)
        wait_until(lambda: content(client, hidden(ends)) == content(client, specs[0]))
        with opened(client, specs[0], read_only=False) as image:
            CHANGES[change](image)
    answer_of(begun)
    require_moved(client, specs, worker, ends)


def test_a_client_that_stays_writes_on(client, specs, worker, ends):
    with worker.held_at("warm.before", "snapshot") as held:
        begun = worker.begin(ends, acts.Execute())
        wait_until(held.waits)
        with opened(client, specs[0], read_only=False) as image:
            image.discard(0, image.size() // 2)
            held.let_go()
            image.write(b"z" * 4096, 0)
            answer_of(begun)
            image.write(b"later", 1 << 20)
    require_moved(client, specs, worker, ends)


@pytest.mark.parametrize("change", ["discard", "shrunk", "snapshot, then a write"])
def test_what_a_killed_worker_had_copied_is_compared(client, specs, worker, ends, change):
    with worker.held_at("warm.before", "snapshot") as held:
        begun = worker.begin(ends, acts.Execute())
        wait_until(held.waits)
        os.kill(worker.pid, signal.SIGKILL)
        wait_until(lambda: len(held.arrivals()) == 2)  # the next worker is there
        with opened(client, specs[0], read_only=False) as image:
            CHANGES[change](image)
    answer_of(begun)
    require_moved(client, specs, worker, ends)


POINTS = (
    "early.before 1 number", "warm.before 1 snapshot", "warm.after 1 snapshot",
    "snapshot.after 1 map", "snapshot.after 1 header", "warm.after 1 told",
    *(f"mover.{when} {number} mark" for when in ("before", "after") for number in (1, 2, 3)),
)  # fmt: skip


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_may_die_anywhere(client, specs, worker, ends, point):
    worker.arm(Chosen(point), (), 1.0)
    worker.run(ends, acts.Execute())
    assert worker.kills == 1
    with opened(client, specs[0]) as image:
        assert len(list(image.list_snaps())) == 1
    require_moved(client, specs, worker, ends)


def test_an_image_that_is_open_has_its_snapshot_first(client, specs, worker, ends):
    with (
        opened(client, specs[0], read_only=False),
        worker.held_at("early.before", "number") as held,
    ):
        worker.run(ends, acts.Execute())
        assert not held.waits()
    require_moved(client, specs, worker, ends)


def test_an_image_with_snapshots_has_one_more_first(client, specs, worker, ends):
    with opened(client, specs[0], read_only=False) as image:
        image.create_snap("one")
    with worker.held_at("early.before", "number") as held:
        worker.run(ends, acts.Execute())
        assert not held.waits()
    require_moved(client, specs, worker, ends)


# Opens an image, says so, and does not answer until it is continued.
_STOPS = """
import os, signal, sys, rados, rbd
client = rados.Rados(conffile=sys.argv[1], name="client.admin")
client.connect()
pool, _, name = sys.argv[2].partition("/")
with client.open_ioctx(pool) as ioctx, rbd.Image(ioctx, name):
    print("open", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
"""


@contextmanager
def client_that_does_not_answer(cluster, spec):
    """Another process that has the image open, and is stopped."""
    arguments = [sys.executable, "-c", _STOPS, str(cluster.conf), spec]
    with subprocess.Popen(arguments, env=cluster.env, stdout=subprocess.PIPE) as silent:
        try:
            assert silent.stdout.readline() == b"open\n"
            yield
            silent.send_signal(signal.SIGCONT)
            assert silent.wait(60) == 0
        finally:
            silent.kill()


def clones_of(cluster, client, spec):
    """The copies of the image's first object that the OSDs keep for snapshots."""
    with opened(client, spec) as image:
        prefix = image.stat()["block_name_prefix"]
    done = cluster.run(
        ["rados", "-p", spec.partition("/")[0], "listsnaps", f"{prefix}.{0:016x}", "-f", "json"]
    )
    return [clone["id"] for clone in json.loads(done.stdout)["clones"] if clone["id"] != "head"]


def test_a_snapshot_whose_clients_are_not_told_of_it_keeps_its_number(
    cluster, client, specs, worker, ends
):
    before = content(client, specs[0])
    with worker.held_at("warm.after", "snapshot") as held:
        begun = worker.begin(ends, acts.Execute())
        wait_until(held.waits)
        with client_that_does_not_answer(cluster, specs[0]):
            held.let_go()
            with pytest.raises(ActFailed):
                answer_of(begun)
    [name] = of_rounds(client, specs[0])
    with opened(client, specs[0], read_only=False) as image:
        image.write(b"x" * image.size(), 0)
        assert content(client, specs[0], name) == before
        assert clones_of(cluster, client, specs[0])
        image.remove_snap(name)
    wait_until(lambda: not clones_of(cluster, client, specs[0]))  # the monitors know its number
    worker.run(ends, acts.Execute())
    require_moved(client, specs, worker, ends)


def test_a_client_that_answers_late_is_told(cluster, client, specs, worker, ends):
    with worker.held_at("warm.after", "snapshot") as held:
        begun = worker.begin(ends, acts.Execute())
        wait_until(held.waits)
        with client_that_does_not_answer(cluster, specs[0]):
            held.let_go()
            time.sleep(3)  # after the first notification has timed out
    assert answer_of(begun).rounds == 1
    require_moved(client, specs, worker, ends)


@contextmanager
def client_that_was_not_told(client, specs, worker, ends, act):
    """A client that has the source open, and a worker that died with a new snapshot of it.

    It opens the image by its id: during a cutover there is no name. Yields its image, and the act,
    which goes on.
    """
    with worker.held_at("warm.after", "snapshot") as held, ExitStack() as stack:
        with worker.held_at("warm.before", "snapshot") as before:
            begun = worker.begin(ends, act)
            wait_until(before.waits)
            ioctx = stack.enter_context(place(client, specs[0]))
            ident = ends.source.image_id
            image = stack.enter_context(rbd.Image(ioctx, image_id=ident))
        wait_until(held.waits)
        held.let_go()
        os.kill(worker.pid, signal.SIGKILL)
        yield image, begun


def test_what_a_client_writes_that_was_not_told_of_the_snapshot(client, specs, worker, ends):
    with client_that_was_not_told(client, specs, worker, ends, acts.Execute()) as (image, begun):
        image.write(b"x" * 4096, 0)
        answer_of(begun)
        image.write(b"y" * 4096, 0)
        image.write(b"y" * 4096, 1 << 20)
    require_moved(client, specs, worker, ends)


def test_what_a_client_writes_that_was_not_told_of_the_cutovers(client, specs, worker, ends):
    worker.run(ends, acts.Execute())
    with opened(client, specs[0], read_only=False) as image:
        image.write(b"w" * 4096, 0)
    with client_that_was_not_told(client, specs, worker, ends, acts.CutOver()) as (image, begun):
        with pytest.raises(ActFailed, match="is open for writing by client"):
            answer_of(begun)
        image.write(b"x" * 4096, 0)
        image.write(b"x" * 4096, 2 << 20)
        worker.run(ends, acts.Execute())
        image.write(b"y" * 4096, 0)
        image.write(b"y" * 4096, 1 << 20)
    require_moved(client, specs, worker, ends)
