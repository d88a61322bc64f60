"""Lists of disks in plans: manifests, names of targets, and what is refused with which sentence."""

import json
from dataclasses import replace
from errno import E2BIG, EEXIST, EINVAL

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.control.plans.manifest import MAX_MANIFEST, parse_manifest
from rbdmigrate.control.plans.plan_file import parse_plan, read_plan
from rbdmigrate.control.plans.selection import choose
from rbdmigrate.control.plans.source_lists import imports_of
from rbdmigrate.model.codec import from_plain, to_plain
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.plan import Definition
from rbdmigrate.model.source import StreamSpec
from rbdmigrate.model.source_list import MAX_LISTED, ListRead, ListRow, SourceList
from rbdmigrate.model.states import Method

ROWS = (
    ListRow("web.qcow2", "qcow", "", Method.COPY),
    ListRow("/srv/b.raw", "raw", "b", None, True),
)
CSV = "source, type, target, method, as_raw\nweb.qcow2,qcow,,copy\n\n/srv/b.raw,raw,b,,true\n"
YAML = """
- {source: web.qcow2, type: qcow, method: copy}
- source: /srv/b.raw
  type: raw
  target: b
  as_raw: true
"""
JSON = json.dumps(
    [
        {"source": "web.qcow2", "type": "qcow", "method": "copy"},
        {"source": "/srv/b.raw", "type": "raw", "target": "b", "as_raw": True},
    ]
)


@pytest.mark.parametrize(("text", "kind"), [(CSV, "csv"), (YAML, "yaml"), (JSON, "json")])
def test_a_manifest(text, kind):
    assert parse_manifest(text, kind, "x") == ROWS


def test_a_manifest_says_how_disks_are_packed():
    text = (
        "source,type,compression,size,member,checksum\n"
        "a.qcow2.xz,qcow,xz,1048576\nb.tar.gz,raw,gzip,,disk.raw,md5:" + "0" * 32 + "\n"
    )
    rows = parse_manifest(text, "csv", "x")
    given = SourceList(HTTP, manifest=True)
    packed, archive = imports_of(given, ListRead("https://h/exports/list.csv", rows=rows))
    assert packed.spec.stream == replace(
        HTTP, url="https://h/exports/a.qcow2.xz", compression="xz", size=1 << 20
    )
    stream = archive.spec.stream
    assert (stream.compression, stream.member) == ("gzip", "disk.raw")
    assert stream.checksum == "md5:" + "0" * 32
    assert (packed.name, archive.name) == ("a", "b")


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("source,size\na,1G", "csv", "x, disk 1 has '1G' as size, not the bytes of the disk"),
        ("", "csv", "x is empty"),
        ("a.qcow2,qcow", "csv", "x does not begin with a line of the names of its columns"),
        ("source,source\na,b", "csv", "does not begin with a line"),
        ("source,colour\na,blue", "csv", "x, disk 1 has the unknown field 'colour'"),
        ("source\na,b", "csv", "x, disk 1 has more columns than the first line names"),
        ("source,target\n,b", "csv", "x, disk 1 has no source"),
        ("source,target\na,b/c", "csv", "x, disk 1 has a target with '/' or '@'"),
        ("source,method\na,warm", "csv", "x, disk 1 has the method 'warm', not live or copy"),
        ("source,as_raw\na,yes", "csv", "x, disk 1 has 'yes' as as_raw"),
        ('source\n"a', "csv", "x is not CSV (line 2: unexpected end of data)"),
        ("source\na\x1b[1m", "csv", "x, disk 1 has a source that is no text"),
        ("[", "json", "x is not JSON"),
        ("{}", "json", "x is not a list of objects"),
        ("[1]", "json", "x is not a list of objects"),
        ('[{"source": ["a"]}]', "json", "x, disk 1 has a source that is no text"),
        ("[" * 100_000, "json", "x is not JSON"),
        ("- source: *a", "yaml", "x holds an anchor or alias"),
        ("source: a", "yaml", "x is not a list of objects"),
    ],
)
def test_a_manifest_that_is_refused(text, kind, said):
    with pytest.raises(MigrationError) as refusal:
        parse_manifest(text, kind, "x")
    assert said in str(refusal.value)
    assert refusal.value.errno == EINVAL
    assert "\n" not in str(refusal.value)
    assert str(refusal.value).endswith(".")


@pytest.mark.parametrize("kind", ["csv", "json", "yaml"])
def test_a_manifest_has_bounds(kind):
    with pytest.raises(MigrationError) as refusal:
        parse_manifest("a" * (MAX_MANIFEST + 1), kind, "x")
    assert refusal.value.errno == E2BIG


def test_a_manifest_names_no_more_disks_than_a_plan_has():
    with pytest.raises(MigrationError, match="names more than 10000 disks"):
        parse_manifest("source\n" + "a\n" * (MAX_LISTED + 1), "csv", "x")


@given(st.text(max_size=80), st.sampled_from(["csv", "json", "yaml"]))
def test_no_manifest_is_a_traceback(text, kind):
    assert "\n" not in said_about(text, kind)


