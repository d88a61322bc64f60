"""The stream file: regular files inside the open folders, whatever leads out of them."""

import csv
import json
import os
import re
import socket
from errno import EINVAL, EIO, ENOENT, EPERM, errorcode
from pathlib import Path

import pytest

from rbdmigrate.checks import CHECKS
from rbdmigrate.model.codec import from_plain, to_plain
from rbdmigrate.model.import_policy import ImportPolicy
from rbdmigrate.model.source_spec import StreamSpec, parse_source_spec
from rbdmigrate.sources import Inspection, SourceError, changes, identify, inspect, open_stream, raw
from rbdmigrate.sources.problems import BY_CODE, KINDS

_REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path):
    inside = tmp_path / "images"
    inside.mkdir()
    (inside / "disk.raw").write_bytes(b"x" * 4096)
    (tmp_path / "secret").write_bytes(b"y" * 4096)
    return inside


def stream(path, *folders):
    return open_stream(
        StreamSpec("file", file_path=str(path)), ImportPolicy(tuple(map(str, folders)))
    )


def refused(path, *folders):
    with pytest.raises(SourceError) as caught:
        stream(path, *folders)
    assert caught.value.message.endswith(".")
    return caught.value.problem, caught.value.errno


def test_a_file_is_read(folder):
    with stream(folder / "disk.raw", folder) as opened:
        assert opened.size == 4096
        assert opened.read(4000, 1000) == b"x" * 96
        assert opened.read(5000, 1) == b""
        assert set(opened.identity) == {"size", "modified"}


def test_links_are_followed_inside_alone(folder):
    (folder / "good").symlink_to(folder / "disk.raw")
    (folder / "bad").symlink_to(folder.parent / "secret")
    (folder / "up").symlink_to(folder.parent)
    with stream(folder / "good", folder) as opened:
        assert opened.size == 4096
    assert refused(folder / "bad", folder) == ("FILE_REACH", EPERM)
    assert refused(folder / "up" / "secret", folder) == ("FILE_REACH", EPERM)
    assert refused(folder / ".." / "secret", folder) == ("FILE_REACH", EPERM)


def test_what_exists_outside_is_not_told(folder):
    for name in ("secret", "nothing"):
        assert refused(folder.parent / name, folder) == ("FILE_REACH", EPERM)
        assert refused(folder.parent / name) == ("FILE_REACH", EPERM)


def test_what_is_no_regular_file(folder):
    os.mkfifo(folder / "fifo")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(folder / "socket"))
        assert refused(folder, folder) == ("FILE_NOT_REGULAR", EINVAL)
        assert refused(folder / "fifo", folder) == ("FILE_NOT_REGULAR", EINVAL)
        assert refused(folder / "socket", folder)[0] in {"FILE_NOT_REGULAR", "FILE_UNREADABLE"}
    assert refused("/dev/zero", "/dev") == ("FILE_NOT_REGULAR", EINVAL)


def test_what_is_missing(folder):
    assert refused(folder / "nothing", folder) == ("FILE_MISSING", ENOENT)
    assert refused(folder / "disk.raw" / "x", folder) == ("FILE_MISSING", ENOENT)


def test_a_file_that_shrinks_meanwhile(folder):
    with stream(folder / "disk.raw", folder) as opened:
        os.truncate(folder / "disk.raw", 100)
        with pytest.raises(SourceError) as caught:
            opened.read(0, 4096)
    assert caught.value.problem == "SOURCE_TRUNCATED"


def spec_of(folder):
    return parse_source_spec(
        f'{{"type": "raw", "stream": {{"type": "file", "file_path": "{folder}/disk.raw"}}}}'
    )


def look(folder):
    return inspect(spec_of(folder), ImportPolicy((str(folder),)))


def test_an_inspection_goes_through_json(folder):
    inspection = look(folder)
    assert inspection.size == 4096
    assert [f.code for f in inspection.findings] == ["FILE_EVERYWHERE"]
    assert from_plain(Inspection, to_plain(inspection)) == inspection


def test_what_nobody_thought_of_is_a_finding_too(folder, monkeypatch):
    def fail(*_):
        raise RecursionError("PLANTED")

    monkeypatch.setattr(raw, "look_at", fail)
    (error,) = look(folder).errors
    assert (error.code, error.errno) == ("SOURCE_UNREADABLE", EIO)
    assert "(RecursionError)" in error.message
    assert "PLANTED" not in error.message


def test_a_change_is_seen(folder):
    before = look(folder).identity
    assert changes(before, look(folder).identity) == []
    with (folder / "disk.raw").open("ab") as file:
        file.write(b"more")
    now = identify(spec_of(folder), ImportPolicy((str(folder),)))
    assert now == look(folder).identity
    assert identify(spec_of(folder), ImportPolicy()) == {}
    (sentence,) = changes(before, now)
    assert "it had 4096 bytes and has 4100 now" in sentence
    assert "may be a mixture of both" in sentence
    times = [{"stream": {"modified": f"17678{n}0000000000000"}} for n in (1, 2)]
    (sentence,) = changes(*times)
    assert "it was last modified at 2026-01-07 18:20:00.000 UTC, and now at " in sentence
    assert changes(before, {"stream": {}}) == []


def test_problems_are_declared_once():
    assert len(BY_CODE) == len(KINDS)
    assert not BY_CODE.keys() & {check.code for check in CHECKS}
    for kind in KINDS:
        assert kind.meaning.endswith(".")
        assert bool(kind.errno) is (kind.severity.value == "error")


def test_only_declared_problems_are_raised():
    named = set()
    for file in (_REPOSITORY / "src" / "rbdmigrate" / "sources").rglob("*.py"):
        if file.name != "problems.py":
            named |= set(re.findall(r'"([A-Z][A-Z0-9]+_[A-Z0-9_]+)"', file.read_text("utf-8")))
    named -= {"LISTEN_PID", "LISTEN_FDS", "MALLOC_ARENA_MAX", "LC_ALL"}  # of the environment
    named -= {"HTTP_REQUEST", "WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL"}  # OpenSSL's
    assert named == BY_CODE.keys()


def test_the_documentation_lists_every_problem():
    with (_REPOSITORY / "doc" / "reference" / "source-problems.csv").open(
        encoding="utf-8"
    ) as table:
        assert list(csv.reader(table)) == [
            [k.code, k.severity.value, errorcode.get(k.errno, ""), k.meaning] for k in KINDS
        ]


def test_the_examples_of_copied_imports_are_taken():
    text = (_REPOSITORY / "doc" / "copying.rst").read_text("utf-8")
    blocks = re.findall(r"code-block:: json\n\n((?:   .*\n)+)", text)
    specs = [parse_source_spec(block) for block in blocks]
    assert len(specs) >= 5
    assert [spec.to_plain() for spec in specs] == [json.loads(block) for block in blocks]


def test_the_documentation_s_examples_are_taken():
    text = (_REPOSITORY / "doc" / "importing.rst").read_text("utf-8")
    blocks = re.findall(r"code-block:: json\n\n((?:   .*\n)+)", text)
    specs = [parse_source_spec(block) for block in blocks]
    assert {s.type for spec in specs for _, s in spec.streams()} == {"file", "http", "s3", "nbd"}
    assert {spec.format for spec in specs} == {"raw", "qcow", "native"}
    assert [spec.to_plain() for spec in specs] == [json.loads(block) for block in blocks]
