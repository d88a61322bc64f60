"""A raw disk on a web server, read by many requests at once; servers that give few connections."""

import json
import random
import threading
from contextlib import contextmanager

import pytest

from qa.workload.web_behaviour import Behaviour
from qa.workload.web_server import WebServer
from rbdmigrate.model.import_policy import ImportPolicy
from rbdmigrate.model.source_spec import parse_source_spec
from rbdmigrate.sources.copying import CopySource
from rbdmigrate.sources.limits import Limits
from rbdmigrate.worker.imports.pooled import PooledView

PIECE, COUNT = 64 << 10, 40
DISK = random.Random(1).randbytes(PIECE * COUNT)
PATIENCE = 60  # seconds


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "disk").write_bytes(DISK)
    return tmp_path


@contextmanager
def opened(server, **behaviour):
    """A view of the disk, whose server behaves so."""
    server.behave("/disk", Behaviour(**behaviour))
    plain = {"type": "raw", "stream": {"type": "http", "url": server.url("/disk")}}
    limits = Limits(connect=2, answer=1, total=None)
    source = CopySource(parse_source_spec(json.dumps(plain)), ImportPolicy(), limits)
    with source.open(None) as content:
        view = PooledView(content, lambda: source.open(None))
        try:
            yield view
        finally:
            view.close()


def copied(view, count=COUNT):
    """What all requests gave, each (errno, bytes), when they are asked at once."""
    found, left, ended = {}, threading.Semaphore(0), []

    def ask(number):
        def done(errno, content):
            found[number] = errno, content
            ended.append(number)
            left.release()

        view.read(number * PIECE, PIECE, done)

    for number in range(count):
        ask(number)
    for _ in range(count):
        assert left.acquire(timeout=PATIENCE)
    assert len(ended) == len(found) == count
    return [found[number] for number in range(count)]


RIGHT = [(0, DISK[at : at + PIECE]) for at in range(0, len(DISK), PIECE)]


@pytest.mark.parametrize(
    "behaviour",
    [
        {},
        {"close": "told"},
        {"close": "silently"},
        {"keeps": 3},
        {"http10": True},
        {"chunked": True},
        {"busy_after": 1},
        {"busy_after": 3},
    ],
)
def test_servers_that_close_connections_or_refuse_further_ones(behaviour, folder):
    with WebServer(folder) as server, opened(server, **behaviour) as view:
        assert copied(view) == RIGHT
        assert view.failure() is None


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_server_that_serves_one_connection_after_another(at_once, folder):
    with WebServer(folder, at_once=at_once) as server, opened(server) as view:
        assert copied(view) == RIGHT
        assert view.failure() is None


def test_a_server_that_answers_no_more_ends_all_requests(folder):
    with WebServer(folder) as server, opened(server, stalls_after=20) as view:
        found = copied(view)
        assert {errno for errno, _ in found} - {0}
        assert view.failure().problem == "SOURCE_SLOW"
        # After the first failure nothing more is asked for: each of 8 threads waited once.
        gets = [request for request in server.requests if request.method == "GET"]
        assert len(gets) <= 20 + 8


def test_connections_that_are_refused_later_leave_their_pieces_to_others(folder):
    with WebServer(folder) as server, opened(server) as view:
        assert copied(view) == RIGHT
        server.behave("/disk", Behaviour(busy_after=2))
        assert copied(view) == RIGHT
        assert view.failure() is None


def test_a_server_in_trouble_ends_all_requests(folder):
    with WebServer(folder) as server, opened(server) as view:
        server.behave("/disk", Behaviour(fail_after=20))
        assert {errno for errno, _ in copied(view)} - {0}
        assert view.failure().problem == "HTTP_SERVER_ERROR"


def test_a_failure_that_does_not_pass_ends_all_requests_at_once(folder):
    with WebServer(folder) as server, opened(server) as view:
        assert copied(view, 4) == RIGHT[:4]
        server.behave("/disk", Behaviour(status=404))
        before = len(server.requests)
        assert {errno for errno, _ in copied(view)} == {2}
        assert view.failure().problem == "HTTP_NOT_FOUND"
        assert len(server.requests) - before <= 16  # of 8 threads, each for itself or its opening


def test_a_host_that_begins_no_more_threads_reads_with_those_there_are(folder, monkeypatch):
    start, begun = threading.Thread.start, []

    def limited(thread):
        if thread.name.startswith("Thread") and "PooledView" in repr(thread._target):
            begun.append(thread)
            if len(begun) > 2:
                raise RuntimeError("can't start new thread")
        start(thread)

    with WebServer(folder) as server, opened(server) as view:
        monkeypatch.setattr(threading.Thread, "start", limited)
        assert copied(view) == RIGHT
    assert len(begun) == 3
