"""The stream nbd: against a small server that speaks the protocol, well and badly."""

import contextlib
import socket
import struct
import threading
from errno import EIO, ENOENT, EPERM, EPROTO, ETIMEDOUT

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.model.import_policy import ImportPolicy
from rbdmigrate.model.source_spec import StreamSpec
from rbdmigrate.model.url import NbdUri, nbd_problem, parse_nbd
from rbdmigrate.sources import Limits, SourceError, open_stream

DISK = bytes(range(256)) * 16
REPLY = 0x3E889045565A9


class Server:
    """One connection is served. ``style``: what kind of server it is."""

    def __init__(self, style="new", exports=("disk",)):
        self.style, self.exports = style, exports
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listening.close()
        self._thread.join(10)

    def _run(self):
        with contextlib.suppress(OSError, struct.error):
            connection, _ = self._listening.accept()
            connection.settimeout(20)
            with connection:
                self._serve(connection)

    def _take(self, connection, length):
        data = b""
        while len(data) < length:
            piece = connection.recv(length - len(data))
            if not piece:
                raise ConnectionError
            data += piece
        return data

    def _serve(self, connection):
        if self.style == "garbage":
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            return
        if self.style == "silent":
            self._take(connection, 1)
            return
        if self.style == "old":
            connection.sendall(
                b"NBDMAGIC" + struct.pack(">QQI", 0x00420281861253, len(DISK), 0) + bytes(124)
            )
            self._transmit(connection)
            return
        connection.sendall(b"NBDMAGIC" + b"IHAVEOPT" + struct.pack(">H", 3))
        self._take(connection, 4)
        while True:
            _, option, length = struct.unpack(">8sII", self._take(connection, 16))
            data = self._take(connection, length)
            if self._option(connection, option, data):
                self._transmit(connection)
                return

    def _reply(self, connection, option, kind, data=b""):
        connection.sendall(struct.pack(">QIII", REPLY, option, kind, len(data)) + data)

    def _option(self, connection, option, data):
        if self.style == "flood":
            for _ in range(1100):
                self._reply(connection, option, 3, struct.pack(">HI", 3, 1))
            return False
        if self.style == "huge":
            connection.sendall(struct.pack(">QIII", REPLY, option, 3, (1 << 32) - 1))
            return False
        if option == 3:
            for name in self.exports:
                self._reply(connection, option, 2, struct.pack(">I", len(name)) + name.encode())
            self._reply(connection, option, 1)
            return False
        if option == 1:
            connection.sendall(struct.pack(">QH", len(DISK), 1))
            return True
        name = data[4 : 4 + struct.unpack(">I", data[:4])[0]].decode()
        errors = {"no go": 1, "policy": 2, "tls": 5}
        if self.style in errors:
            self._reply(connection, option, (1 << 31) + errors[self.style])
        elif name not in self.exports:
            self._reply(connection, option, (1 << 31) + 6, b"no such export")
        else:
            self._reply(connection, option, 3, struct.pack(">HQH", 0, len(DISK), 1))
            self._reply(connection, option, 1)
            return True
        return False

    def _transmit(self, connection):
        while True:
            request = struct.unpack(">IHHQQI", self._take(connection, 28))
            _, _, kind, cookie, offset, length = request
            if kind != 0:
                return
            error = 5 if self.style == "bad disk" else 0
            connection.sendall(struct.pack(">IIQ", 0x67446698, error, cookie))
            if self.style == "hangs up":
                connection.sendall(DISK[offset : offset + 1])
                return
            if not error:
                connection.sendall(DISK[offset : offset + length])


def nbd(uri, limits=Limits(), policy=ImportPolicy()):  # noqa: B008 - frozen
    return open_stream(StreamSpec("nbd", uri=uri), policy, limits)


