"""Reading lists of disks: the indexes of web servers, folders, buckets, and their bounds."""

import importlib.util
import json
from dataclasses import replace
from errno import E2BIG, EBADMSG, EINVAL, EPERM
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from qa.workload.web_behaviour import Behaviour
from qa.workload.web_server import WebServer
from rbdmigrate.model.import_policy import ImportPolicy
from rbdmigrate.model.source import StreamSpec
from rbdmigrate.model.source_list import SourceList
from rbdmigrate.model.url import parse_url
from rbdmigrate.sources import SourceError
from rbdmigrate.sources.limits import Limits
from rbdmigrate.sources.lists import bucket, read
from rbdmigrate.sources.lists.web_index import names

URL = "http://h/exports/"

# Lines of the pages of nginx 1.22, Apache 2.4 (HTMLTable), lighttpd 1.4 and Python 3.11.
NGINX = b"""<h1>Index of /exports/</h1><hr><pre><a href="../">../</a>
<a href="sub/">sub/</a>                                  28-Nov-2026 08:26                   -
<a href="100%25.qcow2">100%.qcow2</a>                    28-Nov-2026 08:26                   0
<a href="a%26b.qcow2">a&amp;b.qcow2</a>                  28-Nov-2026 08:26                   0
<a href="b%3Bc.qcow2">b;c.qcow2</a>                      28-Nov-2026 08:26                   0
<a href="gr%C3%BCn.qcow2">gr\xc3\xbcn.qcow2</a>          28-Nov-2026 08:26                   0
<a href="semi%3Acolon.vmdk">semi:colon.vmdk</a>          28-Nov-2026 08:26                   0
</pre>"""
APACHE = b"""<table>
<tr><th><a href="?C=N;O=D">Name</a></th><th><a href="?C=M;O=A">Last modified</a></th></tr>
<tr><td valign="top">&nbsp;</td><td><a href="/">Parent Directory</a></td><td>&nbsp;</td></tr>
<tr><td valign="top">&nbsp;</td><td><a href="100%25.qcow2">100%.qcow2</a></td><td>  0 </td></tr>
<tr><td valign="top">&nbsp;</td><td><a href="a&amp;b.qcow2">a&amp;b.qcow2</a></td><td>  0 </td></tr>
<tr><td valign="top">&nbsp;</td><td><a href="b;c.qcow2">b;c.qcow2</a></td><td>  0 </td></tr>
<tr><td valign="top">&nbsp;</td><td><a href="gr%c3%bcn.qcow2">gr\xc3\xbcn.qcow2</a></td></tr>
<tr><td valign="top">&nbsp;</td><td><a href="./semi:colon.vmdk">semi:colon.vmdk</a></td></tr>
<tr><td valign="top">&nbsp;</td><td><a href="sub/">sub/</a></td></tr></table>"""
LIGHTTPD = b"""<tr class="d"><td class="n"><a href="../">..</a>/</td></tr>
<tr class="d"><td class="n"><a href="sub/">sub</a>/</td><td class="t">Directory</td></tr>
<tr><td class="n"><a href="100%25.qcow2">100%.qcow2</a></td><td class="s">0.0K</td></tr>
<tr><td class="n"><a href="a%26b.qcow2">a&#x26;b.qcow2</a></td></tr>
<tr><td class="n"><a href="b%3Bc.qcow2">b;c.qcow2</a></td></tr>
<tr><td class="n"><a href="gr%C3%BCn.qcow2">gr\xc3\xbcn.qcow2</a></td></tr>
<tr><td class="n"><a href="semi%3Acolon.vmdk">semi:colon.vmdk</a></td></tr>"""
PAGES = {"nginx": NGINX, "Apache": APACHE, "lighttpd": LIGHTTPD}
FILES = ["100%25.qcow2", "a&b.qcow2", "b%3Bc.qcow2", "gr%C3%BCn.qcow2", "semi:colon.vmdk"]


def plain(found):
    """Names with the same letters encoded."""
    return sorted(
        name.replace("%26", "&").replace("%3A", ":").replace("%c3%bc", "%C3%BC") for name in found
    )


@pytest.mark.parametrize("server", PAGES)
def test_the_index_of_a_server(server):
    assert plain(names(PAGES[server], "text/html", URL)) == FILES


def test_the_index_of_nginx_in_json():
    entries = [{"name": "sub", "type": "directory"}]
    entries += [{"name": n, "type": "file", "size": 0} for n in ("b;c.qcow2", "grün.raw", "a/b")]
    content = json.dumps(entries).encode()
    assert list(names(content, "application/json", URL)) == ["b%3Bc.qcow2", "gr%C3%BCn.raw"]
    with pytest.raises(SourceError, match="is no index of files") as refusal:
        list(names(b'[{"a": 1}]', "application/json", URL))
    assert refusal.value.errno == EBADMSG


