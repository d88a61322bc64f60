"""Source-specs: what is taken, what is refused and with which sentence, and where secrets are."""

import contextlib
import csv
import json
from errno import EINVAL
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rbdmigrate.model.codec import from_plain, to_plain
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.mon_hosts import parse_mon_host
from rbdmigrate.model.source_spec import (
    SourceSpec,
    StreamSpec,
    parse_source_spec,
    unsupported,
)

FILE = {"type": "file", "file_path": "/mnt/image.raw"}
HTTP = {"type": "http", "url": "https://images.example:8443/a%20b.qcow2"}
S3 = {"type": "s3", "url": "http://s3.example/b/o", "access_key": "AKEY", "secret_key": "SKEY"}
NBD = {"type": "nbd", "uri": "nbd://nbd.example/disk"}
NATIVE = {"type": "native", "pool_name": "hdd", "image_name": "disk", "snap_name": "snap"}
PLANTED_KEY = "AQPLANTEDPLANTEDPLANTEDPLANTEDPLANTEDPL=="
OTHER = {
    **NATIVE, "mon_host": "10.0.0.1,10.0.0.2", "key": PLANTED_KEY, "client_name": "client.import",
}  # fmt: skip


def parse(plain):
    return parse_source_spec(json.dumps(plain))


TAKEN = [
    ({"type": "raw", "stream": FILE}, "raw over file /mnt/image.raw"),
    ({"type": "qcow", "stream": HTTP}, "qcow over https://images.example:8443/a%20b.qcow2"),
    ({"type": "raw", "stream": S3}, "raw over s3 http://s3.example/b/o"),
    ({"type": "raw", "stream": NBD}, "raw over nbd://nbd.example/disk"),
    (
        {"type": "raw", "stream": {"type": "nbd", "uri": "nbd+unix:///x?socket=/run/nbd.sock"}},
        "raw over nbd+unix:///x?socket=/run/nbd.sock",
    ),
    (
        {
            "type": "raw",
            "stream": FILE,
            "snapshots": [{"type": "raw", "name": "one", "stream": S3}],
        },
        "raw over file /mnt/image.raw",
    ),
    (
        {
            "type": "raw",
            "stream": {
                **FILE, "compression": "xz", "size": 1048576, "checksum": "md5:" + "0" * 32,
            },
        },
        "raw over file /mnt/image.raw",
    ),
    ({"type": "vmdk", "stream": {**FILE, "member": "disk.vmdk"}}, "vmdk over file /mnt/image.raw"),
    (
        {"type": "raw", "stream": {**HTTP, "query": "config://a", "ca": "config://b"}},
        "raw over https://images.example:8443/a%20b.qcow2",
    ),
    (
        {"type": "raw", "stream": {**S3, "region": "eu-central-1", "session_token": "TOKEN"}},
        "raw over s3 http://s3.example/b/o",
    ),
    (NATIVE, "hdd/disk@snap"),
    (OTHER, "hdd/disk@snap at 10.0.0.1"),
    ({**NATIVE, "pool_namespace": "ns"}, "hdd/ns/disk@snap"),
    (
        {
            "type": "native", "pool_id": 4, "image_name": "disk", "image_id": "10ab", "snap_id": 7,
            "cluster_name": "old", "client_name": "client.import",
        },
        "old:pool 4/disk@snapshot 7",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("plain", "label"), TAKEN)
def test_what_is_taken_goes_to_librbd_unchanged(plain, label):
    spec = parse(plain)
    assert spec.to_plain() == plain
    assert spec.label() == label
    assert parse_source_spec(spec.to_json()) == spec
    assert from_plain(SourceSpec, to_plain(spec)) == spec


def test_ids_may_be_texts_and_the_default_namespace_empty():
    plain = {"type": "native", "pool_id": "4", "image_name": "i", "snap_id": "12"}
    spec = parse({**plain, "pool_namespace": ""})
    assert (spec.pool_id, spec.snap_id, spec.pool_namespace) == (4, 12, None)


# How to make each refused text, and what it is an example of. The sentence is in the documentation.
REFUSED = [
    ("", "no text"),
    ("{", "cut off"),
    ("[]", "no object"),
    ("null", "no object"),
    ('{"type": "raw", "type": "raw"}', "a field twice"),
    ('{"type": "native", "pool_id": NaN}', "a number that JSON does not have"),
    ("[" * 20000, "nested deeply"),
    (
        '{"type": "raw", "stream": {"type": "file", "file_path": "/' + "x" * 70000 + '"}}',
        "too long",
    ),
    ('{"type": "native", "pool_id": 1' + "0" * 5000 + "}", "a number without end"),
    ({"stream": FILE}, "no type"),
    ({"type": 1, "stream": FILE}, "a type that is no text"),
    ({"type": "qcow2", "stream": FILE}, "the format's usual name"),
    ({"type": "QCOW", "stream": FILE}, "capitals"),
    ({"type": "qed", "stream": FILE}, "another format"),
    ({"type": "vhd", "stream": FILE}, "another format's usual name"),
    ({"type": "vmdk", "stream": FILE, "passphrase": "PLANTED"}, "a passphrase of what has none"),
    ({"type": "qcow", "stream": FILE, "passphrase": 1}, "a passphrase that is no text"),
    ({"type": "qcow", "stream": FILE, "passphrase": "config://"}, "no config-key"),
    ({"type": "luks", "stream": FILE}, "encryption is no format"),
    ({"type": "raw"}, "no stream"),
    ({"type": "raw", "stream": "/mnt/image.raw"}, "a stream that is no object"),
    ({"type": "raw", "streams": FILE}, "an unknown field"),
    ({"type": "raw", "stream": {"file_path": "/a"}}, "a stream without type"),
    ({"type": "raw", "stream": {"type": "ftp", "url": "ftp://a/b"}}, "an unknown stream"),
    ({"type": "raw", "stream": {"type": "https", "url": "https://a/b"}}, "https is no type"),
    ({"type": "raw", "stream": {"type": "file"}}, "no path"),
    ({"type": "raw", "stream": {"type": "file", "path": "/a"}}, "another name for a field"),
    ({"type": "raw", "stream": {"type": "file", "file_path": "image.raw"}}, "a relative path"),
    ({"type": "raw", "stream": {"type": "file", "file_path": ""}}, "an empty path"),
    ({"type": "raw", "stream": {"type": "file", "file_path": "/a\u0000b"}}, "a control character"),
    ({"type": "raw", "stream": {"type": "file", "file_path": ["/a"]}}, "a path that is a list"),
    ({"type": "raw", "stream": {"type": "http", "url": "images.example/a"}}, "no scheme"),
    ({"type": "raw", "stream": {"type": "http", "url": "ftp://images.example/a"}}, "no web"),
    ({"type": "raw", "stream": {"type": "http", "url": "http:10.0.0.1:80/a"}}, "slashes forgotten"),
    ({"type": "raw", "stream": {"type": "http", "url": "http:///a"}}, "no host"),
    ({"type": "raw", "stream": {"type": "http", "url": "http://h:99999/a"}}, "no port"),
    ({"type": "raw", "stream": {"type": "http", "url": "http://[::1]/a"}}, "IPv6"),
    ({"type": "raw", "stream": {"type": "http", "url": "http://me:PLANTED@h/a"}}, "a password"),
    ({"type": "raw", "stream": {**S3, "url": "http://h/a/b?sig=PLANTED"}}, "a signed URL for S3"),
    ({"type": "raw", "stream": {"type": "http", "url": "http://h/a;v=1"}}, "parameters"),
    ({"type": "raw", "stream": {"type": "http", "url": "http://h/a#b"}}, "a fragment"),
    ({"type": "raw", "stream": {"type": "http", "url": "http://h/a b"}}, "a space"),
    ({"type": "raw", "stream": {"type": "http", "url": "http://h/\u00e9"}}, "no ASCII"),
    ({"type": "raw", "stream": {**S3, "region": "e u"}}, "a region with a space"),
    ({"type": "raw", "stream": {**S3, "ca": "-----BEGIN"}}, "certificates in the source-spec"),
    (
        {"type": "raw", "stream": {"type": "http", "url": "http://h/a", "ca": "config://ca"}},
        "certificates without TLS",
    ),
    (
        {"type": "raw", "stream": {"type": "http", "url": "http://h/a?x", "query": "y"}},
        "two queries",
    ),
    ({"type": "raw", "stream": {**FILE, "compression": "lz4"}}, "an unknown compression"),
    ({"type": "raw", "stream": {**FILE, "size": "1G"}}, "a size as text"),
    ({"type": "raw", "stream": {**FILE, "size": 0}}, "no size"),
    ({"type": "raw", "stream": {**FILE, "member": ""}}, "a file without a name"),
    ({"type": "raw", "stream": {**FILE, "checksum": "crc32:0"}}, "an unknown checksum"),
    ({"type": "raw", "stream": {**FILE, "checksum": "sha256:12"}}, "a short checksum"),
    (
        {"type": "raw", "stream": {"type": "nbd", "uri": "nbd://h/x", "compression": "gzip"}},
        "a compressed network block device",
    ),
    ({"type": "raw", "stream": {"type": "s3", "url": "http://h/b/o"}}, "no keys"),
    ({"type": "raw", "stream": {**S3, "secret_key": 7}}, "a key that is no text"),
    ({"type": "raw", "stream": {**S3, "secret_key": "PLANTED\n"}}, "a line break"),
    ({"type": "raw", "stream": {**S3, "secret_key": "config://"}}, "no config-key"),
    ({"type": "raw", "stream": {"type": "nbd", "url": "nbd://h/x"}}, "another name for a field"),
    ({"type": "raw", "stream": {"type": "nbd", "uri": "nbds://h/x"}}, "NBD with TLS"),
    ({"type": "raw", "stream": {"type": "nbd", "uri": "nbd+unix:///x"}}, "no socket"),
    ({"type": "raw", "stream": {"type": "nbd", "uri": "nbd://u:PLANTED@h/x"}}, "a password"),
    ({"type": "qcow", "stream": FILE, "snapshots": []}, "snapshots in addition to a qcow file"),
    ({"type": "raw", "stream": FILE, "snapshots": {}}, "snapshots that are no list"),
    ({"type": "raw", "stream": FILE, "snapshots": ["one"]}, "a snapshot that is no object"),
    (
        {
            "type": "raw",
            "stream": FILE,
            "snapshots": [{"type": "qcow", "name": "one", "stream": FILE}],
        },
        "a snapshot of another format",
    ),
    (
        {"type": "raw", "stream": FILE, "snapshots": [{"type": "raw", "stream": FILE}]},
        "a snapshot without name",
    ),
    (
        {
            "type": "raw",
            "stream": FILE,
            "snapshots": [{"type": "raw", "name": "a@b", "stream": FILE}],
        },
        "a snapshot that RBD cannot name",
    ),
    (
        {
            "type": "raw",
            "stream": FILE,
            "snapshots": [{"type": "raw", "name": "one", "stream": FILE}] * 2,
        },
        "one name for two snapshots",
    ),
    ({"type": "native", "image_name": "i", "snap_name": "s"}, "no pool"),
    ({**NATIVE, "pool_id": 4}, "two pools"),
    ({"type": "native", "pool_name": "p", "snap_name": "s"}, "no image"),
    ({"type": "native", "pool_name": "p", "image_name": "i"}, "no snapshot"),
    ({**NATIVE, "snap_id": 4}, "two snapshots"),
    ({"type": "native", "pool_id": -1, "image_name": "i", "snap_name": "s"}, "no id"),
    ({"type": "native", "pool_id": True, "image_name": "i", "snap_name": "s"}, "no id"),
    ({**NATIVE, "stream": FILE}, "a stream where none belongs"),
    ({**NATIVE, "image_name": "p/i"}, "a name that is a spec"),
    ({**NATIVE, "client_name": "client.a"}, "a client without cluster"),
    ({**NATIVE, "cluster_name": "../x"}, "a cluster that is a path"),
    ({**NATIVE, "cluster_name": "old", "client_name": "admin"}, "a client without type"),
    ({**NATIVE, "mon_host": "10.0.0.1"}, "a cluster without key"),
    ({**NATIVE, "key": PLANTED_KEY}, "a key without cluster"),
    ({**OTHER, "cluster_name": "old"}, "two clusters"),
    ({**OTHER, "mon_host": "10.0.0.1/24"}, "monitors that are a network"),
    ({**OTHER, "mon_host": "a:70000"}, "a monitor without port"),
    ({**OTHER, "mon_host": ",;"}, "no monitor"),
    ({**OTHER, "key": "PLANTED!"}, "a key that is none"),
    ({**OTHER, "key": "config://"}, "no config-key for the key"),
]
_CASES = [(t if isinstance(t, str) else json.dumps(t), what) for t, what in REFUSED]
_TABLE = Path(__file__).parents[2] / "doc" / "reference" / "refused-sources.csv"


def refusal(text):
    with pytest.raises(MigrationError) as caught:
        parse_source_spec(text)
    return caught.value


@pytest.mark.parametrize("text", [text for text, _ in _CASES])
def test_what_is_refused_gets_one_sentence_with_no_secret(text):
    error = refusal(text)
    assert error.errno == EINVAL
    assert error.message.endswith(".")
    assert "\n" not in error.message
    assert "PLANTED" not in error.message
    assert len(error.message) < 400


def test_a_url_in_capital_letters_is_refused_with_the_way_to_write_it():
    stream = {"type": "http", "url": "HTTP://host/disk.raw"}
    message = str(refusal(json.dumps({"type": "raw", "stream": stream})))
    assert "write http:// or https:// in lower case" in message


def test_the_documentation_lists_every_refusal():
    rows = []
    for text, what in _CASES:
        error = refusal(text)
        shown = text if len(text) < 200 else text[:40] + " ..."
        rows.append([what, shown.replace("PLANTED", "SECRET"), error.code, error.message])
    with _TABLE.open(encoding="utf-8", newline="") as table:
        assert list(csv.reader(table)) == rows
    assert len(rows) >= 40


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
NAMES = [
    "type", "stream", "snapshots", "file_path", "url", "uri", "access_key", "secret_key", "name",
    "pool_name", "pool_id", "image_name", "image_id", "snap_name", "snap_id", "cluster_name",
    "mon_host", "key",
]  # fmt: skip
values = st.sampled_from(
    ["raw", "qcow", "native", "file", "http", "s3", "nbd", "/a", "http://h/a", "nbd://h/x", 3]
)
near = st.recursive(
    values | json_like,
    lambda inner: (
        st.dictionaries(st.sampled_from(NAMES), inner, max_size=6) | st.lists(inner, max_size=2)
    ),
    max_leaves=20,
)


@given(st.text(max_size=200) | json_like.map(json.dumps) | near.map(json.dumps))
def test_no_text_gives_anything_but_a_spec_or_a_refusal(text):
    spec = error = None
    try:
        spec = parse_source_spec(text)
    except MigrationError as refused:
        error = refused
    if spec:
        assert parse_source_spec(spec.to_json()) == spec
        assert spec.label()
    else:
        assert error.errno == EINVAL
        assert error.message.endswith(".")
        assert error.message.isprintable()


plain_text = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_characters="/@\x7f"),
    min_size=1,
    max_size=20,
).filter(str.isprintable)
keys = st.text(st.sampled_from("ABCxyz0189+/="), max_size=30).map("PLANTED".__add__)
streams = st.one_of(
    st.builds(lambda p: {"type": "file", "file_path": "/" + p}, plain_text),
    st.just(HTTP),
    st.just(NBD),
    st.builds(lambda a, s: {**S3, "access_key": a, "secret_key": s}, keys, keys),
)
raws = st.builds(
    lambda head, snapshots: {
        "type": "raw",
        "stream": head,
        "snapshots": [
            {"type": "raw", "name": name, "stream": stream} for name, stream in snapshots.items()
        ],
    },
    streams,
    st.dictionaries(plain_text, streams, min_size=1, max_size=3),
)


