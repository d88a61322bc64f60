"""Sending messages to hooks: a real server on loopback, and servers that misbehave."""

import contextlib
import http.server
import socket
import ssl
import threading
from errno import EBADMSG, ECONNREFUSED, ECONNRESET, EPERM, EPROTO, ETIMEDOUT

import pytest

from qa.workload.certificate import certificate
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.hook_policy import HookPolicy
from tests.fakes.loading import load

pytestmark = pytest.mark.programs

module = load().module("engine.hooks.post")  # which imports no stand-in
HookRequest, post = module.HookRequest, module.post
LOOPBACK = HookPolicy(hosts=("127.0.0.0/8",), http=True)


class Handler(http.server.BaseHTTPRequestHandler):
    """Keeps what it gets, and answers as the path says."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers), body))
        status = int(self.path.strip("/").partition("?")[0])
        self.send_response(status)
        if status == 302:
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/200")
        if status == 202:
            self.send_header("Retry-After", "7")
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"said")

    def log_message(self, *args):
        """Nothing."""


@contextlib.contextmanager
def server(pair=None):
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.got = []
    if pair is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*map(str, pair))
        made.socket = context.wrap_socket(made.socket, server_side=True)
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.shutdown()
        made.server_close()


@contextlib.contextmanager
def raw(answer):
    """A server that sends ``answer``, and then is silent (None: it closes the connection)."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        kept = []

        def serve():
            with contextlib.suppress(OSError):
                connection, _ = listening.accept()
                connection.recv(1 << 16)
                if answer is None:
                    connection.close()
                    return
                connection.sendall(answer)
                kept.append(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.close()
        thread.join(10)
        for connection in kept:
            connection.close()


def request(url, *, ca="", policy=LOOPBACK, timeout=5.0):
    return HookRequest(url, b'{"a": 1}', {"X-Test": "yes"}, timeout, ca, policy)


def refused(number, one):
    with pytest.raises(MigrationError) as error:
        post(one)
    assert error.value.errno == number
    return error.value.message


@pytest.mark.parametrize("status", [200, 202, 302, 409, 500])
def test_what_is_sent_and_answered(status):
    with server() as there:
        response = post(request(f"http://127.0.0.1:{there.server_port}/{status}?token=x"))
    assert (response.status, response.body) == (status, "said")
    assert response.retry_after == ("7" if status == 202 else None)
    ((path, headers, body),) = there.got  # a redirect is not followed
    assert path == f"/{status}?token=x"
    assert body == b'{"a": 1}'
    assert headers["X-Test"] == "yes"
    assert headers["Content-Type"] == "application/json"


def test_only_certificates_that_are_trusted(tmp_path):
    pair = certificate(tmp_path / "one")
    other, _ = certificate(tmp_path / "other")
    with server(pair) as there:
        url = f"https://127.0.0.1:{there.server_port}/200"
        assert post(request(url, ca=pair[0].read_text())).status == 200
        assert "--ca" in refused(EPROTO, request(url))
        assert "--ca" in refused(EPROTO, request(url, ca=other.read_text()))
        plain = f"http://127.0.0.1:{there.server_port}/200"
        with pytest.raises(MigrationError):
            post(request(plain))
    assert len(there.got) == 1


def test_a_server_without_tls(tmp_path):
    with server() as there:
        assert "TLS" in refused(EPROTO, request(f"https://127.0.0.1:{there.server_port}/200"))


def test_addresses_and_schemes_that_are_not_allowed():
    with server() as there:
        url = f"http://127.0.0.1:{there.server_port}/200"
        assert "hook_hosts" in refused(EPERM, request(url, policy=HookPolicy(http=True)))
        closed = HookPolicy(hosts=("127.0.0.0/8",))
        assert "hook_http" in refused(EPERM, request(url, policy=closed))
    assert there.got == []


def test_servers_that_misbehave():
    with raw(b"") as port:
        said = refused(ETIMEDOUT, request(f"http://127.0.0.1:{port}/", timeout=0.3))
        assert "does not answer" in said
    with raw(None) as port:
        refused(ECONNRESET, request(f"http://127.0.0.1:{port}/"))
    with raw(b"SSH-2.0-OpenSSH\r\n") as port:
        assert "HTTP" in refused(EBADMSG, request(f"http://127.0.0.1:{port}/"))
    refused(ECONNREFUSED, request(f"http://127.0.0.1:{port}/"))
