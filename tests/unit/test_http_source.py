"""The stream http: against a real server on loopback, which behaves and misbehaves."""

import json
import os
import socket
import threading
from errno import ECONNREFUSED, EINVAL, EIO, ENOENT, EOPNOTSUPP, EPERM, EPROTO, ETIMEDOUT

import pytest

from qa.workload.certificate import certificate
from qa.workload.web_behaviour import Behaviour
from qa.workload.web_server import WebServer
from rbdmigrate.model.finding import Severity
from rbdmigrate.model.import_policy import ImportPolicy
from rbdmigrate.model.source_spec import StreamSpec, parse_source_spec
from rbdmigrate.sources import Limits, SourceError, inspect, net, open_stream

DISK = bytes(range(256)) * 256  # 64 KiB
LIMITS = Limits()
QUICK = Limits(answer=0.5, slowest=1 << 30)
OPEN = ImportPolicy()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("www")
    (folder / "disk.raw").write_bytes(DISK)
    (folder / "other.raw").write_bytes(DISK[:4096])
    with WebServer(folder) as running:
        yield running


@pytest.fixture
def url(server):
    yield server.url("/disk.raw")
    server.behave("/disk.raw", Behaviour())


def look(url, limits=LIMITS, policy=OPEN):
    text = json.dumps({"type": "raw", "stream": {"type": "http", "url": url}})
    return inspect(parse_source_spec(text), policy, limits)


def problems(inspection):
    return [(f.code, f.errno) for f in inspection.findings if f.severity is not Severity.INFO]


def stream(url, limits=LIMITS):
    return open_stream(StreamSpec("http", url=url), OPEN, limits)


def test_any_range_is_read(server, url):
    with stream(url) as opened:
        assert opened.size == len(DISK)
        assert opened.read(0, 10) == DISK[:10]
        assert opened.read(1000, 5000) == DISK[1000:6000]
        assert opened.read(len(DISK) - 3, 100) == DISK[-3:]
        assert opened.read(len(DISK), 1) == b""
        assert set(opened.identity) == {"size", "etag", "modified"}


def test_the_server_is_asked_as_librbd_asks_it(server, url):
    before = len(server.requests)
    stream(url).close()
    head, get, again = server.requests[before:]
    assert (head.method, get.method) == ("HEAD", "GET")
    assert again.headers == get.headers  # is the connection kept?
    assert head.headers["host"] == "127.0.0.1"
    assert get.headers["range"] == "bytes=0-511"


def test_one_connection_is_used_and_made_again_when_the_server_ends_it(server, url):
    with stream(url) as opened:
        server.stop()
        server.start()
        assert opened.read(0, 10) == DISK[:10]


