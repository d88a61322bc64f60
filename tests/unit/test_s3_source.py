"""The stream s3: the signature, and what each refusal of a service means."""

import base64
import hashlib
import hmac
import json
import socket
from errno import EINVAL, EIO, ENOENT, EOPNOTSUPP, EPERM
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

import pytest

from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.import_policy import ImportPolicy
from rbdmigrate.model.source_spec import parse_source_spec
from rbdmigrate.sources import inspect

OBJECT = bytes(4096)


class Service:
    """Checks signatures as S3 does (version 2), with the bucket in the path or the host's name.

    ``error``: (status, code, rest of the XML) for every request that is signed well. ``location``:
    where errors redirect to. ``ranges``: whether answers say which range they are.
    """

    def __init__(self):
        self.error = None
        self.location = ""
        self.ranges = True
        self.bucket_in_host = ""
        self.objects = {"/b/disk.raw": OBJECT}
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self):
                service.answer(self, head=True)

            def do_GET(self):
                service.answer(self, head=False)

            def log_message(self, *_):
                """Silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request, head):
        resource = self.bucket_in_host + request.path
        status, code, more = self.verdict(request, resource)
        if status:
            body = f"<?xml version='1.0'?><Error><Code>{code}</Code>{more}</Error>".encode()
            request.send_response(status)
            if self.location:
                request.send_header("Location", self.location)
        else:
            body = self.objects[resource]
            request.send_response(200 if head or "Range" not in request.headers else 206)
            if not head:
                first, last = request.headers["Range"][6:].split("-")
                total, last = len(body), min(int(last), len(body) - 1)
                body = body[int(first) : last + 1]
                if self.ranges:
                    request.send_header("Content-Range", f"bytes {first}-{last}/{total}")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if not head:
            request.wfile.write(body)

    def verdict(self, request, resource):
        access, _, signature = request.headers["Authorization"][4:].partition(":")
        if access != "ACCESS":
            return 403, "InvalidAccessKeyId", ""
        signed = f"{request.command}\n\n\n{request.headers['Date']}\n{resource}"
        digest = hmac.new(b"SECRET", signed.encode(), hashlib.sha1).digest()
        if signature != base64.b64encode(digest).decode():
            return 403, "SignatureDoesNotMatch", ""
        if self.error:
            return self.error
        if not resource.startswith("/b/"):
            return 404, "NoSuchBucket", ""
        if resource not in self.objects:
            return 404, "NoSuchKey", ""
        return 0, "", ""


@pytest.fixture
def service():
    running = Service()
    yield running
    running.stop()


def resolve(key, url):
    assert url.endswith(".raw")
    values = {"good": "SECRET", "line": "SECRET\n", "empty": ""}
    if key not in values:
        raise MigrationError(ENOENT, f"The config-key {key} does not exist.")
    return values[key]


def look(service, path="/b/disk.raw", access="ACCESS", secret="SECRET", host="127.0.0.1"):
    stream = {
        "type": "s3",
        "url": f"http://{host}:{service.port}{path}",
        "access_key": access,
        "secret_key": secret,
    }
    spec = parse_source_spec(json.dumps({"type": "raw", "stream": stream}))
    return inspect(spec, ImportPolicy(), resolve_config=resolve)


def test_an_object_is_read(service):
    inspection = look(service)
    assert not inspection.errors
    assert inspection.size == len(OBJECT)


def test_keys_may_be_references(service):
    assert not look(service, secret="config://good").errors


REFUSED = [
    ({"access": "OTHER"}, "S3_ACCESS_KEY", EPERM),
    ({"secret": "PLANTED"}, "S3_SECRET_KEY", EPERM),
    ({"path": "/nix/disk.raw"}, "S3_NO_BUCKET", ENOENT),
    ({"path": "/b/nix"}, "S3_NO_OBJECT", ENOENT),
    ({"secret": "config://nix"}, "CONFIG_KEY_MISSING", ENOENT),
    ({"secret": "config://line"}, "CONFIG_KEY_BAD", EINVAL),
    ({"access": "config://empty"}, "CONFIG_KEY_BAD", EINVAL),
]


@pytest.mark.parametrize(("changes", "code", "errno"), REFUSED)
def test_what_is_wrong_is_told_without_the_secret(service, changes, code, errno):
    (error,) = look(service, **changes).errors
    assert (error.code, error.errno) == (code, errno)
    assert "PLANTED" not in error.message + error.remedy
    assert "SECRET" not in error.message + error.remedy


ERRORS = [
    ((403, "AccessDenied", ""), "S3_FORBIDDEN", EPERM),
    ((403, "RequestTimeTooSkewed", ""), "S3_CLOCK", EPERM),
    ((301, "PermanentRedirect", "<Endpoint>s3.other</Endpoint>"), "S3_REGION", EINVAL),
    ((400, "AuthorizationHeaderMalformed", "<Region>eu</Region>"), "S3_REGION", EINVAL),
    (
        (400, "InvalidRequest", "<Message>Please use AWS4-HMAC-SHA256.</Message>"),
        "S3_SIGNATURE_V4",
        EOPNOTSUPP,
    ),
    ((503, "SlowDown", ""), "HTTP_SERVER_ERROR", EIO),
    ((500, "Weird", ""), "HTTP_SERVER_ERROR", EIO),
    ((403, "Weird", ""), "S3_FORBIDDEN", EPERM),
    ((405, "MethodNotAllowed", ""), "HTTP_NO_HEAD", EOPNOTSUPP),
]


@pytest.mark.parametrize(("answer", "code", "errno"), ERRORS)
def test_a_service_s_reasons_are_told(service, answer, code, errno):
    service.error = answer
    (error,) = look(service).errors
    assert (error.code, error.errno) == (code, errno)


@pytest.mark.parametrize("path", ["", "/", "/b/"])
def test_a_url_without_an_object_is_refused_before_anything_is_asked(service, path):
    service.verdict = lambda *_: pytest.fail("the service was asked")
    (error,) = look(service, path).errors
    assert (error.code, error.errno) == ("S3_NO_OBJECT", ENOENT)
    assert "/bucket/object" in error.message


def test_a_refusal_without_a_body_names_the_keys(service):
    service.error = (403, "", "")
    (error,) = look(service).errors
    assert error.code == "S3_FORBIDDEN"
    assert "the secret key" in error.message
    assert "use a stream of type s3" not in error.message


def test_a_service_that_does_not_say_which_range_it_sends(service):
    service.ranges = False
    (error,) = look(service).errors
    assert (error.code, error.errno) == ("HTTP_NO_RANGE", EOPNOTSUPP)
    assert "without saying which range" in error.message


def test_no_signature_is_sent_where_a_service_redirects_to(service):
    """Another port of the same host is another server, too."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        service.error = (307, "Weird", "")
        service.location = f"http://127.0.0.1:{port}/b/disk.raw?token=PLANTED"
        (error,) = look(service).errors
        other.settimeout(0)
        with pytest.raises(BlockingIOError):
            other.accept()
    assert (error.code, error.errno) == ("HTTP_REDIRECT", EINVAL)
    assert f"redirects to http://127.0.0.1:{port}/b/disk.raw, which" in error.message
    assert "the keys were not sent there" in error.message


