"""What clients without a key may do to the module's own server: nothing that others notice."""

import contextlib
import queue
import random
import re
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest

from tests.unit.test_own_server import (  # noqa: F401
    app,
    bounded,
    free_port,
    http,
    module,
    until,
)

pytestmark = pytest.mark.programs

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """PEM texts: a certificate for 127.0.0.1 that nobody trusts, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "30", "-subj", "/CN=x", "-keyout", str(key), "-out", str(cert)],
        check=True, timeout=60, capture_output=True,
    )  # fmt: skip
    return cert.read_text(), key.read_text()


@pytest.fixture
def known(front_end):
    return front_end("http.server.networks").KnownNetworks()


@pytest.fixture(params=["http", "https"])
def keeper(request, http, bounded, module, certificate, known, monkeypatch):  # noqa: F811
    monkeypatch.setattr(bounded, "_HEAD", 1.0)  # in place of 5 seconds
    tls = request.param == "https"
    module.values.update(server=True, server_tls=tls, server_addr="127.0.0.1")
    module.values.update(server_port=free_port())
    if tls:
        module.store["server_cert"], module.store["server_key"] = certificate
    keeper = http.ServerSupervisor(module=module, application=app, known=known)
    keeper.address = ("127.0.0.1", module.values["server_port"])
    keeper.tls = tls
    keeper.start()
    until(lambda: keeper._server is not None)
    yield keeper
    keeper.stop()
    assert not keeper.is_alive()


def connect(keeper, host="127.0.0.1", encrypt=True):
    """A connection from ``host``, which may be any address of loopback."""
    plain = socket.create_connection(keeper.address, timeout=10, source_address=(host, 0))
    if not (encrypt and keeper.tls):
        return plain
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        return context.wrap_socket(plain)
    except OSError:
        plain.close()
        raise


def answers(keeper, host="127.0.0.1", seconds=10):
    """Whether a request from ``host`` is answered in this time."""
    began = time.monotonic()
    try:
        with connect(keeper, host) as connection:
            connection.settimeout(seconds)
            connection.sendall(HEAD)
            answered = connection.recv(1000).startswith(b"HTTP/1.1 200")
    except OSError:
        return False
    return answered and time.monotonic() - began < seconds


def distrusts(keeper):
    """A client that ends the greeting with an alert, because it does not know who signed."""
    with connect(keeper, encrypt=False) as plain, contextlib.suppress(OSError):
        ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")


def says_nothing(keeper):
    return connect(keeper, encrypt=False)


def stops_in_the_greeting(keeper):
    plain = connect(keeper, encrypt=False)
    plain.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
    return plain


def takes_a_thread(keeper, host):
    """It begins, and says no more."""
    plain = connect(keeper, host, encrypt=False)
    plain.sendall(b"\x16\x03\x01\x02\x00\x01" if keeper.tls else b"GET / HTTP")
    return plain


def comes_byte_by_byte(keeper):
    connection = connect(keeper)

    def drip():
        with contextlib.suppress(OSError):
            for byte in HEAD[:-2] + b"X-Y: " + b"z" * 1000:
                connection.sendall(bytes([byte]))
                time.sleep(0.2)

    threading.Thread(target=drip, daemon=True).start()
    return connection


def sends_a_head_without_end(keeper):
    with connect(keeper) as connection, contextlib.suppress(OSError):
        connection.sendall(b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 300_000)


def sends_a_body_that_is_too_long(keeper):
    with connect(keeper) as connection, contextlib.suppress(OSError):
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n")
        connection.sendall(b"z" * 100_000)


def resets(keeper, after=b"GET / HTTP/1.1\r\n"):
    plain = connect(keeper, encrypt=False)
    with contextlib.suppress(OSError):
        plain.sendall(after)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    plain.close()


def resets_at_once(keeper):
    resets(keeper, after=b"")


def asks_and_resets(keeper):
    connection = connect(keeper)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        connection.sendall(HEAD)
    connection.close()


def speaks_no_http(keeper):
    with connect(keeper, encrypt=False) as plain, contextlib.suppress(OSError):
        plain.sendall(bytes(random.Random(1).randrange(256) for _ in range(5000)))


def speaks_plain_http(keeper):
    with connect(keeper, encrypt=False) as plain, contextlib.suppress(OSError):
        plain.sendall(HEAD)
        plain.recv(100)


HOSTILE = [
    distrusts, says_nothing, stops_in_the_greeting, comes_byte_by_byte, sends_a_head_without_end,
    sends_a_body_that_is_too_long, resets, resets_at_once, asks_and_resets, speaks_no_http,
    speaks_plain_http,
]  # fmt: skip


def test_fifty_hostile_clients_of_every_sort_end_no_thread_and_keep_nobody_out(keeper):
    server = keeper._server
    with contextlib.ExitStack() as left_open:
        clients = [HOSTILE[number % len(HOSTILE)] for number in range(50)]
        random.Random(7).shuffle(clients)
        for client in clients:
            connection = client(keeper)
            if connection is not None:
                left_open.enter_context(contextlib.closing(connection))
        assert answers(keeper, host="127.0.0.2", seconds=20)
    until(lambda: answers(keeper))
    assert server.ended_threads() == 0
    assert keeper._server is server
    assert keeper.problem == ""


@pytest.mark.parametrize("keeper", ["https"], indirect=True)
@pytest.mark.parametrize("client", [distrusts, stops_in_the_greeting, resets, asks_and_resets])
def test_twenty_clients_of_one_sort_end_no_thread(keeper, client):
    with contextlib.ExitStack() as left_open:
        for _ in range(20):
            connection = client(keeper)
            if connection is not None:
                left_open.enter_context(contextlib.closing(connection))
    until(lambda: answers(keeper))
    assert keeper._server.ended_threads() == 0


@pytest.mark.parametrize("method", ["communicate", "close"])
def test_whatever_cheroot_raises_about_a_connection_ends_no_thread(
    keeper,
    bounded,  # noqa: F811
    monkeypatch,
    method,
):
    def fail(connection):
        raise ssl.SSLZeroReturnError("TLS/SSL connection has been closed")

    with monkeypatch.context() as patch:
        patch.setattr(bounded.base.HTTPConnection, method, fail)
        for _ in range(10):
            answers(keeper, seconds=0.2)
    until(lambda: answers(keeper))
    assert keeper._server.ended_threads() == 0


@pytest.fixture
def patient(bounded, monkeypatch):  # noqa: F811
    """Slow clients keep their threads for a minute."""
    monkeypatch.setattr(bounded, "_HEAD", 60.0)


def test_slow_clients_of_one_address_do_not_hold_up_another_address(keeper, patient):
    with contextlib.ExitStack() as slow:
        for _ in range(20):
            slow.enter_context(contextlib.closing(takes_a_thread(keeper, "127.0.0.1")))
        time.sleep(0.5)
        for _ in range(3):
            assert answers(keeper, host="127.0.0.2", seconds=20)


def test_slow_clients_of_many_addresses_do_not_hold_up_one_with_a_good_key(keeper, known, patient):
    known.add("127.0.0.99")
    with contextlib.ExitStack() as slow:
        for number in range(20):
            connection = takes_a_thread(keeper, f"127.0.1.{number + 1}")
            slow.enter_context(contextlib.closing(connection))
        time.sleep(0.5)
        for _ in range(3):
            assert answers(keeper, host="127.0.0.99", seconds=20)


def test_a_head_has_to_arrive_within_its_time(keeper, bounded, monkeypatch):  # noqa: F811
    monkeypatch.setattr(bounded, "_HEAD", 0.5)
    began = time.monotonic()
    with comes_byte_by_byte(keeper) as slow:
        slow.settimeout(20)
        with contextlib.suppress(OSError):
            while slow.recv(100):
                continue
    assert time.monotonic() - began < 20  # its head takes three minutes


def test_one_address_has_a_share_of_the_connections(keeper, bounded, monkeypatch):  # noqa: F811
    monkeypatch.setattr(bounded, "_PER_NETWORK", 5)
    with contextlib.ExitStack() as stack:
        many = [stack.enter_context(contextlib.closing(says_nothing(keeper))) for _ in range(12)]
        until(lambda: sum(hung_up(one) for one in many) >= 7)
        assert answers(keeper, host="127.0.0.2")


def test_a_server_whose_threads_ended_is_started_again_and_that_is_told(keeper):
    from cheroot.workers.threadpool import _SHUTDOWNREQUEST

    broken = keeper._server
    for _ in range(3):
        broken.waiting.put(_SHUTDOWNREQUEST)
    until(lambda: keeper._server is not broken and keeper._server is not None)
    until(lambda: re.search("[123] of its 8 threads had ended", keeper.problem))
    assert answers(keeper)


def test_requests_that_wait_long_for_a_thread_are_told(keeper, front_end):
    keeper._server.waiting.longest = lambda: 31.0
    until(lambda: "has waited for 31 s" in keeper.problem)


class TestLiveness:
    @pytest.fixture
    def liveness(self, front_end, keeper):
        return front_end("http.server.liveness").Liveness(*keeper.address, tls=keeper.tls)

    def test_a_server_that_answers_is_no_problem(self, liveness):
        for _ in range(5):
            liveness._ask()
        assert liveness.problem == ""

    def test_a_server_that_is_silent_three_times_is_one_until_it_answers(
        self, front_end, monkeypatch, liveness
    ):
        found = front_end("http.server.liveness")
        monkeypatch.setattr(found, "_PATIENCE", 0.1)
        with socket.create_server(("127.0.0.1", 0)) as mute:
            silent = found.Liveness("127.0.0.1", mute.getsockname()[1], tls=False)
            for _ in range(2):
                silent._ask()
            assert silent.problem == ""
            silent._ask()
            assert "did not answer the last 3 times" in silent.problem
        monkeypatch.setattr(found, "_PATIENCE", 30.0)
        silent._place = liveness._place
        silent._tls = liveness._tls
        silent._ask()
        assert silent.problem == ""


class Waiter:
    def __init__(self, network):
        self.network = network


class TestWhoseTurn:
    @pytest.fixture
    def waiting(self, front_end):
        found = front_end("http.server.waiting").WaitingConnections
        return found(size=10, strangers=3, per_network=2, known={"friend"})

    def take(self, waiting):
        """Those that get a thread now."""
        found = []
        while (item := waiting._next()) is not None:
            found.append(item)
        return found

    def test_one_network_does_not_get_all_threads(self, waiting):
        items = [Waiter("a") for _ in range(5)] + [Waiter("b"), Waiter("c")]
        for item in items:
            waiting.put(item)
        assert self.take(waiting) == [items[0], items[1], items[5]]
        assert self.take(waiting) == []
        waiting.done(items[0])
        assert self.take(waiting) == [items[2]]
        waiting.done(items[5])
        assert self.take(waiting) == [items[6]]

    def test_a_network_with_a_good_key_waits_for_nobody(self, waiting):
        for _ in range(6):
            waiting.put(Waiter("a"))
        self.take(waiting)
        friends = [Waiter("friend") for _ in range(4)]
        for friend in friends:
            waiting.put(friend)
        assert self.take(waiting) == friends

    def test_more_than_fit_are_refused_and_the_end_is_handed_on_at_once(self, waiting):
        for _ in range(10):
            waiting.put(Waiter("a"))
        with pytest.raises(queue.Full):
            waiting.put(Waiter("b"))
        waiting.put(None)
        assert waiting.get() is None
        assert waiting.qsize() == 10

    def test_the_longest_wait_is_that_of_the_first(self, waiting):
        assert waiting.longest() == 0.0
        waiting.put(Waiter("a"))
        time.sleep(0.02)
        waiting.put(Waiter("a"))
        assert waiting.longest() >= 0.02


NETWORKS = [
    ("192.0.2.1", "192.0.2.1"),
    ("::ffff:192.0.2.1", "192.0.2.1"),
    ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
    ("fe80::1%eth0", "fe80::/64"),
    ("", ""),
    ("unix", "unix"),
]


@pytest.mark.parametrize(("address", "name"), NETWORKS)
def test_hosts_with_many_addresses_are_one_network(front_end, address, name):
    assert front_end("http.server.networks").network(address) == name


def test_networks_are_known_for_ten_minutes_and_not_more_than_fit(front_end):
    now = [0.0]
    known = front_end("http.server.networks").KnownNetworks(lambda: now[0])
    known.add("192.0.2.1")
    assert "192.0.2.1" in known
    assert "192.0.2.2" not in known
    now[0] = 599.0
    assert "192.0.2.1" in known
    now[0] = 601.0
    assert "192.0.2.1" not in known
    for number in range(3000):
        known.add(f"10.0.{number // 250}.{number % 250}")
    assert len(known._until) <= 1024


def hung_up(connection):
    connection.settimeout(0.05)
    try:
        return connection.recv(10) == b""
    except socket.timeout:
        return False
    except OSError:
        return True