MISBEHAVIOUR = [
    (Behaviour(), [], False),
    (Behaviour(http10=True), [], False),
    (Behaviour(etag=None), [], False),
    (Behaviour(etag="changing"), [("SOURCE_FICKLE", 0)], False),
    (Behaviour(ranges=False), [("HTTP_NO_RANGE", EOPNOTSUPP)], False),
    (Behaviour(ranges=False, http10=True), [("HTTP_NO_RANGE", EOPNOTSUPP)], False),
    (Behaviour(ranges="wrong"), [("HTTP_NO_RANGE", EOPNOTSUPP)], False),
    (Behaviour(ranges="untold"), [("HTTP_NO_RANGE", EOPNOTSUPP)], False),
    (Behaviour(head=False), [("HTTP_NO_HEAD", EOPNOTSUPP)], False),
    (Behaviour(length=None), [("HTTP_NO_LENGTH", EINVAL)], False),
    (Behaviour(length="-5"), [("HTTP_NO_LENGTH", EINVAL)], False),
    (Behaviour(length=len(DISK) + 512), [("SOURCE_CHANGED", EIO)], False),
    (Behaviour(length=512), [("SOURCE_CHANGED", EIO)], False),
    (Behaviour(close="told"), [], False),
    (Behaviour(close="silently"), [], False),
    (Behaviour(headers=7000), [], False),
    (Behaviour(headers=9000), [("HTTP_HEADERS", EOPNOTSUPP)], False),
    (Behaviour(headers=200_000), [("HTTP_HEADERS", EOPNOTSUPP)], False),
    (Behaviour(encoding="gzip"), [("HTTP_ENCODED", EOPNOTSUPP)], False),
    (Behaviour(status=401), [("HTTP_FORBIDDEN", EPERM)], False),
    (Behaviour(status=403), [("HTTP_FORBIDDEN", EPERM)], False),
    (Behaviour(get_status=403), [("HTTP_FORBIDDEN", EPERM)], False),
    (Behaviour(status=404), [("HTTP_NOT_FOUND", ENOENT)], False),
    (Behaviour(status=418), [("HTTP_STATUS", EIO)], False),
    (Behaviour(status=204), [("HTTP_STATUS", EIO)], False),
    (Behaviour(status=500), [("HTTP_SERVER_ERROR", EIO)], True),
    (Behaviour(get_status=503), [("HTTP_SERVER_ERROR", EIO)], True),
    (Behaviour(drop=100), [("CONNECTION_LOST", 104)], True),
    (Behaviour(delay=1), [("SOURCE_SLOW", ETIMEDOUT)], True),
    (Behaviour(rate=100), [("SOURCE_SLOW", ETIMEDOUT)], True),
]


@pytest.mark.parametrize(("behaviour", "found", "transient"), MISBEHAVIOUR)
def test_misbehaviour_is_told(server, url, behaviour, found, transient):
    server.behave("/disk.raw", behaviour)
    inspection = look(url, QUICK if behaviour.delay or behaviour.rate else LIMITS)
    assert problems(inspection) == found
    assert inspection.transient is transient
    assert (inspection.size == len(DISK)) is (not inspection.errors)


@pytest.mark.parametrize(
    ("after", "said"),
    [("30", "in 30 seconds"), ("", "later"), ("Fri, 27 Nov 2026 20:00:00 GMT", "later")],
)
def test_a_server_that_is_asked_too_often_says_when_to_come_again(server, url, after, said):
    server.behave("/disk.raw", Behaviour(status=429, retry_after=after))
    inspection = look(url)
    assert problems(inspection) == [("HTTP_SERVER_ERROR", EIO)]
    assert inspection.transient
    assert f"asks to try again {said} (HTTP 429)." in inspection.findings[0].message


def test_slowness_is_bounded_as_a_whole(server, url):
    server.behave("/disk.raw", Behaviour(rate=100))
    inspection = look(url, Limits(answer=60, total=0.7))
    assert problems(inspection) == [("SOURCE_SLOW", ETIMEDOUT)]


