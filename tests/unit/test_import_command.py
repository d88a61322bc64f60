"""Which of an import's arguments is the source, and which the target: as plain rbd has it."""

import json
from errno import EACCES, EINVAL, ENOENT, EPERM

import pytest

from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.spec import parse_image_spec

SPEC = json.dumps({"type": "raw", "stream": {"type": "file", "file_path": "/srv/x.raw"}})
NATIVE = json.dumps({"type": "native", "pool_name": "hdd", "image_name": "a", "snap_name": "s"})


class Engine:
    def spec(self, text, what):
        return parse_image_spec(text, "rbd", what)

    def pool_name(self, pool_id):
        if pool_id != 7:
            raise MigrationError(ENOENT, f"The pool with id {pool_id} does not exist.")
        return "hdd"


@pytest.fixture
def wanted(front_end, options):
    pytest.importorskip("prettytable")
    module, command = front_end("cli.imports"), front_end("cli.command")

    def make(inbuf=None, authorized=lambda pool, namespace: True, **args):
        call = command.Call(args, Engine(), options, authorized, inbuf)
        return module.Wanted(call) if module.asked(call) else None

    return make


def test_a_spec_of_the_command(wanted):
    found = wanted(import_only=True, source_image="ssd/b", source_spec=SPEC)
    assert (str(found.target), found.spec.format, found.logged) == ("ssd/b", "raw", True)


def test_a_file_of_another_format_may_be_wanted_as_it_is(wanted):
    args = {"import_only": True, "source_image": "ssd/b", "source_spec": SPEC}
    assert not wanted(**args).as_raw
    assert wanted(**args, as_raw=True).as_raw


def test_a_spec_of_a_file(wanted):
    found = wanted(SPEC, import_only=True, source_image="b")
    assert (str(found.target), found.spec.format, found.logged) == ("rbd/b", "raw", False)


@pytest.mark.parametrize("source", ["a@s", "hdd/a@s", "hdd/ns/a@s"])
def test_the_short_form(wanted, source):
    found = wanted(import_only=True, source_image=source, target_image="ssd/b")
    assert str(found.target) == "ssd/b"
    pool = "rbd" if source == "a@s" else "hdd"
    assert found.spec.label() == (f"{pool}/{source}" if source == "a@s" else source)


def test_nothing_of_it_without_the_switch(wanted):
    assert wanted(source_image="a", target_image="b") is None


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"source_spec": SPEC, "source_image": "b"}, "--import-only"),
        ({"inbuf": SPEC, "source_image": "b"}, "--import-only"),
        ({"inline_secrets": True, "source_image": "b"}, "--import-only"),
        ({"as_raw": True, "source_image": "b"}, "--as-raw is for imports; add --import-only"),
        (
            {"import_only": True, "as_raw": True, "source_image": "b", "source_spec": NATIVE},
            "--as-raw is for sources of the type raw, and this one is native",
        ),
        ({"import_only": True, "source_image": "a", "target_image": "b"}, "needs a source"),
        ({"import_only": True, "source_image": "a@", "target_image": "b"}, "needs a source"),
        ({"import_only": True, "source_image": "a@s"}, "needs a source"),
        (
            {
                "import_only": True,
                "source_spec": SPEC,
                "source_image": "a",
                "target_image": "b",
            },
            "leave the first out",
        ),
        (
            {"import_only": True, "source_spec": SPEC, "inbuf": SPEC, "source_image": "b"},
            "one of them",
        ),
        ({"import_only": True, "source_spec": "{", "source_image": "b"}, "not JSON"),
        ({"import_only": True, "source_spec": SPEC, "source_image": "b@s"}, "snapshot"),
    ],
)
def test_what_makes_no_sense(wanted, args, said):
    with pytest.raises(MigrationError, match=said) as caught:
        wanted(**args)
    assert caught.value.errno == EINVAL