@settings(max_examples=50)
@given(raws | st.builds(lambda s: {"type": "qcow", "stream": s}, streams))
def test_every_spec_reads_back_and_hides_its_secrets(plain):
    spec = parse(plain)
    assert spec.to_plain() == plain
    secrets = spec.secrets()
    moved, stored = spec.with_secrets_at("rbd/migration/0ab1")
    for shown in (spec.label(), json.dumps(spec.redacted()), repr(spec), moved.to_json()):
        assert "PLANTED" not in shown
    assert sorted(stored.values()) == sorted(secrets.values())
    assert len(stored) == len(secrets)
    assert moved.secrets() == {}
    assert moved.label() == spec.label()
    assert parse_source_spec(moved.to_json()) == moved
    assert moved.with_secrets_at("x") == (moved, {})


def test_references_are_left_alone():
    spec = parse({"type": "raw", "stream": {**S3, "access_key": "config://s3/a"}})
    assert spec.secrets() == {"stream.secret_key": "SKEY"}
    moved, stored = spec.with_secrets_at("rbd/migration/7")
    assert stored == {"rbd/migration/7/stream.secret_key": "SKEY"}
    assert moved.stream == StreamSpec(
        "s3",
        url="http://s3.example/b/o",
        access_key="config://s3/a",
        secret_key="config://rbd/migration/7/stream.secret_key",
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10.0.0.1", [("", "10.0.0.1", 0)]),
        ("10.0.0.1,mon-b.example:6789", [("", "10.0.0.1", 0), ("", "mon-b.example", 6789)]),
        ("10.0.0.1; 10.0.0.2", [("", "10.0.0.1", 0), ("", "10.0.0.2", 0)]),
        (
            "[v2:10.0.0.1:3300/0,v1:10.0.0.1:6789/0] [v2:[fd00::1]:3300,v1:[fd00::1]:6789]",
            [
                ("v2", "10.0.0.1", 3300),
                ("v1", "10.0.0.1", 6789),
                ("v2", "fd00::1", 3300),
                ("v1", "fd00::1", 6789),
            ],
        ),
        ("v1:10.0.0.1:6789", [("v1", "10.0.0.1", 6789)]),
        ("[fd00::1]:3300", [("", "fd00::1", 3300)]),
    ],
)
def test_the_monitors_of_another_cluster(text, found):
    parsed = parse_mon_host(text)
    assert [(mon.protocol, mon.host, mon.port) for mon in parsed] == found
    again = parse_mon_host(",".join(mon.at(mon.host) for mon in parsed))
    assert again == parsed


