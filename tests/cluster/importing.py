"""What tests of imports share: a folder and servers that are open to them, and their specs."""

import contextlib
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

from qa.devcluster import Cluster
from qa.workload.bucket import upload
from qa.workload.certificate import certificate
from qa.workload.module_options import module_options
from qa.workload.web_server import WebServer

Stream = Callable[[Path], "dict[str, Any]"]

#: The checks of imports that the tests of imports provoke, and those of no others can.
IMPORT_CASES = {
    "SOURCE_RELEASE",
    "IMPORT_FLATTEN",
    "RAW_SNAPSHOTS_ALIGNED",
    "QCOW_SHRUNK",
    "RAW_THICK",
    "TLS_HANGS_UP",
    "TLS_MAY_HANG_UP",
    "HTTP_HANGS_UP",
    "SECRETS_INLINE",
    "SECRETS_LOGGED",
    "CLIENTS_CONFIG_KEY",
}


class Place:
    """A folder from which may be imported, also over HTTP and TLS, and from a bucket."""

    def __init__(self, cluster: Cluster, folder: Path, http: WebServer, https: WebServer) -> None:
        self.folder = folder
        self.http = http
        self.https = https
        self._cluster = cluster
        self.servers: list[subprocess.Popen[bytes]] = []

    def stream(self, kind: str) -> Stream:
        """Makes the stream object for a file of the folder."""
        if kind == "file":
            return lambda path: {"type": "file", "file_path": str(path)}
        if kind == "nbd":
            return self._nbd
        if kind in ("http", "https"):
            server = self.http if kind == "http" else self.https
            return lambda path: {"type": "http", "url": server.url(f"/{path.name}", "localhost")}
        return self._upload

    def _nbd(self, path: Path) -> "dict[str, Any]":
        """A server of QEMU's for the file, until the end."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = ["qemu-nbd", "--read-only", "--persistent", "--shared", "16", "-f", "raw"]
        address = ["-b", "127.0.0.1", "-p", str(port), "-x", "disk"]
        self.servers.append(subprocess.Popen([*command, *address, str(path)]))
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.1)
        return {"type": "nbd", "uri": f"nbd://127.0.0.1:{port}/disk"}

    def _upload(self, path: Path) -> "dict[str, Any]":
        return upload(path, self._cluster.s3(), "imports")


class Listener:
    """A server that refuses every request, and keeps all that was sent to it."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/b/o"
        self.received: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = self._socket.accept()
                with contextlib.suppress(OSError), connection:
                    self.received.append(connection.recv(1 << 16))
                    connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    def spec(self, key: str) -> "dict[str, Any]":
        """A source-spec that has the value of a config-key sent here."""
        keys = dict.fromkeys(("access_key", "secret_key"), f"config://{key}")
        return {"type": "raw", "stream": {"type": "s3", "url": self.url, **keys}}

    def close(self) -> None:
        """The end of it."""
        self._socket.close()


@contextlib.contextmanager
def exposed(cluster: Cluster) -> "Iterator[tuple[Listener, str, list[str]]]":
    """A listener, a secret, and the config-keys that hold it, one of them open to imports.

    Everything that options can allow is allowed, so that only permissions are in the way.
    """
    secret = f"secret-{time.time_ns()}"
    keys = ["rbd/migration-source/planted", "mgr/planted/jwt_secret", "rbd/migration/planted/x"]
    listener = Listener()
    for key in keys:
        cluster.ceph("config-key", "set", key, secret)
    with module_options(cluster, import_hosts="127.0.0.0/8", import_config_keys_over_http="true"):
        time.sleep(1)  # the options reach the manager
        try:
            yield listener, secret, keys
        finally:
            listener.close()
            for key in keys:
                cluster.ceph("config-key", "rm", key)


@pytest.fixture(scope="session")
def place(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Where sources are."""
    folder = tmp_path_factory.mktemp("sources")
    pair = certificate(tmp_path_factory.mktemp("tls"))
    cluster.layout.authorities.write_bytes(pair[0].read_bytes())
    before = os.environ.get("SSL_CERT_FILE")
    os.environ["SSL_CERT_FILE"] = str(cluster.layout.authorities)
    with (
        module_options(cluster, import_folders=str(folder)),
        WebServer(folder) as http,
        WebServer(folder, certificate=pair) as https,
    ):
        time.sleep(0.5)  # the option reaches the manager
        made = Place(cluster, folder, http, https)
        try:
            yield made
        finally:
            for server in made.servers:
                server.kill()
                server.wait()
    if before is None:
        del os.environ["SSL_CERT_FILE"]
    else:
        os.environ["SSL_CERT_FILE"] = before


def text(spec: "dict[str, Any]") -> str:
    """A source-spec as it is given to a command."""
    return json.dumps(spec)