def test_a_native_source_needs_capabilities_of_the_caller(wanted):
    args = {"import_only": True, "source_image": "ssd/b", "source_spec": NATIVE}
    with pytest.raises(MigrationError, match="do not cover the source") as caught:
        wanted(authorized=lambda pool, namespace: pool == "ssd", **args)
    assert caught.value.errno == EACCES
    assert wanted(**args)


@pytest.mark.parametrize("pool_id", [7, "7"])
def test_a_native_source_whose_pool_is_given_by_its_id_needs_the_same(wanted, pool_id):
    spec = {"type": "native", "pool_id": pool_id, "image_name": "a", "snap_name": "s"}
    args = {"import_only": True, "source_image": "ssd/b", "source_spec": json.dumps(spec)}
    with pytest.raises(MigrationError, match="do not cover the source pool 7/a@s") as caught:
        wanted(authorized=lambda pool, namespace: pool == "ssd", **args)
    assert caught.value.errno == EACCES
    assert wanted(authorized=lambda pool, namespace: pool in ("ssd", "hdd"), **args)


def test_the_id_of_no_pool_is_refused(wanted):
    spec = {"type": "native", "pool_id": 8, "image_name": "a", "snap_name": "s"}
    with pytest.raises(MigrationError, match="id 8 does not exist") as caught:
        wanted(import_only=True, source_image="ssd/b", source_spec=json.dumps(spec))
    assert caught.value.errno == ENOENT


def s3(url, key):
    stream = {"type": "s3", "url": url, "access_key": key, "secret_key": "x"}
    return json.dumps({"type": "raw", "stream": stream})


@pytest.mark.parametrize(
    ("url", "key", "option"),
    [
        ("https://s3.example/b/o", "config://mgr/dashboard/jwt_secret", "never used by imports"),
        ("https://s3.example/b/o", "config://imports/s3", "import_config_keys"),
        ("http://s3.example/b/o", "config://rbd/migration-source/s3", "over_http"),
        ("https://attacker/b/o", "config://rbd/migration-source/s3", "import_hosts"),
    ],
)
def test_a_config_key_is_refused_where_the_spec_is_read(wanted, options, url, key, option):
    options._module.set_module_option("import_hosts", "s3.example")
    options.read()
    with pytest.raises(MigrationError, match=option) as caught:
        wanted(s3(url, key), import_only=True, source_image="ssd/b")
    assert caught.value.errno == EPERM
    assert caught.value.message.endswith(".")


def test_a_config_key_that_is_open_to_imports_is_taken(wanted, options):
    options._module.set_module_option("import_hosts", "s3.example")
    options.read()
    given = s3("https://s3.example/b/o", "config://rbd/migration-source/s3")
    assert wanted(given, import_only=True, source_image="ssd/b")


def test_a_checksum_becomes_part_of_the_spec_and_means_the_method_copy(wanted):
    args = {"import_only": True, "source_image": "ssd/b", "source_spec": SPEC}
    found = wanted(**args, checksum="sha256:" + "0" * 64)
    assert found.spec.stream.checksum == "sha256:" + "0" * 64
    assert not found.spec.read_by_librbd
    with pytest.raises(MigrationError, match="sha256 has 64"):
        wanted(**args, checksum="sha256:0")
    with pytest.raises(MigrationError, match="is for files and servers"):
        wanted(
            import_only=True, source_image="ssd/b", source_spec=NATIVE, checksum="md5:" + "0" * 32
        )
    with pytest.raises(MigrationError, match="add --import-only"):
        wanted(source_image="a", target_image="b", checksum="md5:" + "0" * 32)
    both = json.loads(SPEC)
    both["stream"]["checksum"] = "sha256:" + "1" * 64
    with pytest.raises(MigrationError, match="another checksum than the source-spec has"):
        wanted(**{**args, "source_spec": json.dumps(both)}, checksum="sha256:" + "0" * 64)
