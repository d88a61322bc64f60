"""The pure parts of ``./run qa imports``: what an outcome is called, the table, and remedies."""

from pathlib import Path

import pytest

from qa.imports.disk import Disk
from qa.imports.outcome import Attempt, Outcome, Trial, exit_code, judged, table
from qa.imports.remedy import ImportRequest, RemedyFailed, followed, in_message

ACCEPTED = Attempt()
REFUSED = Attempt(refused="QCOW_ZEROED")
FOLLOWED = Attempt(refused="QCOW_ZEROED", remedy="qemu-img convert")
FAILED = Attempt(refused="QCOW_ZEROED", remedy="qemu-img convert", remedy_failed="exit code 1")
DIFFERENT = Attempt(differences=("committed: head differs at byte 0",))
LATER = Attempt(failed="failed: librbd crashed")


@pytest.mark.parametrize(
    ("attempts", "good", "faulty"),
    [
        ([ACCEPTED], Outcome.RIGHT, Outcome.RIGHT),
        ([FOLLOWED, ACCEPTED], Outcome.REMEDIED, Outcome.REMEDIED),
        ([FOLLOWED, FOLLOWED, ACCEPTED], Outcome.REMEDIED, Outcome.REMEDIED),
        ([REFUSED], Outcome.NO_REMEDY, Outcome.REFUSED),
        ([FAILED], Outcome.REMEDY_FAILS, Outcome.REFUSED),
        ([FOLLOWED, REFUSED], Outcome.REMEDY_FAILS, Outcome.REFUSED),
        ([DIFFERENT], Outcome.WRONG, Outcome.WRONG),
        ([FOLLOWED, DIFFERENT], Outcome.WRONG, Outcome.WRONG),
        ([LATER], Outcome.FAILS_LATER, Outcome.FAILS_LATER),
        ([FOLLOWED, LATER], Outcome.FAILS_LATER, Outcome.FAILS_LATER),
    ],
)
def test_the_outcome_of_attempts(attempts, good, faulty):
    assert judged(1, "raw", False, attempts).outcome is good
    assert judged(1, "raw", True, attempts).outcome is faulty


def test_the_detail_tells_every_attempt():
    assert judged(1, "raw", False, [FOLLOWED, DIFFERENT]).detail == (
        "refused: QCOW_ZEROED, remedy `qemu-img convert`; then accepted, "
        "committed: head differs at byte 0"
    )


def test_the_table_counts_outcomes_by_kind():
    trials = [
        Trial(1, "raw", Outcome.RIGHT, ""),
        Trial(2, "qcow2, zeroed", Outcome.REMEDIED, ""),
        Trial(3, "raw", Outcome.WRONG, ""),
    ]
    titles, *rows = table(trials).splitlines()
    assert titles.startswith("kind           sources  right  remedy works  refused")
    assert {len(row) for row in rows} == {len(titles)}
    assert [(row[:13].strip(), *map(int, row[13:].split())) for row in rows] == [
        ("raw", 2, 1, 0, 0, 0, 0, 1, 0),
        ("qcow2, zeroed", 1, 0, 1, 0, 0, 0, 0, 0),
        ("all", 3, 1, 1, 0, 0, 0, 1, 0),
    ]


@pytest.mark.parametrize("outcome", Outcome)
def test_the_exit_code(outcome):
    bad = {Outcome.WRONG, Outcome.FAILS_LATER, Outcome.REMEDY_FAILS}
    trials = [Trial(1, "raw", Outcome.RIGHT, ""), Trial(2, "raw", outcome, "")]
    assert exit_code(trials) == (outcome in bad)


def test_a_command_in_a_message():
    assert in_message("convert it: `qemu-img convert SOURCE x`, and `y`.") == (
        "qemu-img convert SOURCE x"
    )
    assert in_message("it has no command.") == ""


class Source:
    """A raw file in a folder, and what is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "disk.raw"
        self.file.write_bytes(b"x" * 700)
        spec = {"type": "raw", "stream": {"type": "file", "file_path": str(self.file)}}
        self.request = ImportRequest(spec, {"": b"x" * 700})
        self.disk = Disk(spec, self.request.views, {"": b"inside"})

    def follow(self, remedy: str):
        return followed(remedy, self.request, self.disk, self.folder, self.folder)


@pytest.fixture
def source(tmp_path):
    return Source(tmp_path)


def test_remedies_that_change_the_request(source):
    option = source.follow("--object-size 8K")
    assert (option.layout, option.spec) == ({"object_size": "8K"}, source.request.spec)
    other = source.follow('"type": "qcow"')
    assert (other.spec["type"], other.views) == ("qcow", {"": b"inside"})
    moved = source.follow('"url": "http://host/\\"x"')
    assert moved.spec["stream"]["url"] == 'http://host/"x'


@pytest.mark.parametrize("remedy", ["", "qemu-img check /srv/x.qcow2"])
def test_remedies_that_only_say_where_to_look(source, remedy):
    assert source.follow(remedy) is None


def test_remedies_that_make_another_file(source):
    made = source.follow(f"cp SOURCE {source.folder}/x.qcow2 # -O qcow2")
    assert made.spec["type"] == "qcow"
    assert made.spec["stream"]["file_path"] == f"{source.folder}/x.qcow2"
    assert made.views == {"": b"inside" + bytes(506)}
    here = source.follow(f"cp {source.file} here.raw")
    assert here.spec["type"] == "raw"
    assert Path(here.spec["stream"]["file_path"]).read_bytes() == b"x" * 700


def test_remedies_that_change_the_file(source):
    changed = source.follow("truncate -s %4M FILE")
    assert source.file.stat().st_size == 4 << 20
    assert changed.views == {"": b"x" * 700 + bytes((4 << 20) - 700)}
    assert len(source.follow("true").views[""]) == 1024


def test_a_remedy_that_fails(source):
    with pytest.raises(RemedyFailed, match="exit code 3: no disk"):
        source.follow("echo no disk >&2; exit 3")