def said_about(text, kind):
    """With which sentence it is refused, if it is."""
    try:
        parse_manifest(text, kind, "x")
    except MigrationError as error:
        return str(error)
    return ""


HTTP = StreamSpec("http", url="https://h/exports/", user="u", password="config://p")
S3 = StreamSpec("s3", url="https://s3/b/ex", access_key="config://a", secret_key="config://s")
FILE = StreamSpec("file", file_path="/srv")


@pytest.mark.parametrize(
    ("stream", "base", "file", "place", "name"),
    [
        (HTTP, "https://h/exports/", "web%201.qcow2", "https://h/exports/web%201.qcow2", "web 1"),
        (HTTP, "https://h/exports/", "a:b.vmdk", "https://h/exports/a:b.vmdk", "a:b"),
        (S3, "https://s3/b/", "ex/web.VHDX", "https://s3/b/ex/web.VHDX", "web"),
        (FILE, "/srv", "disk 100%41.raw.gz", "/srv/disk 100%41.raw.gz", "disk 100%41"),
        (FILE, "/", ".qcow2", "/.qcow2", ".qcow2"),
        (FILE, "/srv/", "v1.2", "/srv/v1.2", "v1.2"),
    ],
)
def test_the_disks_of_a_folder(stream, base, file, place, name):
    (found,) = imports_of(SourceList(stream, format="vmdk"), ListRead(base, (file,)))
    assert found.spec.stream.location == place
    assert found.name == name
    assert found.spec.stream.type == stream.type
    keys = ("access_key", "secret_key", "user", "password")
    assert all(getattr(found.spec.stream, key) == getattr(stream, key) for key in keys)


@pytest.mark.parametrize(
    ("source", "type_", "place", "login"),
    [
        ("a.qcow2", "http", "https://h/exports/a.qcow2", "u"),
        ("../b/a.qcow2", "http", "https://h/b/a.qcow2", "u"),
        ("https://h:443/a.qcow2", "http", "https://h:443/a.qcow2", "u"),
        ("https://other/a.qcow2", "http", "https://other/a.qcow2", ""),
        ("http://h/a.qcow2", "http", "http://h/a.qcow2", ""),
        ("/srv/a.qcow2", "file", "/srv/a.qcow2", ""),
        ("nbd://h/a", "nbd", "nbd://h/a", ""),
    ],
)
def test_a_login_is_for_disks_of_the_manifest_s_server_alone(source, type_, place, login):
    given = SourceList(HTTP, manifest=True, format="qcow")
    (found,) = imports_of(given, ListRead("https://h/exports/list.csv", rows=(ListRow(source),)))
    stream = found.spec.stream
    assert (stream.type, stream.location, stream.user) == (type_, place, login)
    assert bool(stream.password) is bool(login)


def test_a_manifest_in_a_folder_names_what_is_next_to_it():
    given = SourceList(FILE, manifest=True, format="qcow")
    rows = tuple(map(ListRow, ("a.qcow2", "b/c.qcow2", "http://h/d")))
    places = [f.spec.stream.location for f in imports_of(given, ListRead("/srv/l.csv", rows=rows))]
    assert places == ["/srv/a.qcow2", "/srv/b/c.qcow2", "http://h/d"]


@pytest.mark.parametrize(
    ("row", "kind", "said"),
    [
        (ListRow("a"), "", "x, disk 1 has no type, and the list has none"),
        (ListRow("a", "qcow2"), "", "x, disk 1: type in the source-spec is 'qcow2'"),
        (ListRow("http://h/a?b"), "qcow", "x, disk 1 has stream.query, which may be a secret"),
        (ListRow("a", method=Method.LIVE), "vmdk", "has the method live, and librbd does not"),
        (ListRow("a", as_raw=True), "qcow", "has as_raw, which is for the type raw"),
        (ListRow("a", compression="lz4"), "raw", "stream.compression in the source-spec is none"),
        (ListRow("a", checksum="md5:x"), "raw", "x, disk 1: stream.checksum in the source-spec"),
        (ListRow("a", compression="xz", method=Method.LIVE), "raw", "has the method live, and"),
    ],
)
def test_rows_that_are_refused(row, kind, said):
    given = SourceList(StreamSpec("file", file_path="x"), manifest=True, format=kind)
    with pytest.raises(MigrationError) as refusal:
        list(imports_of(given, ListRead("/srv/x", rows=(row,))))
    assert said in str(refusal.value)
    assert refusal.value.errno == EINVAL


PLAN = """
plan: p
map: {target_pool: nvme, target_namespace: n, name: "old-{name}"}
lists:
  - folder: {type: s3, url: "https://s3/b/ex", access_key: "config://a", secret_key: "config://s"}
    type: qcow
    name: "*.qcow2"
    exclude: ["tmp*"]
    method: copy
    passphrase: config://rbd/migration-source/web
  - manifest: {type: http, url: "https://h/list.yaml"}
  - type: raw
    manifest: |
      source,target
      /srv/a.raw,
      http://h/b.raw,own
"""