@pytest.mark.parametrize(
    "link",
    [
        "http://other/exports/a", "https://h/exports/a", "//other/a", "/a", "../a", "sub/a",
        "/exports2/a", "#a", "?a", ".", "", "javascript:a", "file:///etc/a", "/exports/",
        "http://h:99999/exports/a", "http://[/a",
    ],
)  # fmt: skip
def test_links_that_lead_elsewhere_are_left_out(link):
    page = f'<a href="{link}">a</a>'.encode()
    assert list(names(page, "text/html", URL)) == []


@pytest.mark.parametrize(
    "page",
    [
        b"<a " * 1_400_000,
        b"<a href=" * 500_000,
        b'<a href="' + b"x" * (4 << 20),
        b"<a " + b" " * (4 << 20),
    ],
)
def test_no_page_takes_long(page):
    assert list(names(page, "text/html", URL)) == []


OPEN = ImportPolicy()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("www")
    (folder / "sub").mkdir()
    for name in ("web 1.qcow2", "b.raw", "list.csv", "sub/c.raw"):
        (folder / name).write_bytes(b"source\na\n")
    with WebServer(folder) as made:
        yield made


def listed(stream, policy=OPEN, wanted=lambda name: True, resolve=lambda key, url: key):
    given = SourceList(stream, format="raw")
    return read.read_names(given, policy, Limits(total=10), resolve, wanted)


def refused(stream, policy=OPEN):
    with pytest.raises(SourceError) as refusal:
        listed(stream, policy)
    assert refusal.value.message.endswith(".")
    return refusal.value


def test_a_web_server_that_lists_a_folder(server):
    url = server.url("/")
    assert listed(StreamSpec("http", url=url)) == (url, ("b.raw", "list.csv", "web%201.qcow2"))
    only = listed(StreamSpec("http", url=url), wanted=lambda name: name.endswith("raw"))
    assert only == (url, ("b.raw",))
    server.behave("/moved", Behaviour(location=server.url("/sub/")))
    assert listed(StreamSpec("http", url=server.url("/moved"))) == (server.url("/sub/"), ("c.raw",))


def test_a_server_outside_of_the_policy_is_not_reached(server):
    before = len(server.requests)
    closed = ImportPolicy(hosts=("10.0.0.0/8",))
    assert refused(StreamSpec("http", url=server.url("/")), closed).problem == "HOST_REACH"
    stream = StreamSpec("s3", url=server.url("/b/x"), access_key="a", secret_key="s")
    assert refused(stream, closed).problem == "HOST_REACH"
    assert len(server.requests) == before


def test_a_list_has_bounds(server, monkeypatch):
    stream = StreamSpec("http", url=server.url("/"))
    monkeypatch.setattr(read, "MAX_LISTED", 2)
    assert refused(stream).errno == E2BIG
    monkeypatch.setattr(read, "_LONGEST_PAGE", 100)
    assert refused(stream).problem == "LIST_TOO_LONG"


@pytest.mark.parametrize("kind", ["http", "file"])
def test_a_manifest_is_read_from(server, tmp_path, kind):
    (tmp_path / "list.csv").write_bytes("\ufeffsource\ngrün\n".encode())
    place = server.url("/list.csv") if kind == "http" else str(tmp_path / "list.csv")
    stream = StreamSpec(kind, **{"url" if kind == "http" else "file_path": place})
    given = SourceList(stream, manifest=True)
    policy = ImportPolicy((str(tmp_path),))
    base, text = read.read_text(given, policy, Limits(), lambda key, url: key, 1000)
    assert (base, text) == (place, "source\na\n" if kind == "http" else "source\ngrün\n")
    with pytest.raises(SourceError) as refusal:
        read.read_text(given, policy, Limits(), lambda key, url: key, 4)
    assert refusal.value.errno == E2BIG


def test_a_manifest_is_text(tmp_path):
    (tmp_path / "list.csv").write_bytes(b"\xff\xfe")
    given = SourceList(StreamSpec("file", file_path=str(tmp_path / "list.csv")), manifest=True)
    with pytest.raises(SourceError, match="is not text in UTF-8") as refusal:
        read.read_text(given, ImportPolicy((str(tmp_path),)), Limits(), lambda k, u: k, 1000)
    assert refusal.value.errno == EINVAL


