"""The stream s3 of the method copy: which signature, for which region, of which path.

That the signature is right is tested against Ceph's RADOS Gateway, in ``tests/cluster``.
"""

import json
from errno import EOPNOTSUPP, EPERM

import pytest

from rbdmigrate.model.finding import Severity
from rbdmigrate.model.import_policy import ImportPolicy
from rbdmigrate.model.request import MigrationRequest
from rbdmigrate.model.source_spec import parse_source_spec
from rbdmigrate.model.spec import ImageSpec
from rbdmigrate.sources import s3_copied
from rbdmigrate.sources.copying import CopySource, inspect_copied
from rbdmigrate.sources.s3_copied import canonical
from tests.unit.test_s3_source import OBJECT, Service


class Signer:
    """Stands in for botocore's: says in the header what it would sign."""

    def __init__(self, keys, name, region):
        self._said = (keys, name, region)

    def add_auth(self, request):
        (access, secret, token), name, region = self._said
        said = f"V4 {access} {secret} {token} {name} {region} {request.url}"
        request.headers["Authorization"] = said


class Request:
    def __init__(self, method, url):
        self.method, self.url, self.headers = method, url, {}


class SignedService(Service):
    """Takes those signatures, for one region."""

    region = "us-east-1"

    def __init__(self):
        super().__init__()
        self.seen = []

    def verdict(self, request, resource):
        words = request.headers["Authorization"].split()
        if words[0] != "V4":
            return super().verdict(request, resource)
        self.seen.append(words)
        url = f"http://{request.headers['Host']}{request.path}"
        if words[6] != url:
            return 403, "SignatureDoesNotMatch", ""
        if words[5] != self.region:
            return 400, "AuthorizationHeaderMalformed", f"<Region>{self.region}</Region>"
        if words[2] != "SECRET":
            return 403, "SignatureDoesNotMatch", ""
        return self.error or ((0, "", "") if resource in self.objects else (404, "NoSuchKey", ""))


@pytest.fixture
def service():
    running = SignedService()
    yield running
    running.stop()


@pytest.fixture
def signing(monkeypatch):
    signers = (Signer, Request, lambda *keys: keys)
    monkeypatch.setattr(s3_copied, "_signers", lambda: signers)


def source(service, path="/b/disk.raw", **fields):
    stream = {
        "type": "s3",
        "url": f"http://127.0.0.1:{service.port}{path}",
        "access_key": "ACCESS",
        "secret_key": "SECRET",
        **fields,
    }
    spec = parse_source_spec(json.dumps({"type": "raw", "stream": stream}))
    return CopySource(spec, ImportPolicy())


def content(made):
    with made.open(None) as disk:
        return disk.read(0, disk.size)


def error_of(made):
    found = inspect_copied(made.spec, made.policy)
    (error,) = [f for f in found.findings if f.severity is Severity.ERROR]
    assert error.message.endswith(".")
    return error


def test_the_host_with_its_port_and_the_region_are_signed(service, signing):
    assert content(source(service)) == OBJECT
    assert service.seen[0][3:6] == ["None", "s3", "us-east-1"]


def test_the_region_is_given_or_told_by_the_service(service, signing):
    service.region = "eu-central-1"
    assert content(source(service, region="eu-central-1")) == OBJECT
    asked = len(service.seen)
    assert content(source(service)) == OBJECT
    assert [words[5] for words in service.seen[asked : asked + 2]] == ["us-east-1", "eu-central-1"]
    assert service.seen[-1][5] == "eu-central-1"


def test_a_session_token_is_a_secret_and_is_signed(service, signing):
    made = source(service, session_token="TOKEN")
    assert content(made) == OBJECT
    assert service.seen[0][3] == "TOKEN"
    assert "TOKEN" not in json.dumps(made.spec.redacted())


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/b/a%20b+c", "/b/a%20b%2Bc"),
        ("/b/%C3%A9%3F%23%3B", "/b/%C3%A9%3F%23%3B"),
        ("/b/~(x)!*'", "/b/~%28x%29%21%2A%27"),
        ("/b//./../x", "/b//./../x"),
        ("/b/%2f", "/b//"),
    ],
)
def test_any_name_of_an_object_is_sent_as_it_is_signed(path, sent, service, signing):
    assert canonical(path) == sent
    service.objects[sent] = OBJECT
    assert content(source(service, path)) == OBJECT


def test_a_wrong_key_and_a_missing_object(service, signing):
    error = error_of(source(service, secret_key="OTHER"))
    assert (error.code, error.errno) == ("S3_SECRET_KEY", EPERM)
    assert error_of(source(service, "/b/none")).code == "S3_NO_OBJECT"


def test_an_empty_object(service, signing):
    service.error = (416, "InvalidRange", "")
    assert inspect_copied(source(service).spec, ImportPolicy()).size == 0


def test_without_botocore_it_signs_as_librbd_does(service, monkeypatch):
    monkeypatch.setattr(s3_copied, "_signers", lambda: None)
    assert content(source(service)) == OBJECT
    assert service.seen == []
    service.error = (400, "InvalidRequest", "<Message>Please use AWS4-HMAC-SHA256.</Message>")
    error = error_of(source(service))
    assert (error.code, error.errno) == ("S3_SIGNATURE_V4", EOPNOTSUPP)
    assert error.remedy == "apt install python3-botocore"


def test_a_region_means_the_method_copy(service):
    spec = source(service, region="eu").spec
    request = MigrationRequest(ImageSpec("", "", "x"), ImageSpec("p", "", "x"), spec=spec)
    assert request.method.value == "copy"