def test_a_plan_with_lists():
    found = parse_plan(PLAN, "rbd")
    key = "config://rbd/migration-source/web"
    assert found.lists == (
        SourceList(S3, False, "qcow", "*.qcow2", ("tmp*",), Method.COPY, key),
        SourceList(StreamSpec("http", url="https://h/list.yaml"), manifest=True),
        SourceList(
            manifest=True,
            format="raw",
            rows=(ListRow("/srv/a.raw"), ListRow("http://h/b.raw", target="own")),
        ),
    )
    assert found.home == "nvme"
    assert found.places() == {("nvme", "n")}
    assert from_plain(Definition, to_plain(found)) == found


def read(given):
    if given.rows:
        return ListRead("", rows=given.rows)
    if given.manifest:
        return ListRead("https://h/list.yaml", rows=(ListRow("c.raw", "raw", as_raw=True),))
    return ListRead("https://s3/b/", ("ex/web.qcow2", "ex/db.qcow2"))


def test_the_images_of_a_plan_with_lists():
    items = choose(parse_plan(PLAN, "rbd"), lambda selector: [], lambda: "id", read)
    assert [(str(i.target), i.source.image, i.method, i.as_raw) for i in items] == [
        ("nvme/n/old-web", "qcow over s3 https://s3/b/ex/web.qcow2", Method.COPY, False),
        ("nvme/n/old-db", "qcow over s3 https://s3/b/ex/db.qcow2", Method.COPY, False),
        ("nvme/n/old-c", "raw over https://h/c.raw", None, True),
        ("nvme/n/old-a", "raw over file /srv/a.raw", None, False),
        ("nvme/n/own", "raw over http://h/b.raw", None, False),
    ]
    assert json.loads(items[0].source_spec)["stream"]["access_key"] == "config://a"


def test_disks_of_one_name_are_refused_with_a_way_out():
    with pytest.raises(MigrationError) as refusal:
        choose(
            parse_plan(PLAN, "rbd"),
            lambda selector: [],
            lambda: "id",
            lambda given: ListRead("https://s3/b/", ("a/web.qcow2", "b/web.qcow2")),
        )
    assert refusal.value.errno == EEXIST
    assert "{index}" in str(refusal.value)


FOLDER = "folder: {type: http, url: 'https://h/x/'}"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (f"{FOLDER}, type: qcow, manifest: x", "lists[0] in the plan has both a folder and"),
        ("type: qcow", "lists[0] in the plan lacks a folder and a manifest"),
        (FOLDER, "lists[0].type in the plan is missing"),
        (f"{FOLDER}, type: qed", "type in the source-spec is 'qed'"),
        (f"{FOLDER}, type: vmdk, method: live", "lists[0].method in the plan is live, and librbd"),
        (f"{FOLDER}, type: vmdk, method: warm", "lists[0].method in the plan is warm"),
        (f"{FOLDER}, type: qcow, passphrase: SECRET", "lists[0].folder.passphrase in the plan is"),
        (f"{FOLDER}, type: qcow, colour: x", "lists[0].colour in the plan is not known"),
        ("folder: {type: nbd, uri: 'nbd://h'}, type: qcow", "is of a type that has no lists"),
        ("folder: {type: http, url: x}, type: qcow", "lists[0].folder: stream.url"),
        (
            "manifest: {type: file, file_path: /srv/list}",
            "lists[0].manifest in the plan has a name",
        ),
        ("manifest: {type: file, file_path: /srv/l.csv}, name: x", "lists[0].name in the plan is"),
        ("manifest: x", "lists[0].manifest in the plan does not begin with a line"),
        (
            "folder: {type: http, url: 'https://h/', user: u, password: SECRET}, type: qcow",
            "lists[0].folder.stream.password in the plan is a secret",
        ),
    ],
)
def test_lists_that_are_refused(entry, said):
    with pytest.raises(MigrationError) as refusal:
        parse_plan(f"plan: p\nmap: {{target_pool: nvme}}\nlists: [{{{entry}}}]", "rbd")
    assert said in str(refusal.value)
    assert "SECRET" not in str(refusal.value)
    assert refusal.value.errno == EINVAL


def test_lists_need_the_pool_of_their_targets():
    with pytest.raises(MigrationError, match="target_pool in the plan is missing; lists need"):
        parse_plan(f"plan: p\nlists: [{{{FOLDER}, type: qcow}}]", "rbd")
    with pytest.raises(MigrationError, match="lists in the plan has more than 20 objects"):
        parse_plan("plan: p\nlists: [" + f"{{{FOLDER}, type: qcow}}," * 21 + "]", "rbd")


@pytest.mark.parametrize("field", [{"member": "a"}, {"checksum": "md5:" + "0" * 32}])
def test_what_is_said_of_a_single_disk_is_refused_for_a_list(field):
    folder = {"type": "http", "url": "https://h/exports/", **field}
    plan = {"plan": "p", "map": {"target_pool": "nvme"}, "lists": [{"folder": folder}]}
    plan["lists"][0]["type"] = "qcow"
    with pytest.raises(MigrationError, match="is for a single disk"):
        read_plan(plan, "rbd")