@given(st.text(max_size=60) | st.text("v12:[]0,. ;a/", max_size=30))
def test_no_list_of_monitors_gives_anything_but_addresses_or_a_refusal(text):
    with contextlib.suppress(ValueError):
        assert all(mon.host and mon.port < 65536 for mon in parse_mon_host(text))


def test_a_spec_of_another_cluster_hides_its_key():
    spec = parse(OTHER)
    assert spec.elsewhere
    assert not spec.read_by_librbd
    assert spec.label() == "hdd/disk@snap at 10.0.0.1"
    assert spec.secrets() == {"key": PLANTED_KEY}
    assert "PLANTED" not in repr(spec)
    assert spec.redacted() == {**OTHER, "key": "***"}
    moved, stored = spec.with_secrets_at("rbd/migration/7")
    assert stored == {"rbd/migration/7/key": PLANTED_KEY}
    assert moved.key == "config://rbd/migration/7/key"
    assert moved.config_keys() == ["rbd/migration/7/key"]
    assert parse_source_spec(moved.to_json()) == moved


def test_another_cluster_by_name_is_refused_and_nothing_else():
    sentence = unsupported(parse({**NATIVE, "cluster_name": "old"}))
    assert "mon_host" in sentence
    assert unsupported(parse(OTHER)) is None
    assert unsupported(parse(NATIVE)) is None
    assert unsupported(parse({"type": "raw", "stream": NBD})) is None
