"""Where an open file has data: as its file system says, which is asked as seldom as possible."""

import os
from errno import EINVAL
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.sources.holes import FileData

BLOCK = 64 << 10  # no file system has larger blocks


def holey(path: Path, data: "list[bool]") -> int:
    """An open file with these blocks."""
    with path.open("wb") as file:
        file.truncate(len(data) * BLOCK)
        for number, full in enumerate(data):
            if full:
                file.seek(number * BLOCK)
                file.write(b"x" * BLOCK)
    return os.open(path, os.O_RDONLY)


@given(
    blocks=st.lists(st.booleans(), min_size=1, max_size=12),
    questions=st.lists(st.tuples(st.integers(0, 13 * 4), st.integers(0, 13 * 4)), max_size=8),
)
def test_any_questions_in_any_order(
    tmp_path_factory: pytest.TempPathFactory,
    blocks: "list[bool]",
    questions: "list[tuple[int, int]]",
) -> None:
    file = holey(tmp_path_factory.mktemp("holes") / "file", blocks)
    try:
        data = FileData(file)
        for first, second in questions:
            begin, end = first * BLOCK // 4, second * BLOCK // 4
            found = list(data.within(begin, end))
            inside = [n for at, size in found for n in range(at, at + size, BLOCK // 4)]
            full = [number * BLOCK // 4 for number in range(4 * len(blocks)) if blocks[number // 4]]
            assert inside == [n for n in full if begin <= n < end]
    finally:
        os.close(file)


def test_the_end_of_the_data_is_looked_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = holey(tmp_path / "file", [True] * 8 + [False] * 8 + [True] * 8)
    asked: list[tuple[int, int]] = []
    real = os.lseek

    def counted(descriptor: int, offset: int, whence: int) -> int:
        asked.append((offset, whence))
        return real(descriptor, offset, whence)

    monkeypatch.setattr(os, "lseek", counted)
    data = FileData(file)
    for number in range(24):
        assert list(data.within(number * BLOCK, (number + 1) * BLOCK)) == (
            [] if 8 <= number < 16 else [(number * BLOCK, BLOCK)]
        )
    assert len(asked) == 4  # where data begin and end, for each of the two parts
    os.close(file)


def test_a_file_system_that_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(descriptor: int, offset: int, whence: int) -> int:
        raise OSError(EINVAL, "invalid argument")

    monkeypatch.setattr(os, "lseek", refused)
    assert list(FileData(0).within(5, 9)) == [(5, 4)]