def test_a_bucket_alone_is_no_object(service):
    service.objects["/b"] = b""
    service.verdict = lambda *_: (0, "", "")
    (error,) = look(service, "/b").errors
    assert error.code == "S3_NO_OBJECT"


def test_a_bucket_in_the_host_s_name_is_not_signed_by_librbd(service):
    """``127.0.0.1`` stands for the bucket ``127`` at the service ``0.0.1``."""
    service.objects["/127/disk.raw"] = OBJECT
    service.bucket_in_host = "/127"
    (error,) = look(service, "/disk.raw").errors
    assert (error.code, error.errno) == ("S3_VIRTUAL_HOSTED", EOPNOTSUPP)
    assert error.remedy == f'"url": "http://0.0.1:{service.port}/127/disk.raw"'


def test_the_url_with_the_bucket_in_its_path_is_read(service, monkeypatch):
    """The remedy for a bucket in the host's name, followed."""
    found = socket.getaddrinfo

    def resolved(host, *args, **options):
        local = "127.0.0.1" if host in ("b.storage.test", "storage.test") else host
        return found(local, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    service.bucket_in_host = "/b"
    (error,) = look(service, "/disk.raw", host="b.storage.test").errors
    assert error.code == "S3_VIRTUAL_HOSTED"
    service.bucket_in_host = ""
    url = urlsplit(json.loads("{" + error.remedy + "}")["url"])
    assert url.port == service.port
    inspection = look(service, url.path, host=url.hostname)
    assert (inspection.errors, inspection.size) == ((), len(OBJECT))


def test_a_host_s_name_that_is_taken_for_a_bucket(service):
    service.objects["/127.0.0.1/b/disk.raw"] = OBJECT
    service.bucket_in_host = "/127.0.0.1"
    (error,) = look(service).errors
    assert error.code == "S3_VIRTUAL_HOSTED"
    assert "rgw_dns_name" in error.message
