"""Which config-keys imports may use, and which servers may get their values."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.model.import_policy import ImportPolicy, parse_import_policy
from rbdmigrate.model.import_source import Import
from rbdmigrate.model.references import (
    own_keys,
    references,
    refuse_import,
    refuse_reference,
    refuse_references,
)
from rbdmigrate.model.source_spec import parse_source_spec

URL = "https://s3.example/b/o"
OPEN = ImportPolicy(hosts=("s3.example",))
KEY = "rbd/migration-source/s3"
CLOSED = [
    "mgr/dashboard/jwt_secret",
    "mgr/cephadm/registry_credentials",
    "dm-crypt/osd/0/luks",
    "config/mgr/mgr/x/password",
    "config-history/1/+mgr/x",
    "daemon-private/mgr.x/y",
    "rbd/mirror/peer/1/0",
    "rbd/migration/235bf36ad5de/stream.secret_key",
]


def spec(url=URL, access=f"config://{KEY}", secret="x", **more):
    stream = {"type": "s3", "url": url, "access_key": access, "secret_key": secret}
    return parse_source_spec(json.dumps({"type": "raw", "stream": stream, **more}))


def test_a_key_below_the_prefix_may_go_to_a_host_that_is_named():
    assert refuse_reference(OPEN, KEY, URL, frozenset()) is None


@pytest.mark.parametrize(
    "key", ["imports/s3", "rbd/migration-sourcex", "rbd/migration-source", "/"]
)
def test_no_other_key_is_open(key):
    assert "import_config_keys" in refuse_reference(OPEN, key, URL, frozenset())


@pytest.mark.parametrize("key", CLOSED)
def test_secrets_of_the_cluster_and_of_other_imports_are_closed_whatever_the_option(key):
    for opened in (key, key.partition("/")[0] + "/", "rbd/", "rbd/migration-source/"):
        policy = ImportPolicy(hosts=("s3.example",), config_keys=(opened,))
        assert "never used" in refuse_reference(policy, key, URL, frozenset())


@pytest.mark.parametrize("key", CLOSED)
def test_the_option_does_not_take_them(key):
    with pytest.raises(ValueError, match="other secrets"):
        parse_import_policy("", "", f"rbd/migration-source/, {key}")


def test_the_option_takes_prefixes_and_single_keys():
    policy = parse_import_policy("", "s3.example", "imports/ own/key")
    assert refuse_reference(policy, "imports/a/b", URL, frozenset()) is None
    assert refuse_reference(policy, "own/key", URL, frozenset()) is None
    for key in ("own/key2", "own/", "importsx", KEY):
        assert refuse_reference(policy, key, URL, frozenset()) is not None


def test_a_key_is_sent_over_https_alone_unless_an_option_says_otherwise():
    url = URL.replace("https", "http")
    assert "without encryption" in refuse_reference(OPEN, KEY, url, frozenset())
    open_http = parse_import_policy("", "s3.example", over_http=True)
    assert refuse_reference(open_http, KEY, url, frozenset()) is None


HOSTS = [
    ((), "s3.example", False),  # all hosts may be read from, and none gets a key
    (("*.example",), "s3.example", True),
    (("*.example",), "s3.example.evil", False),
    (("10.0.0.0/8",), "s3.example", False),  # whose address anybody may choose
    (("10.0.0.0/8",), "10.1.2.3", True),
    (("10.0.0.7",), "10.0.0.7", True),
    (("10.0.0.7",), "10.0.0.8", False),
]


@pytest.mark.parametrize(("hosts", "host", "sent"), HOSTS)
def test_a_key_goes_to_hosts_that_are_named_alone(hosts, host, sent):
    refused = refuse_reference(
        ImportPolicy(hosts=hosts), KEY, f"https://{host}:444/b/o", frozenset()
    )
    assert (refused is None) is sent
    assert sent or "import_hosts" in refused


def test_what_was_given_with_an_import_goes_where_it_was_given_for():
    key = "rbd/migration/m1/stream.secret_key"
    own = own_keys("m1", (key,))
    assert refuse_reference(ImportPolicy(), key, "http://anywhere/b/o", own) is None


@pytest.mark.parametrize(
    ("ident", "key"),
    [("m1", "rbd/migration/m2/x"), ("m1", "mgr/x"), ("", "rbd/migration//x"), ("m", CLOSED[-1])],
)
def test_a_record_cannot_call_the_keys_of_others_its_own(ident, key):
    assert own_keys(ident, (key,)) == frozenset()


def test_every_reference_of_a_spec_is_looked_at():
    snapshot = {"type": "raw", "name": "s", "stream": {"type": "s3", "url": URL,
                "access_key": "x", "secret_key": "config://mgr/x"}}  # fmt: skip
    both = spec(snapshots=[snapshot])
    assert [r.path for r in references(both)] == [
        "stream.access_key",
        "snapshots[0].stream.secret_key",
    ]
    assert refuse_references(spec(), OPEN) is None
    assert "mgr/x" in refuse_references(both, OPEN)
    assert "mgr/x" in refuse_references(spec(secret="config://mgr/x"), OPEN)


def test_a_recorded_import_is_judged_by_the_options_of_now():
    """Version 0.1 accepted any config-key, and options change."""
    former = Import(spec(access="config://imports/s3").to_json())
    assert "import_config_keys" in refuse_import(former, "m1", OPEN)
    assert refuse_import(former, "m1", parse_import_policy("", "s3.example", "imports/s3")) is None
    stored = "rbd/migration/m1/stream.access_key"
    ours = Import(spec(access=f"config://{stored}").to_json(), secrets=(stored,))
    assert refuse_import(ours, "m1", ImportPolicy()) is None
    assert refuse_import(ours, "m2", ImportPolicy()) is not None
    assert "cannot be read" in refuse_import(Import("{}"), "m1", OPEN)
    assert refuse_import(Import('{"type": "raw", "stream": {"type": "file", '
                                '"file_path": "/x"}}'), "m1", ImportPolicy()) is None  # fmt: skip


@pytest.mark.parametrize(
    "more",
    ['x", "key": "mgr/dashboard/jwt_secret', "x\\u0022", "x\n", "a b", "x\x00", "\u00e9", "{x}"],
)
def test_a_key_cannot_change_the_command_that_librbd_makes_of_it(more):
    """librbd puts it between quotes into a JSON text, as it is."""
    assert "letters, digits" in refuse_reference(OPEN, KEY + more, URL, frozenset())


@given(st.text(max_size=40))
def test_nothing_outside_the_prefix_is_ever_sent_by_default(key):
    assert refuse_reference(OPEN, key, URL, frozenset()) is not None


@given(st.from_regex(r"[A-Za-z0-9._/-]{0,40}", fullmatch=True))
def test_everything_below_the_prefix_may_be_sent_by_default(rest):
    assert refuse_reference(OPEN, f"rbd/migration-source/{rest}", URL, frozenset()) is None


def test_an_import_whose_keys_are_in_the_header_alone_is_left_to_plain_rbd():
    spec = parse_source_spec(
        '{"type": "raw", "stream": {"type": "s3", "url": "https://s3.example/b/o", '
        '"access_key": "AKEY", "secret_key": "SKEY"}}'
    )
    adopted = Import(json.dumps(spec.redacted()))
    refused = refuse_import(adopted, "m1", ImportPolicy())
    assert "`rbd migration execute`" in refused
    assert refuse_import(Import(spec.to_json()), "m1", ImportPolicy()) is None
