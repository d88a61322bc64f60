"""Questions to workers while commands wait: who waits for whom, and for how long."""

import sys
import threading
import time
from dataclasses import dataclass
from errno import EAGAIN
from types import ModuleType

import pytest

from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.import_policy import ImportPolicy
from rbdmigrate.model.jobs.protocol import Done
from rbdmigrate.model.jobs.questions import InspectSource


@dataclass(frozen=True)
class Named:
    """A question about an image, and the answer to the question of that name."""

    name: str


def question(name):
    return InspectSource("{}", ImportPolicy(), 1.0) if name == "inspect_source" else Named(name)


@pytest.fixture
def workers():
    return Workers()


class Workers:
    """What the fake workers were asked, and which questions they do not answer yet."""

    def __init__(self):
        self.begun = []
        self.made = []
        self.silent = set()
        self.slow_start = 0.0

    def wait_begun(self, *ops):
        deadline = time.monotonic() + 10
        while self.begun != list(ops):
            assert time.monotonic() < deadline, self.begun
            time.sleep(0.005)


@pytest.fixture
def found(monkeypatch, workers):
    """The module, with workers that a test holds up."""
    monkeypatch.setitem(sys.modules, "rados", ModuleType("rados"))
    before = set(sys.modules)
    from rbdmigrate.cluster.worker_process import WorkerLost
    from rbdmigrate.engine.requests import librbd_query as inquiry

    class Worker:
        def __init__(self, identity):
            time.sleep(workers.slow_start)
            self.alive = True
            self.killed = threading.Event()
            workers.made.append(self)

        def run(self, job, on_event):
            workers.begun.append(job.name)
            while job.name in workers.silent:
                if self.killed.wait(0.005):
                    self.alive = False
                    raise WorkerLost("killed", 9)
            return Done(Named(job.name))

        def kill(self):
            self.killed.set()

        def reap(self):
            self.alive = False

    monkeypatch.setattr(inquiry, "WorkerProcess", Worker)
    yield inquiry
    for name in set(sys.modules) - before:
        if name.startswith("rbdmigrate."):
            del sys.modules[name]


@pytest.fixture
def inquiry(found):
    made = found.LibrbdQueries(None)
    yield made
    made.stop()
    assert made.join(10)


class Asking:
    """A command that waits for an answer."""

    def __init__(self, inquiry, op, timeout=10.0, **more):
        self.answer = self.error = None
        self.thread = threading.Thread(target=self.run, args=(inquiry, op, timeout, more))
        self.thread.start()

    def run(self, inquiry, op, timeout, more):
        try:
            self.answer = inquiry.ask(question(op), Named, timeout, **more)
        except MigrationError as error:
            self.error = error

    def ended(self, seconds=10):
        self.thread.join(seconds)
        assert not self.thread.is_alive()
        return self


def test_a_source_that_says_nothing_checked_again_and_again_does_not_delay_an_abort(
    inquiry, workers
):
    workers.silent.add("inspect_source")
    checks = [Asking(inquiry, "inspect_source", 30, order=False) for _ in range(6)]
    workers.wait_begun("inspect_source")
    for op in ("examine", "check_commit", "inspect"):
        began = time.monotonic()
        assert inquiry.ask(question(op), Named, 1.0) == Named(op)
        assert time.monotonic() - began < 0.5
    workers.silent.clear()
    assert all(check.ended().answer for check in checks)


def test_checks_of_images_do_not_delay_an_order(inquiry, workers):
    workers.silent.add("inspect")
    checks = [Asking(inquiry, "inspect", order=False) for _ in range(3)]
    workers.wait_begun("inspect", "inspect")
    assert inquiry.ask(question("examine"), Named, 1.0) == Named("examine")
    workers.silent.clear()
    assert all(check.ended().answer for check in checks)


def test_checks_of_sources_do_not_delay_the_import_of_another(inquiry, workers):
    workers.silent.add("inspect_source")
    check = Asking(inquiry, "inspect_source", order=False)
    workers.wait_begun("inspect_source")
    order = Asking(inquiry, "inspect_source")
    workers.wait_begun("inspect_source", "inspect_source")
    workers.silent.clear()
    assert check.ended().answer
    assert order.ended().answer


