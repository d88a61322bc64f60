"""The files that librbd has open are those that were checked."""

import json
from errno import EPERM

import pytest

from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.import_policy import ImportPolicy
from rbdmigrate.model.source_spec import parse_source_spec
from rbdmigrate.worker.imports.open_files import CheckedFiles


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "open"
    made.mkdir()
    for name in ("head.raw", "old.raw"):
        (made / name).write_bytes(b"disk" * 1024)
    (tmp_path / "keyring").write_text("secret")
    return made


@pytest.fixture
def files(folder):
    """Those of a disk with a snapshot, checked."""
    stream = {"type": "file", "file_path": f"{folder}/head.raw"}
    old = {"type": "file", "file_path": f"{folder}/old.raw"}
    snapshots = [{"type": "raw", "name": "old", "stream": old}]
    spec = json.dumps({"type": "raw", "stream": stream, "snapshots": snapshots})
    return CheckedFiles.of(parse_source_spec(spec), ImportPolicy((str(folder),)))


def exchange(folder, name):
    (folder / name).unlink()
    (folder / name).symlink_to(folder.parent / "keyring")


def test_the_files_that_were_checked_may_be_read(files, folder):
    with (folder / "head.raw").open(), (folder / "old.raw").open():
        files.require_open()


@pytest.mark.parametrize("name", ["head.raw", "old.raw"])
def test_another_file_under_the_same_path_is_noticed(files, folder, name):
    exchange(folder, name)
    with (
        (folder / "head.raw").open(),
        (folder / "old.raw").open(),
        pytest.raises(MigrationError, match=name) as caught,
    ):
        files.require_open()
    assert caught.value.errno == EPERM
    assert caught.value.message.endswith(".")


def test_a_file_outside_the_folders_is_refused_before_it_is_opened(folder):
    exchange(folder, "head.raw")
    spec = json.dumps(
        {"type": "raw", "stream": {"type": "file", "file_path": f"{folder}/head.raw"}}
    )
    with pytest.raises(MigrationError, match="symbolic link leads out"):
        CheckedFiles.of(parse_source_spec(spec), ImportPolicy((str(folder),)))


def test_a_copy_is_given_up_before_its_second_object(files, folder):
    exchange(folder, "head.raw")
    said, copied = [], []

    class GaveUp(Exception):
        """As the worker that ends."""

    def give_up(sentence):
        said.append(sentence)
        raise GaveUp

    with (folder / "head.raw").open(), (folder / "old.raw").open():
        on_object = files.watched(lambda done, total: copied.append(done) or 0, give_up)
        with pytest.raises(GaveUp):
            on_object(0, 2)
    assert copied == []
    assert "head.raw" in said[0]
    assert "may be of the other file" in said[0]


def test_a_copy_of_the_right_files_goes_on(files, folder):
    with (folder / "head.raw").open(), (folder / "old.raw").open():
        on_object = files.watched(lambda done, total: done, pytest.fail)
        assert [on_object(n, 3) for n in range(3)] == [0, 1, 2]
