"""Web servers that misbehave, as the method copy meets them: one sentence, or the right bytes."""

import json
import shutil
import subprocess
from dataclasses import replace

import pytest

from qa.hostile.judge import one_sentence
from qa.workload.web_behaviour import Behaviour
from qa.workload.web_server import WebServer
from rbdmigrate.model.finding import Severity
from rbdmigrate.model.import_policy import ImportPolicy
from rbdmigrate.model.source_spec import parse_source_spec
from rbdmigrate.sources import SourceError
from rbdmigrate.sources.copying import CopySource, inspect_copied
from rbdmigrate.sources.limits import Limits

pytestmark = pytest.mark.programs

DISK = bytes(range(256)) * 1024  # 256 KiB
LIMITS = Limits(connect=2, answer=0.5, slowest=64 << 10, total=10)

#: How a server answers, and the codes of the refusal; "" is a disk that is read right.
KINDS = {
    "good": (Behaviour(), {""}),
    "no ranges": (Behaviour(ranges=False), {"", "HTTP_NO_RANGE"}),
    "no ranges, cuts off": (Behaviour(ranges=False, drop=100_000), {"CONNECTION_LOST"}),
    "no ranges, trickles": (Behaviour(ranges=False, rate=600), {"SOURCE_SLOW"}),
    "says it has no ranges": (Behaviour(ranges="none"), {"", "HTTP_NO_RANGE"}),
    "another range": (Behaviour(ranges="wrong"), {"HTTP_NO_RANGE"}),
    "a range untold": (Behaviour(ranges="untold"), {"HTTP_NO_LENGTH", "HTTP_NO_RANGE"}),
    "several parts": (Behaviour(multipart=True), {"HTTP_NO_LENGTH", "HTTP_NO_RANGE"}),
    "chunks": (Behaviour(chunked=True), {""}),
    "HTTP/1.0": (Behaviour(http10=True), {""}),
    "no HEAD": (Behaviour(head=False), {""}),
    "HEAD lies": (Behaviour(length="5"), {""}),
    "status 100 first": (Behaviour(informs=True), {""}),
    "404": (Behaviour(status=404), {"HTTP_NOT_FOUND"}),
    "403": (Behaviour(status=403), {"HTTP_FORBIDDEN"}),
    "407": (Behaviour(status=407), {"HTTP_FORBIDDEN"}),
    "416": (Behaviour(get_status=416), {"HTTP_STATUS"}),
    "429": (Behaviour(status=429, retry_after="3"), {"HTTP_SERVER_ERROR"}),
    "500": (Behaviour(get_status=500), {"HTTP_SERVER_ERROR"}),
    "503": (Behaviour(status=503, retry_after="x\x7f"), {"HTTP_SERVER_ERROR"}),
    "999": (Behaviour(status=999), {"HTTP_STATUS"}),
    "fails later": (Behaviour(fail_after=1), {"HTTP_SERVER_ERROR"}),
    "gzip": (Behaviour(encoding="gzip"), {"", "HTTP_ENCODED"}),
    "closes": (Behaviour(close="told"), {""}),
    "closes silently": (Behaviour(close="silently"), {""}),
    "cuts off": (Behaviour(drop=100), {"CONNECTION_LOST"}),
    "cuts off at a place": (Behaviour(drop_range=(100_000, 100_001)), {"CONNECTION_LOST"}),
    "many headers": (Behaviour(headers=20_000), {"HTTP_HEADERS"}),
    "too many headers": (Behaviour(headers=200_000), {"HTTP_HEADERS"}),
    "no tags": (Behaviour(etag=None), {""}),
    "other tags each time": (Behaviour(etag="changing"), {""}),
    "silent": (Behaviour(delay=3), {"SOURCE_SLOW"}),
    "trickles": (Behaviour(rate=600), {"SOURCE_SLOW"}),
    "redirects to itself": (Behaviour(location="HERE"), {"HTTP_REDIRECT"}),
    "redirects to a file": (Behaviour(location="file:///etc/shadow"), {"HTTP_REDIRECT"}),
    "redirects elsewhere": (Behaviour(location="http://192.0.2.1/x"), {"HOST_REACH"}),
    "redirects to a cloud": (Behaviour(location="http://169.254.169.254/"), {"HOST_REACH"}),
    "no HTTP": (Behaviour(junk=b"SSH-2.0-OpenSSH\r\n"), {"HTTP_BAD_ANSWER"}),
    "binary": (Behaviour(junk=bytes(range(256)) * 300), {"HTTP_BAD_ANSWER", "HTTP_HEADERS"}),
    "nothing": (Behaviour(junk=b"\r\n"), {"HTTP_BAD_ANSWER", "CONNECTION_LOST"}),
    "negative length": (
        Behaviour(
            junk=b"HTTP/1.1 206 x\r\nContent-Length: -5\r\nContent-Range: bytes 0-1/2\r\n\r\n"
        ),
        {"CONNECTION_LOST", "HTTP_NO_RANGE", "HTTP_BAD_ANSWER"},
    ),
    "huge length": (
        Behaviour(
            junk=b"HTTP/1.1 206 x\r\nContent-Length: 512\r\n"
            b"Content-Range: bytes 0-511/99999999999999999999\r\n\r\n" + bytes(512)
        ),
        {"HTTP_NO_LENGTH", "HTTP_NO_RANGE"},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("www")
    (folder / "disk").write_bytes(DISK)
    files = {"raw": ("/disk", "raw")}
    if shutil.which("qemu-nbd"):
        command = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "disk", "disk.qcow2"]
        subprocess.run(command, cwd=folder, check=True, timeout=60)
        files["qcow"] = ("/disk.qcow2", "qcow")
    with WebServer(folder) as server:
        yield server, files


#: Kinds that matter to QEMU, which reads small parts here and there.
_OF_QEMU = (
    "good", "another range", "cuts off at a place", "fails later", "chunks", "trickles",
    "no ranges", "no ranges, cuts off", "no ranges, trickles", "other tags each time",
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "form"),
    [*((name, "raw") for name in KINDS), *((name, "qcow") for name in _OF_QEMU)],
)
def test_a_server(servers, name, form):
    server, files = servers
    if form not in files:
        pytest.skip("needs qemu-utils")
    path, kind = files[form]
    behaviour, codes = KINDS[name]
    if behaviour.location == "HERE":
        behaviour = replace(behaviour, location=path)
    server.behave(path, behaviour)
    spec = parse_source_spec(
        json.dumps({"type": kind, "stream": {"type": "http", "url": server.url(path)}})
    )
    policy = ImportPolicy(hosts=("127.0.0.1",), spool_min_free=0)
    found = inspect_copied(spec, policy, LIMITS)
    assert all(one_sentence(finding.message) for finding in found.findings)
    errors = [f.code for f in found.findings if f.severity is Severity.ERROR]
    content, code, said = (
        (b"", errors[0], ".") if errors else read(CopySource(spec, policy, LIMITS))
    )
    assert code in codes
    assert one_sentence(said)
    assert code or content == DISK


def read(source):
    """The disk, or the problem and the sentence with which it ended."""
    try:
        with source.open(None) as disk:
            return disk.read(0, disk.size), "", "."
    except SourceError as error:
        return b"", error.problem, error.message