@pytest.mark.parametrize(("style", "export"), [("new", "disk"), ("no go", "disk"), ("old", "")])
def test_all_kinds_of_servers_are_read(style, export):
    with Server(style) as server, nbd(f"nbd://127.0.0.1:{server.port}/{export}") as stream:
        assert stream.size == len(DISK)
        assert stream.read(0, 16) == DISK[:16]
        assert stream.read(1000, 9999) == DISK[1000:]
        assert stream.identity == {"size": str(len(DISK)), "export": export}


REFUSED = [
    ("garbage", "disk", "NBD_PROTOCOL", EPROTO),
    ("huge", "disk", "NBD_PROTOCOL", EPROTO),
    ("flood", "disk", "NBD_PROTOCOL", EPROTO),
    ("old", "disk", "NBD_NO_EXPORT", ENOENT),
    ("new", "other", "NBD_NO_EXPORT", ENOENT),
    ("new", "", "NBD_NO_EXPORT", ENOENT),
    ("policy", "disk", "NBD_REFUSED", EPERM),
    ("tls", "disk", "NBD_TLS", EPERM),
]


@pytest.mark.parametrize(("style", "export", "problem", "errno"), REFUSED)
def test_what_goes_wrong_is_told(style, export, problem, errno):
    with Server(style) as server, pytest.raises(SourceError) as caught:
        nbd(f"nbd://127.0.0.1:{server.port}/{export}")
    assert (caught.value.problem, caught.value.errno) == (problem, errno)
    assert caught.value.message.endswith(".")


def test_the_names_of_exports_are_told():
    with Server(exports=("web", "mail")) as server, pytest.raises(SourceError) as caught:
        nbd(f"nbd://127.0.0.1:{server.port}/db")
    assert "it has 'web', 'mail'" in caught.value.message


def test_a_server_that_says_nothing():
    with Server("silent") as server, pytest.raises(SourceError) as caught:
        nbd(f"nbd://127.0.0.1:{server.port}/disk", Limits(answer=0.3))
    assert (caught.value.problem, caught.value.errno) == ("SOURCE_SLOW", ETIMEDOUT)
    assert caught.value.transient


@pytest.mark.parametrize(
    ("style", "problem"), [("bad disk", "NBD_READ"), ("hangs up", "CONNECTION_LOST")]
)
def test_reads_that_fail_may_be_tried_again(style, problem):
    with Server(style) as server:
        stream = nbd(f"nbd://127.0.0.1:{server.port}/disk")
        with stream, pytest.raises(SourceError) as caught:
            stream.read(0, 512)
    assert caught.value.problem == problem
    assert caught.value.errno in {EIO, 104}
    assert caught.value.transient


def test_a_socket_is_a_file_of_the_manager_s_host(tmp_path):
    uri = f"nbd+unix:///disk?socket={tmp_path}/nbd.sock"
    for policy, problem in (
        (ImportPolicy(), "FILE_REACH"),
        (ImportPolicy((str(tmp_path),)), "FILE_MISSING"),
    ):
        with pytest.raises(SourceError) as caught:
            nbd(uri, policy=policy)
        assert caught.value.problem == problem


URIS = [
    ("nbd://h", NbdUri("", "h")),
    ("nbd://h/", NbdUri("", "h")),
    ("nbd://h:1/x", NbdUri("x", "h", 1)),
    ("nbd://h//x", NbdUri("/x", "h")),
    ("nbd://h/a%20b", NbdUri("a b", "h")),
    ("nbd://[::1]/x", NbdUri("x", "::1")),
    ("nbd+unix:///?socket=/run/s", NbdUri("", socket="/run/s")),
    ("nbd+unix:///x?socket=/run/s", NbdUri("x", socket="/run/s")),
]


@pytest.mark.parametrize(("text", "uri"), URIS)
def test_uris(text, uri):
    assert parse_nbd(text) == uri


@given(st.text(max_size=40) | st.text(max_size=30).map("nbd://".__add__))
def test_no_uri_gives_anything_but_an_export_or_a_reason(text):
    if not nbd_problem(text):
        assert parse_nbd(text).host or parse_nbd(text).socket
