"""What the demo compares with: its knowledge of the content, and the client's journal."""

from pathlib import Path

import pytest

from qa.demo.content import BLOCK, HEAD, WRITE, ZERO, Expected, block_bytes, views, write_bytes
from qa.demo.journal import Journal, JournalWriter, Write, latencies
from qa.demo.sizes import MIB, option_text, parse_size, size_text

SIZE = 16 * MIB


def test_each_view_has_data_and_a_hole_of_its_own() -> None:
    seen = views(SIZE)
    assert len(set(seen.values())) == 3
    assert all(ZERO in blocks and 1 in blocks for blocks in seen.values())
    both = list(zip(seen["tuesday"], seen[HEAD]))
    assert (1, ZERO) in both  # discarded after the snapshot
    assert (ZERO, 2) in zip(seen["monday"], seen["tuesday"])  # written into the hole


def test_the_content_is_always_the_same() -> None:
    assert block_bytes(1, 1, 7) == block_bytes(1, 1, 7) != block_bytes(1, 2, 7)
    assert len(block_bytes(1, 1, 7)) == BLOCK
    assert block_bytes(1, ZERO, 7) == bytes(BLOCK)
    assert len(write_bytes(1, 1)) == WRITE


def test_the_last_write_to_a_place_is_what_is_expected() -> None:
    blocks = bytes([1, ZERO])
    expected = Expected(1, blocks, writes={BLOCK + WRITE: 9}, unsure={0: 10})
    second = expected.read(BLOCK, BLOCK)
    assert second == bytes(WRITE) + write_bytes(1, 9) + bytes(BLOCK - 2 * WRITE)
    assert expected.read(0, BLOCK) == block_bytes(1, 1, 0)
    assert expected.read(0, BLOCK, hoped=True)[:WRITE] == write_bytes(1, 10)
    assert expected.is_unsure(0, BLOCK)
    assert not expected.is_unsure(BLOCK, BLOCK)
    assert expected.has_writes(BLOCK, BLOCK)


def test_a_journal_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    writer = JournalWriter(path)
    for number, offset in enumerate([0, 4096, 0], start=1):
        writer.write(number, offset, float(number))
        writer.acked(number, number + 0.5)
    writer.write(4, 8192, 4.0)
    with open(path, "a", encoding="utf-8") as file:
        file.write("acked 4 4.")  # killed in the middle
    journal = Journal.read(path)
    assert journal.writes[1] == Write(2, 4096, 2.0, 2.5)
    assert journal.last_writes() == {0: 3, 4096: 2}
    assert journal.pending == Write(4, 8192, 4.0)
    assert journal.unsure() == {8192: 4}


def test_latencies() -> None:
    writes = [Write(n, 0, 10.0 * n, 10.0 * n + took) for n, took in enumerate([1.0, 5.0, 2.0])]
    found = latencies(writes)
    assert (found.writes, found.median, found.worst, found.worst_begun) == (3, 2.0, 5.0, 10.0)
    assert latencies([]).writes == 0


@pytest.mark.parametrize(
    ("text", "size"), [("256M", 256 * MIB), ("1GiB", 1024 * MIB), ("64k", 65536), ("512", 512)]
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "M", "1.5G", "-1M", "1X"])
def test_what_is_not_a_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


def test_sizes_are_written() -> None:
    assert size_text(256 * MIB) == "256 MiB"
    assert size_text(1536) == "1.5 KiB"
    assert size_text(100) == "100 B"
    assert option_text(4 * MIB) == "4M"
    assert option_text(65536) == "64K"