def test_a_folder_of_the_host(tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "b.raw").touch()
    (inside / "a.raw").touch()
    (inside / "sub").mkdir()
    (inside / "leads-out").symlink_to(outside)
    policy = ImportPolicy((str(inside),))
    assert listed(StreamSpec("file", file_path=f"{inside}/"), policy)[1] == ("a.raw", "b.raw")
    for path in (outside, inside / "leads-out", inside / ".." / "out"):
        error = refused(StreamSpec("file", file_path=str(path)), policy)
        assert (error.problem, error.errno) == ("FILE_REACH", EPERM)
    assert (
        refused(StreamSpec("file", file_path=f"{inside}/none"), policy).problem == "FILE_UNREADABLE"
    )


class Gateway:
    """Answers ListObjectsV2, two objects a page; ``page`` in place of what it has."""

    def __init__(self, keys):
        self.keys, self.page, self.asked = sorted(keys), None, []
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                gateway.asked.append((self.path, self.headers["Authorization"]))
                body = gateway.answer(parse_qs(urlsplit(self.path).query))
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                """Silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # a client that closes its connection
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def answer(self, query):
        if self.page is not None:
            return self.page
        begin = int(query.get("continuation-token", ["0"])[0])
        fits = [key for key in self.keys if key.startswith(query.get("prefix", [""])[0])]
        keys = "".join(
            f"<Contents><Key>{quote(k)}</Key></Contents>" for k in fits[begin : begin + 2]
        )
        more = f"<NextContinuationToken>{begin + 2}</NextContinuationToken>"
        more = more if len(fits) > begin + 2 else ""
        inside = f"<EncodingType>url</EncodingType>{more}{keys}"
        return f"<ListBucketResult>{inside}</ListBucketResult>".encode()


@pytest.fixture
def gateway():
    made = Gateway(["ex/", "ex/web 1.qcow2", "ex/a;b.raw", "ex/sub/c.raw", "other.raw"])
    yield made
    made.stop()


def s3(gateway, path):
    return StreamSpec("s3", url=gateway.url + path, access_key="a", secret_key="s")


def test_the_objects_of_a_prefix(gateway):
    found = listed(s3(gateway, "/b/ex/"))
    assert found == (f"{gateway.url}/b/", ("ex/a%3Bb.raw", "ex/sub/c.raw", "ex/web%201.qcow2"))
    kind = "AWS4-HMAC-SHA256 Credential=a/" if importlib.util.find_spec("botocore") else "AWS a:"
    assert all(signature.startswith(kind) for _, signature in gateway.asked)
    assert listed(s3(gateway, "/b"))[1] == (*found[1], "other.raw")


def test_a_bucket_in_the_name_of_the_host(gateway):
    spec = replace(s3(gateway, "/ex/"), addressing_style="virtual")
    found = listed(spec)
    assert found == (f"{gateway.url}/", ("ex/a%3Bb.raw", "ex/sub/c.raw", "ex/web%201.qcow2"))
    assert {path.partition("?")[0] for path, _ in gateway.asked} == {"/"}
    assert listed(replace(spec, url=gateway.url))[1] == (*found[1], "other.raw")


@pytest.mark.parametrize(
    ("url", "style", "virtual"),
    [
        ("https://b.s3.amazonaws.com/x", "", True),
        ("https://a.b.s3.eu-central-1.amazonaws.com/x", "", True),
        ("https://b.s3-us-west-2.amazonaws.com/x", "", True),
        ("https://b.s3.dualstack.eu-west-1.amazonaws.com/x", "", True),
        ("https://b.s3.cn-north-1.amazonaws.com.cn/x", "", True),
        ("https://b.s3.amazonaws.com/x", "path", False),
        ("https://s3.amazonaws.com/b/x", "", False),
        ("https://s3.eu-central-1.amazonaws.com/b/x", "", False),
        ("https://b.s3.example/x", "", False),
        ("https://b.s3.amazonaws.com.example/x", "", False),
        ("https://b.s3.example/x", "virtual", True),
    ],
)
def test_where_a_bucket_is_named(url, style, virtual):
    spec = StreamSpec("s3", url=url, addressing_style=style)
    assert bucket._in_host(spec, parse_url(url)) is virtual


@pytest.mark.parametrize("page", [b"<html>", b"", b"<ListBucketResult>" + b"x" * (3 << 20)])
def test_a_server_that_is_no_s3_service(gateway, page):
    gateway.page = page
    assert refused(s3(gateway, "/b/ex")).problem == "LIST_BROKEN"


def test_a_bucket_without_an_end(gateway, monkeypatch):
    gateway.page = (
        b"<ListBucketResult><NextContinuationToken>1</NextContinuationToken><Key>a</Key>"
        b"</ListBucketResult>"
    )
    monkeypatch.setattr(bucket, "_MOST_PAGES", 3)
    assert refused(s3(gateway, "/b/")).problem == "LIST_TOO_LONG"
    assert len(gateway.asked) == 3
