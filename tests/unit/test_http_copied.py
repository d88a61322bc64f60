"""The stream http of the method copy, against a real server on loopback."""

import base64
import json
from errno import EINVAL, EPERM

import pytest

from qa.workload.certificate import certificate
from qa.workload.web_behaviour import Behaviour
from qa.workload.web_server import WebServer
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.import_policy import ImportPolicy
from rbdmigrate.model.references import refuse_references
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


def source(url, resolve=None, policy=OPEN, **fields):
    spec = parse_source_spec(
        json.dumps({"type": "raw", "stream": {"type": "http", "url": url, **fields}})
    )
    return CopySource(spec, policy, **({"resolve_config": resolve} if resolve else {}))


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
    request = MigrationRequest(ImageSpec("", "", "x"), ImageSpec("p", "", "x"), spec=spec)
    assert request.method.value == "copy"
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


SIGNED = "X-Amz-Signature=PLANTED&X-Amz-Expires=60"


@pytest.mark.parametrize("where", ["url", "query", "config-key"])
def test_a_url_with_a_signature_and_nobody_is_shown_that(where, server):
    if where == "url":
        made = source(server.url("/disk.raw") + "?" + SIGNED)
    elif where == "query":
        made = source(server.url("/disk.raw"), query=SIGNED)
    else:
        made = source(server.url("/disk.raw"), lambda key, url: SIGNED, query="config://k")
    server.behave(f"/disk.raw?{SIGNED}", Behaviour(head=False))
    before = len(server.requests)
    assert content(made) == DISK
    assert {r.path for r in server.requests[before:]} == {f"/disk.raw?{SIGNED}"}
    server.behave(f"/disk.raw?{SIGNED}", Behaviour(status=403))
    assert "PLANTED" not in refused(made).message
    assert "PLANTED" not in json.dumps(made.spec.redacted()) + made.spec.label() + repr(made.spec)
    request = MigrationRequest(ImageSpec("", "", "x"), ImageSpec("p", "", "x"), spec=made.spec)
    assert request.method.value == "copy"


def test_a_server_with_an_authority_of_its_own(tmp_path):
    (tmp_path / "disk.raw").write_bytes(DISK)
    pair = certificate(tmp_path / "tls")
    other = certificate(tmp_path / "other")
    texts = {"own": pair[0].read_text(), "other": other[0].read_text(), "none": "no certificate"}
    with WebServer(tmp_path, certificate=pair) as server:
        url = server.url("/disk.raw", "localhost")

        def made(key):
            return source(
                url, lambda name, to: texts[name.rpartition("/")[2]], ca=f"config://{key}"
            )

        assert content(made("rbd/migration-source/own")) == DISK
        error = refused(made("rbd/migration-source/other"))
        assert (error.problem, '"ca": "config://KEY"' in error.message) == ("TLS_CERTIFICATE", True)
        assert refused(made("rbd/migration-source/none")).problem == "CONFIG_KEY_BAD"
        assert refused(source(url)).problem == "TLS_CERTIFICATE"


def test_certificates_are_a_config_key_that_has_to_be_open_to_imports():
    def refusal(key):
        spec = source("https://images.example/a", ca=f"config://{key}").spec
        assert spec.secrets() == {}
        assert spec.config_keys() == [key]
        return refuse_references(spec, OPEN)

    assert refusal("rbd/migration-source/ca") is None  # to whichever host: none gets it
    assert "never used by imports" in refusal("mgr/dashboard/key")
    assert "is not open to imports" in refusal("other/ca")