def test_a_file_that_shrank_is_no_range_any_more(server, url, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shrinking")
    (folder / "disk.raw").write_bytes(DISK)
    with WebServer(folder) as other, stream(other.url("/disk.raw")) as opened:
        os.truncate(folder / "disk.raw", 1024)
        with pytest.raises(SourceError) as gone:
            opened.read(4096, 10)
        with pytest.raises(SourceError) as less:
            opened.read(512, 1024)
    assert (gone.value.problem, gone.value.transient) == ("SOURCE_TRUNCATED", False)
    assert less.value.problem in {"SOURCE_CHANGED", "HTTP_NO_RANGE"}


def test_nobody_listens(server):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        inspection = look(f"http://127.0.0.1:{taken.getsockname()[1]}/a")
    assert problems(inspection) == [("HOST_REFUSED", ECONNREFUSED)]
    assert inspection.transient


def test_an_unknown_host():
    inspection = look("http://nothing.invalid/a")
    assert problems(inspection)[0][0] == "HOST_UNKNOWN"


def test_a_name_must_lead_to_open_addresses_alone(server, monkeypatch):
    """What counts is the address that is connected to, and each that librbd could take."""
    port = server.port
    answers = [(2, 1, 6, "", (address, port)) for address in ("127.0.0.1", "169.254.169.254")]
    monkeypatch.setattr(net.socket, "getaddrinfo", lambda *_, **__: answers)
    inspection = look(f"http://images.example:{port}/disk.raw")
    assert problems(inspection) == [("HOST_REACH", EPERM)]


def test_a_name_is_resolved_once(server, monkeypatch):
    """The connection goes to the address that was checked: a second answer changes nothing."""
    port, asked = server.port, []
    real = socket.getaddrinfo

    def lookup(host, *args, **kwargs):
        if host != "images.example":
            return real(host, *args, **kwargs)
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "169.254.169.254"
        return [(2, 1, 6, "", (address, port))]

    monkeypatch.setattr(net.socket, "getaddrinfo", lookup)
    with stream(f"http://images.example:{port}/disk.raw") as opened:
        assert opened.read(0, 4) == DISK[:4]
    assert asked == ["images.example"]


def test_an_allow_list_of_hosts(server, url):
    assert problems(look(url, policy=ImportPolicy(hosts=("images.example",)))) == [
        ("HOST_REACH", EPERM)
    ]
    assert problems(look(url, policy=ImportPolicy(hosts=("127.0.0.0/8",)))) == []


@pytest.mark.parametrize(
    "answer", [b"SSH-2.0-OpenSSH_9\r\n", b"\x15\x03\x01\0\x02", b"HTTP/9 x\r\n"]
)
def test_what_is_no_web_server(answer):
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            connection, _ = listening.accept()
            with connection:
                connection.sendall(answer)
                connection.recv(4096)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        inspection = look(f"http://127.0.0.1:{listening.getsockname()[1]}/a")
        thread.join(10)
    assert problems(inspection)[0][0] in {"HTTP_BAD_ANSWER", "CONNECTION_LOST"}


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    (folder / "disk.raw").write_bytes(DISK)
    pair = certificate(folder / "pair")
    with WebServer(folder, certificate=pair) as running:
        yield running, pair[0]


def test_tls_with_a_trusted_certificate(secure, monkeypatch):
    server, trusted = secure
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    with stream(server.url("/disk.raw")) as opened:
        assert opened.read(100, 100) == DISK[100:200]


@pytest.mark.parametrize("close", ["told", "silently"])
def test_a_tls_server_that_closes_connections_is_seen(secure, monkeypatch, close):
    server, trusted = secure
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    url = server.url("/disk.raw")
    assert look(url).hanging_up == ()
    server.behave("/disk.raw", Behaviour(close=close))
    inspection = look(url)
    server.behave("/disk.raw", Behaviour())
    assert problems(inspection) == []
    assert inspection.hanging_up == (url,)
    assert inspection.announcing_close == ((url,) if close == "told" else ())


def test_tls_with_an_unknown_certificate(secure):
    server, _ = secure
    inspection = look(server.url("/disk.raw"))
    assert problems(inspection) == [("TLS_CERTIFICATE", EPROTO)]
    assert "self-signed" in inspection.findings[0].message


def test_tls_for_another_name(tmp_path, monkeypatch):
    pair = certificate(tmp_path / "pair", names=("images.example",), addresses=())
    monkeypatch.setenv("SSL_CERT_FILE", str(pair[0]))
    with WebServer(tmp_path, certificate=pair) as server:
        inspection = look(server.url("/disk.raw"))
    assert problems(inspection) == [("TLS_CERTIFICATE", EPROTO)]
    assert "is for another" in inspection.findings[0].message


def test_tls_where_there_is_none(server):
    inspection = look(server.url("/disk.raw").replace("http:", "https:"))
    assert problems(inspection)[0][0] in {"TLS_NONE", "TLS_FAILED"}


def test_no_tls_where_there_is_one(secure):
    server, _ = secure
    inspection = look(server.url("/disk.raw").replace("https:", "http:"))
    assert problems(inspection)[0][0] in {"HTTP_BAD_ANSWER", "CONNECTION_LOST"}
