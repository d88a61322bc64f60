"""The stream http of the method copy, against a real server on loopback."""

import base64
import json
from errno import EINVAL, EPERM

import pytest

from qa.workload.web_behaviour import Behaviour
from qa.workload.web_server import WebServer
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.import_policy import ImportPolicy
from rbdmigrate.model.request import MigrationRequest
from rbdmigrate.model.source_spec import parse_source_spec
from rbdmigrate.model.spec import ImageSpec
from rbdmigrate.sources import SourceError
from rbdmigrate.sources.copying import CopySource, identify_copied, inspect_copied

DISK = bytes(range(256)) * 1024  # 256 KiB
OPEN = ImportPolicy()


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("www")
    (folder / "disk.raw").write_bytes(DISK)
    (folder / "empty.raw").write_bytes(b"")
    with WebServer(folder) as one, WebServer(folder) as two:
        yield one, two


@pytest.fixture
def server(servers):
    yield servers[0]
    for path in ("/disk.raw", "/a", "/b"):
        servers[0].behave(path, Behaviour())


def source(url, resolve=None, reach=OPEN, **fields):
    spec = parse_source_spec(
        json.dumps({"type": "raw", "stream": {"type": "http", "url": url, **fields}})
    )
    return CopySource(spec, reach, **({"resolve_config": resolve} if resolve else {}))


def content(made):
    with made.open(None) as disk:
        return disk.read(0, disk.size)


def refused(made):
    with pytest.raises(SourceError) as caught:
        content(made)
    assert caught.value.message.endswith(".")
    return caught.value


@pytest.mark.parametrize(
    "behaviour", [Behaviour(head=False), Behaviour(close="told"), Behaviour(length=None)]
)
def test_less_is_needed_of_a_server_than_librbd_needs(behaviour, server):
    server.behave("/disk.raw", behaviour)
    made = source(server.url("/disk.raw"))
    assert content(made) == DISK
    assert inspect_copied(made.spec, OPEN).errors == ()


def test_redirects_are_followed_to_another_server(server, servers):
    server.behave("/a", Behaviour(location="/b"))
    server.behave("/b", Behaviour(location=servers[1].url("/disk.raw") + "?signature=x"))
    made = source(server.url("/a"))
    assert content(made) == DISK
    assert identify_copied(made)["stream"]["size"] == str(len(DISK))


def test_each_hop_is_under_the_import_policy(server):
    server.behave("/a", Behaviour(location="http://169.254.169.254/latest"))
    error = refused(source(server.url("/a")))
    assert error.problem == "HOST_REACH"
    assert "169.254.169.254" in error.message


def test_a_circle_of_redirects_ends(server):
    server.behave("/a", Behaviour(location="/b"))
    server.behave("/b", Behaviour(location="/a"))
    assert refused(source(server.url("/a"))).problem == "HTTP_REDIRECT"


def test_a_server_without_ranges_is_refused_with_a_way_out(server):
    server.behave("/disk.raw", Behaviour(ranges=False))
    error = refused(source(server.url("/disk.raw")))
    assert (error.problem, "copy it to a folder" in error.message) == ("HTTP_NO_RANGE", True)


def test_an_empty_file(server):
    assert inspect_copied(source(server.url("/empty.raw")).spec, OPEN).errors == ()


def sent(server, path):
    return [r.headers.get("authorization") for r in server.requests if r.path == path]


def test_a_login_goes_to_the_server_that_was_named_and_no_other(server, servers):
    asked = []

    def resolve(key, url):
        asked.append((key, url))
        return "PASSWORD"

    server.behave("/a", Behaviour(location=servers[1].url("/disk.raw")))
    fields = {"user": "me", "password": "config://rbd/migration-source/web"}
    assert content(source(server.url("/a"), resolve, **fields)) == DISK
    basic = "Basic " + base64.b64encode(b"me:PASSWORD").decode()
    assert sent(server, "/a")[-1] == basic
    assert set(sent(servers[1], "/disk.raw")) == {None}
    assert asked[0] == ("rbd/migration-source/web", server.url("/a"))


def test_a_bearer_token(server):
    assert content(source(server.url("/disk.raw"), bearer_token="TOKEN")) == DISK
    assert sent(server, "/disk.raw")[-1] == "Bearer TOKEN"


def test_a_refused_login_names_the_fields(server):
    server.behave("/disk.raw", Behaviour(status=401))
    error = refused(source(server.url("/disk.raw")))
    assert (error.errno, "bearer_token" in error.message) == (EPERM, True)


def test_a_login_means_the_method_copy_and_is_no_part_of_what_is_shown(server):
    spec = source(server.url("/disk.raw"), bearer_token="TOKEN").spec
    wish = MigrationRequest(ImageSpec("", "", "x"), ImageSpec("p", "", "x"), spec=spec)
    assert wish.method.value == "copy"
    assert "TOKEN" not in json.dumps(spec.redacted())
    stored, secrets = spec.with_secrets_at("rbd/migration/1")
    assert secrets == {"rbd/migration/1/stream.bearer_token": "TOKEN"}
    assert stored.config_keys() == ["rbd/migration/1/stream.bearer_token"]


@pytest.mark.parametrize(
    "fields",
    [{"user": "me"}, {"password": "x"}, {"user": "me", "password": "x", "bearer_token": "y"}],
)
def test_half_a_login_is_refused(fields):
    with pytest.raises(MigrationError) as caught:
        source("http://h/x", **fields)
    assert caught.value.errno == EINVAL
