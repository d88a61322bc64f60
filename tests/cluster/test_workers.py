"""Worker processes and slots: what they keep to themselves, and how they end."""

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from errno import E2BIG
from typing import Any
from unittest.mock import Mock

import pytest

from qa.devcluster import Cluster
from qa.devcluster.layout import REPOSITORY
from rbdmigrate.cluster.client import Identity
from rbdmigrate.cluster.worker_process import JobTooLong, WorkerLost, WorkerProcess
from rbdmigrate.control.lifecycle.circuit_breaker import THRESHOLD
from rbdmigrate.engine import Settings
from rbdmigrate.engine.reconcile.executor import Executor
from rbdmigrate.engine.reconcile.worker_slot import Job, Slot
from rbdmigrate.model.jobs.acts import ActOn, Execute, ImageEnds
from rbdmigrate.model.jobs.protocol import MAX_LINE, DoJob, Failed, Message, SetRate
from rbdmigrate.model.jobs.questions import Examine
from rbdmigrate.model.migration import Migration, Place
from rbdmigrate.model.states import ActKind, HoldReason
from rbdmigrate.worker.main import _read_jobs
from tests.unit.builders import migration as built


@pytest.fixture
def worker(cluster: Cluster) -> Iterator[WorkerProcess]:
    started = WorkerProcess(Identity("client.admin", str(cluster.conf), ""))
    yield started
    started.kill()
    started.reap()


def test_a_worker_that_cannot_read_what_it_is_told_ends(
    cluster: Cluster, worker: WorkerProcess
) -> None:
    """Otherwise it would wait forever, and so would its slot."""
    pipe = worker._process.stdin
    pipe.write(b'{"SetRate":{"rate":"' + b"x" * (MAX_LINE + 10) + b'"}}\n')
    pipe.flush()
    cluster.wait_for(lambda: not worker.alive, 10, "the worker to end")


def test_a_job_that_no_worker_would_read_is_not_sent(worker: WorkerProcess) -> None:
    place = Place("hdd", "", "x" * MAX_LINE)
    with pytest.raises(JobTooLong) as caught:
        worker.run(Examine(place), lambda report: None)
    assert caught.value.errno == E2BIG
    small = Examine(replace(place, image="x"))  # a pool without a number: the question fails
    assert isinstance(worker.run(small, lambda report: None), Failed)  # it is there for others


def test_a_rate_is_sent_once_and_again_after_a_job_with_another_one(
    worker: WorkerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop tells the rate in each round, whatever the job began with."""
    sent: list[Message] = []
    write = worker._write
    monkeypatch.setattr(worker, "_write", lambda message: (sent.append(message), write(message)))
    place = built().source
    copy = ActOn(ImageEnds(place, place), Execute(rate=1000))
    for rate in (1000, 1000, None):
        worker.set_rate(rate)
    assert isinstance(worker.run(copy, lambda report: None), Failed)  # there is no such image
    for rate in (1000, None, None):
        worker.set_rate(rate)
    rates = [said.rate for said in sent if isinstance(said, (DoJob, SetRate))]
    assert rates == [1000, None, 1000, None]


def test_a_worker_leaves_no_core_dump_and_lets_nobody_read_its_memory() -> None:
    code = (
        "import ctypes, resource\n"
        "from rbdmigrate.worker.main import main\n"
        "main()\n"  # its input ends at once
        "print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "src")},
    )
    assert done.stdout.strip() == "(0, 0) 0"


class TrackedMigration(Mock):
    """A migration as the registry has it, as far as acts need it."""


def acts_on(m: Migration) -> "tuple[Executor, Any]":
    tracked = TrackedMigration(migration=m)
    registry = Mock()

    def update(tracked: Any, change: Any) -> Migration:
        tracked.migration = change(tracked.migration)
        return tracked.migration

    registry.update.side_effect = update
    return Executor(
        client=Mock(),
        registry=registry,
        manager="x",
        settings=Settings,
        throttle=Mock(),
        plans=Mock(),
    ), tracked


def test_a_host_that_cannot_start_workers_does_not_count_as_a_silent_source() -> None:
    acts, tracked = acts_on(built())
    slot = Mock()
    slot.worker.side_effect = WorkerLost("No space left on device")
    for _ in range(THRESHOLD + 1):
        acts.work(slot, Job(tracked, ActKind.PREPARE))
    m = tracked.migration
    assert m.hold.reason is HoldReason.RETRY
    assert "could not start a worker process: No space left on device" in m.failure.message
    assert not acts.breaker.rests(m, ActKind.PREPARE, set())


def test_a_rate_that_is_set_right_after_a_job_replaces_its_first_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os._exit", Mock(side_effect=SystemExit))
    place = built().source
    copy = DoJob(1, ActOn(ImageEnds(place, place), Execute(rate=1000)))
    channel = Mock(**{"receive.side_effect": [copy, SetRate(None), None]})
    pace = Mock()
    with pytest.raises(SystemExit):
        _read_jobs(channel, queue.Queue(), pace)
    assert [call.args[0] for call in pace.set.call_args_list] == [1000, None]


@pytest.mark.parametrize("what", ["tempfile.TemporaryFile", "subprocess.Popen"])
def test_a_worker_that_the_host_has_no_room_for_is_a_lost_one(
    monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(
        f"rbdmigrate.cluster.worker_process.{what}", Mock(side_effect=OSError(28, "full"))
    )
    with pytest.raises(WorkerLost, match="no space left on device"):
        WorkerProcess(Identity("client.admin", "", ""))


def test_a_slot_that_crashed_takes_no_job() -> None:
    crash, freed = threading.Event(), threading.Event()

    def work(slot: Slot, job: Job) -> None:
        assert crash.wait(10)
        raise SystemExit("out of the thread")

    slot = Slot(name="step-0", identity=Identity("client.admin", "", ""), work=work, free=freed.set)
    assert slot.assign(Job(Mock(), ActKind.COMMIT))
    crash.set()
    taken = 0
    while not freed.is_set():  # at no moment in between, either
        taken += slot.assign(Job(Mock(), ActKind.COMMIT))
        time.sleep(0)
    assert taken == 0
    assert not slot.assign(Job(Mock(), ActKind.COMMIT))
    assert "out of the thread" in slot.crashed
    assert slot.join(10)
