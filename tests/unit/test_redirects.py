"""Redirects of a web server: where they lead is told, with a remedy that works when followed."""

import json
import shlex
import subprocess
from errno import EINVAL, ENOENT, EOPNOTSUPP, EPERM

import pytest

from qa.workload.web_server import Behaviour, WebServer
from rbdmigrate.model.import_policy import ImportPolicy
from rbdmigrate.model.source_spec import parse_source_spec
from rbdmigrate.sources import inspect
from rbdmigrate.sources.redirects import signed_until

DISK = bytes(range(256)) * 256
OPEN = ImportPolicy(folders=("/",))


@pytest.fixture
def front(tmp_path):
    """A server that redirects."""
    folder = tmp_path / "front"
    folder.mkdir()
    with WebServer(folder) as running:
        yield running


@pytest.fixture
def mirror(tmp_path):
    """Another server, on another port."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    (folder / "other.raw").write_bytes(DISK)
    with WebServer(folder) as running:
        yield running


def spec_of(kind, **stream):
    return parse_source_spec(json.dumps({"type": "raw", "stream": {"type": kind, **stream}}))


def redirected(front, location, status=302, policy=OPEN):
    front.behave("/disk.raw", Behaviour(location=location, status=status))
    (error,) = inspect(spec_of("http", url=front.url("/disk.raw")), policy).errors
    return error


def importable(finding):
    """Whether the URL that a remedy gives can be imported."""
    return not inspect(spec_of("http", **json.loads(f"{{{finding.remedy}}}")), OPEN).errors


def copied(finding, folder):
    """What the command of a remedy copies."""
    words = shlex.split(finding.remedy)
    assert words[0] == "curl"
    subprocess.run(words, cwd=folder, check=True, capture_output=True, timeout=60)
    (file,) = (path for path in folder.iterdir() if path.is_file())
    assert not inspect(spec_of("file", file_path=str(file)), OPEN).errors
    return file.read_bytes()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_url_where_a_redirect_ends_can_be_given(front, mirror, status):
    front.behave("/step", Behaviour(location=mirror.url("/other.raw"), status=status))
    finding = redirected(front, "/step", status)
    assert (finding.code, finding.errno) == ("HTTP_REDIRECT", EINVAL)
    assert f"redirects to {mirror.url('/other.raw')}" in finding.message
    assert finding.remedy == f'"url": "{mirror.url("/other.raw")}"'
    assert importable(finding)
    assert ("must not change before the commit" in finding.message) is (status not in (301, 308))


def test_a_url_is_percent_encoded(front, mirror, tmp_path):
    (tmp_path / "mirror" / "a disk;v=1.raw").write_bytes(DISK)
    finding = redirected(front, mirror.url("/a disk;v=1.raw#part"))
    assert finding.remedy == f'"url": "{mirror.url("/a%20disk%3Bv=1.raw")}"'
    assert importable(finding)


def signed(mirror, query):
    """A URL that gives the file to GET and with its query alone, as presigned ones do."""
    mirror.behave("/other.raw", Behaviour(status=403))
    mirror.behave(f"/other.raw?{query}", Behaviour(head=False))
    return mirror.url(f"/other.raw?{query}")


def test_a_signed_url_cannot_be_given_and_the_file_is_copied(front, mirror, tmp_path):
    query = "X-Amz-Date=20261127T210000Z&X-Amz-Expires=3600&X-Amz-Signature=PLANTED"
    finding = redirected(front, signed(mirror, query))
    assert (finding.code, finding.errno) == ("HTTP_REDIRECT", EINVAL)
    assert f"redirects to {mirror.url('/other.raw')} with a query" in finding.message
    assert "valid until 2026-11-27T22:00:00Z" in finding.message
    assert "PLANTED" not in finding.message + finding.remedy
    folder = tmp_path / "copies"
    folder.mkdir()
    assert copied(finding, folder) == DISK


def test_a_query_that_chooses_nothing_is_left_out(front, mirror):
    """The file is the same without it: a mirror is chosen, or a download counted."""
    finding = redirected(front, mirror.url("/other.raw?from=PLANTED"))
    assert "PLANTED" not in finding.message + finding.remedy
    assert finding.remedy == f'"url": "{mirror.url("/other.raw")}"'
    assert importable(finding)


def test_a_query_that_chooses_the_file_is_not_left_out(front, mirror):
    mirror.behave("/other.raw", Behaviour(etag='"another"'))
    finding = redirected(front, mirror.url("/other.raw?version=1"))
    assert "with a query, and librbd" in finding.message
    assert finding.remedy.startswith("curl ")


@pytest.mark.parametrize("query", ["", "?Signature=PLANTED&Expires=1795813200"])
def test_a_mirror_that_has_no_such_file_is_named(front, mirror, query):
    finding = redirected(front, mirror.url(f"/nothing.raw{query}"))
    assert (finding.code, finding.errno) == ("HTTP_NOT_FOUND", ENOENT)
    places = (f"127.0.0.1:{each.port}" for each in (front, mirror))
    missing = mirror.url("/nothing.raw")
    assert finding.message == "The server {} redirects to {}, and the server {} has no {}.".format(
        next(places), missing, next(places), f"{missing} (HTTP 404)"
    )
    assert finding.remedy == ""


@pytest.mark.parametrize(
    "behaviour", [Behaviour(ranges=False), Behaviour(ranges="untold"), Behaviour(head=False)]
)
def test_a_mirror_that_librbd_cannot_read_from_is_named(front, mirror, tmp_path, behaviour):
    mirror.behave("/other.raw", behaviour)
    finding = redirected(front, mirror.url("/other.raw"))
    assert finding.errno == EOPNOTSUPP
    assert f"and the server 127.0.0.1:{mirror.port} " in finding.message
    folder = tmp_path / "copies"
    folder.mkdir()
    assert copied(finding, folder) == DISK


def test_a_mirror_may_redirect_the_reading_alone(front, mirror):
    mirror.behave("/other.raw", Behaviour(get_status=302))
    assert redirected(front, mirror.url("/other.raw")).code == "HTTP_REDIRECT"


def test_redirects_without_end_are_left(front):
    finding = redirected(front, "/disk.raw")
    assert "more than 5 times" in finding.message


def test_a_redirect_to_nowhere(front):
    finding = redirected(front, "", status=302)
    assert "without saying where to" in finding.message


@pytest.mark.parametrize("path", ["/latest", "/latest?X-Amz-Signature=x"])
def test_a_redirect_is_followed_nowhere_that_is_closed(front, path):
    finding = redirected(front, f"http://169.254.169.254{path}")
    assert (finding.code, finding.errno) == ("HOST_REACH", EPERM)


def test_each_hop_obeys_the_policy(front, mirror):
    """The second one leads to a host that is not listed."""
    front.behave("/step", Behaviour(location=mirror.url("/other.raw", host="127.0.0.2")))
    finding = redirected(front, "/step", policy=ImportPolicy(hosts=("127.0.0.1",)))
    assert (finding.code, finding.errno) == ("HOST_REACH", EPERM)
    assert f"redirects to {mirror.url('/other.raw', host='127.0.0.2')}" in finding.message
    assert mirror.requests == []


@pytest.mark.parametrize(
    "location",
    ["/other.raw?X-Amz-Signature=PLANTED", "http://me:PLANTED@h/a", "gopher://PLANTED", "//[::1"],
)
def test_a_redirect_shows_no_secret(front, location):
    finding = redirected(front, location)
    assert finding.code in {"HTTP_REDIRECT", "HTTP_NOT_FOUND"}
    assert "PLANTED" not in finding.message + finding.remedy


@pytest.mark.parametrize(
    ("query", "ends"),
    [
        ("X-Amz-Date=20261127T210000Z&X-Amz-Expires=60", 1795813260),
        ("X-Goog-Date=20261127T210000Z&X-Goog-Expires=60", 1795813260),
        ("AWSAccessKeyId=a&Signature=b&Expires=1795813260", 1795813260),
        ("sp=r&se=2026-11-27T21:01:00Z&sig=x", 1795813260),
        ("sp=r&se=2026-11-27&sig=x", 1795737600),
        ("X-Amz-Date=x&X-Amz-Expires=60", None),
        ("X-Amz-Date=20261127T210000Z&X-Amz-Expires=never", None),
        ("Expires=never&se=never", None),
        ("", None),
    ],
)
def test_when_a_signature_expires(query, ends):
    assert signed_until(f"https://h/a?{query}") == ends