def test_the_time_limit_counts_from_when_the_worker_begins_with_the_question(inquiry, workers):
    workers.silent.add("first")
    first = [Asking(inquiry, "first") for _ in range(2)]
    workers.wait_begun("first", "first")
    second = Asking(inquiry, "second", 0.2)
    time.sleep(0.5)
    workers.silent.clear()
    assert [one.ended().answer for one in first] == [Named("first")] * 2
    assert second.ended().answer == Named("second")


def test_a_question_without_an_answer_is_ended_and_the_next_gets_a_new_worker(inquiry, workers):
    workers.silent.add("first")
    with pytest.raises(MigrationError, match="in time") as refused:
        inquiry.ask(question("first"), Named, 0.1)
    assert refused.value.errno == EAGAIN
    assert inquiry.ask(question("last"), Named, 10) == Named("last")
    assert len(workers.made) == 2


def test_a_question_that_gives_up_its_turn_takes_no_other_with_it(found, inquiry, workers):
    workers.silent.add("first")
    first = [Asking(inquiry, "first", 30) for _ in range(2)]
    workers.wait_begun("first", "first")
    found._TURN = 0.1
    with pytest.raises(MigrationError, match="in time"):
        inquiry.ask(question("impatient"), Named, 10)
    found._TURN = 60.0
    workers.silent.clear()
    assert [one.ended().answer for one in first] == [Named("first")] * 2
    assert inquiry.ask(question("last"), Named, 10) == Named("last")
    assert workers.begun == ["first", "first", "last"], "nobody waited for the other any more"


def test_a_second_worker_answers_while_the_first_is_busy_and_not_else(inquiry, workers):
    for name in ("one", "two", "three"):
        assert inquiry.ask(question(name), Named, 10) == Named(name)
    assert len(workers.made) == 1
    workers.silent.add("slow")
    slow = Asking(inquiry, "slow", 30)
    workers.wait_begun("one", "two", "three", "slow")
    assert inquiry.ask(question("four"), Named, 10) == Named("four")
    assert len(workers.made) == 2
    workers.silent.clear()
    assert slow.ended().answer == Named("slow")


def test_more_questions_than_may_wait_are_refused_at_once(found, inquiry, workers):
    workers.silent.add("inspect_source")
    asked = [Asking(inquiry, "inspect_source", order=False)]
    workers.wait_begun("inspect_source")
    asked += [Asking(inquiry, "inspect_source", order=False) for _ in range(found._MOST)]
    deadline = time.monotonic() + 10
    while len(inquiry._lines[True, False]._waiting) < found._MOST:
        assert time.monotonic() < deadline
    with pytest.raises(MigrationError, match="8 requests of this kind wait") as refused:
        inquiry.ask(question("inspect_source"), Named, 10, order=False)
    assert refused.value.errno == EAGAIN
    workers.silent.clear()
    assert all(asking.ended().answer for asking in asked)


def test_a_worker_that_nobody_asks_is_ended(found, workers, monkeypatch):
    monkeypatch.setattr(found, "_IDLE", 0.05)
    inquiry = found.LibrbdQueries(None)
    assert inquiry.ask(question("one"), Named, 10) == Named("one")
    deadline = time.monotonic() + 10
    while workers.made[0].alive:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert inquiry.ask(question("two"), Named, 10) == Named("two")
    assert len(workers.made) == 2
    inquiry.stop()
    assert inquiry.join(10)


def test_a_stop_answers_everybody_who_waits(found, workers):
    inquiry = found.LibrbdQueries(None)
    workers.silent.add("first")
    asked = [Asking(inquiry, "first", 30) for _ in range(2)]
    workers.wait_begun("first", "first")
    asked += [Asking(inquiry, "second", 30) for _ in range(2)]
    time.sleep(0.1)
    inquiry.stop()
    assert inquiry.join(10)
    assert [asking.ended(2).error.errno for asking in asked] == [EAGAIN] * 4
    with pytest.raises(MigrationError, match="giving up its role"):
        inquiry.ask(question("third"), Named, 10)
