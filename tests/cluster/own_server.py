"""Fixtures of test modules: the own server over TLS in a test cluster, and keys for it."""

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from qa.devcluster import Cluster
from qa.devcluster.ports import free_ports
from qa.workload.module_options import module_options
from tests.cluster.commands import Commands
from tests.cluster.rest import Answer, Rest

OPTION = "mgr/rbd_migration/"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> "tuple[Path, Path]":
    """A certificate for 127.0.0.1 and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "30", "-subj", "/CN=rbd-migration", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)],
        check=True, timeout=60, capture_output=True,
    )  # fmt: skip
    return cert, key


@pytest.fixture(scope="module")
def servers(cluster: Cluster, certificate: "tuple[Path, Path]") -> "Iterator[dict[str, Rest]]":
    """The server of each manager, for nobody in particular; over TLS, its files as config-keys."""
    tls = ssl.create_default_context(cafile=str(certificate[0]))
    names = cluster.mgrs()
    ports = dict(zip(names, free_ports(len(names))))
    for name, path in zip(("server_cert", "server_key"), certificate):
        cluster.ceph("config-key", "set", OPTION + name, "-i", str(path))
    options = {f"{name}/server_port": str(port) for name, port in ports.items()}
    with module_options(cluster, **options, server_addr="127.0.0.1", server="true"):
        found = {name: Rest(f"https://127.0.0.1:{ports[name]}", tls=tls) for name in names}
        for server in found.values():
            cluster.wait_for(lambda s=server: answers(s), 30, f"the server at {server.url}")
        yield found
    for name in ("server_cert", "server_key"):
        cluster.ceph("config-key", "rm", OPTION + name)


def answers(server: Rest) -> "Answer | None":
    try:
        return server.ask("GET", "/healthz")
    except OSError:
        return None


@pytest.fixture
def server(cluster: Cluster, servers: "dict[str, Rest]") -> Rest:
    """The active manager's."""
    return servers[str(cluster.active_mgr())]


@pytest.fixture(scope="module")
def keys(migration: Commands) -> "Iterator[dict[str, str]]":
    """A key of each role."""
    made = {role: migration.json("api", "key", "create", f"test-{role}", "--role", role)
            for role in ("read", "write")}  # fmt: skip
    yield {role: key["key"] for role, key in made.items()}
    for key in made.values():
        migration.text("api", "key", "rm", key["id"])


@pytest.fixture
def writer(server: Rest, keys: "dict[str, str]") -> Rest:
    return Rest(server.url, keys["write"], server.tls)


@pytest.fixture
def reader(server: Rest, keys: "dict[str, str]") -> Rest:
    return Rest(server.url, keys["read"], server.tls)


FIXTURES = (certificate, servers, server, keys, writer, reader)
