"""Ceph's wire encoding: newer structures are read, broken ones raise DecodeError alone."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.cluster.denc import DecodeError, Decoder, encode_string, requests_lock


def structure(version: int, payload: bytes, oldest: int = 1) -> bytes:
    return struct.pack("<BBI", version, oldest, len(payload)) + payload


INTEGERS = [
    ("u8", b"\xff", 255),
    ("u32", b"\x01\x02\x03\x04", 0x04030201),
    ("u32", b"\xff\xff\xff\xff", (1 << 32) - 1),
    ("u64", b"\x01" + b"\x00" * 7, 1),
    ("u64", b"\xff" * 8, (1 << 64) - 1),
    ("s64", b"\xff" * 8, -1),
    ("s64", b"\x00" * 7 + b"\x80", -(1 << 63)),
]


@pytest.mark.parametrize(("kind", "raw", "value"), INTEGERS)
def test_integers_are_little_endian(kind, raw, value):
    assert getattr(Decoder(raw), kind)() == value


def test_values_are_read_one_after_the_other():
    reader = Decoder(b"\x07" + encode_string("ab") + struct.pack("<Q", 9) + b"xyz")
    assert (reader.u8(), reader.string(), reader.u64(), reader.raw(3)) == (7, "ab", 9, b"xyz")


@given(st.binary(max_size=32))
def test_no_byte_of_a_string_is_lost(raw):
    encoded = struct.pack("<I", len(raw)) + raw
    assert encode_string(Decoder(encoded).string()) == encoded


@given(st.integers(1, 255), st.integers(1, 255), st.text(max_size=8), st.binary(max_size=32))
def test_what_a_newer_release_added_is_skipped(version, oldest, text, added):
    reader = Decoder(structure(version, encode_string(text) + added, oldest) + b"\x2a")
    frame = reader.start()
    assert frame.version == version
    assert reader.string() == text
    assert reader.left(frame) == len(added)
    reader.finish(frame)
    assert reader.u8() == 42


@given(st.binary(max_size=8), st.binary(max_size=8))
def test_structures_inside_structures_are_skipped_each_by_its_own_length(inner, outer):
    reader = Decoder(structure(2, structure(3, b"\x01" + inner) + b"\x02" + outer) + b"\x03")
    first = reader.start()
    second = reader.start()
    assert reader.u8() == 1
    reader.finish(second)
    assert reader.u8() == 2
    reader.finish(first)
    assert reader.u8() == 3


def test_reading_past_the_end_of_a_structure_is_found_when_it_is_left():
    reader = Decoder(structure(1, b"\x01") + b"\x02" * 8)
    frame = reader.start()
    reader.u32()
    with pytest.raises(DecodeError):
        reader.finish(frame)


def test_a_structure_longer_than_the_data_is_found_when_it_is_left():
    reader = Decoder(struct.pack("<BBI", 1, 1, 100) + b"\x01" * 8)
    frame = reader.start()
    reader.u64()
    with pytest.raises(DecodeError):
        reader.finish(frame)


def read_entry(raw: bytes) -> str:
    reader = Decoder(raw)
    frame = reader.start()
    reader.u8(), reader.s64()
    name = reader.string()
    reader.finish(frame)
    return name


@given(st.text(max_size=8), st.binary(max_size=8))
def test_every_shorter_piece_of_a_structure_is_refused(name, added):
    raw = structure(1, b"\x02" + struct.pack("<q", -1) + encode_string(name) + added)
    assert read_entry(raw) == name
    for end in range(len(raw)):
        with pytest.raises(DecodeError):
            read_entry(raw[:end])


@given(
    st.binary(max_size=40),
    st.lists(
        st.sampled_from(["u8", "u32", "u64", "s64", "string", "start", "finish"])
        | st.integers(0, 1 << 33),
        max_size=12,
    ),
)
def test_no_bytes_read_in_any_way_raise_anything_but_decode_error(raw, steps):
    reader, frames = Decoder(raw), []
    with suppress(DecodeError):
        for step in steps:
            if isinstance(step, int):
                assert len(reader.raw(step)) == step
            elif step == "start":
                frames.append(reader.start())
            elif step == "finish":
                if frames:
                    reader.finish(frames.pop())
            else:
                getattr(reader, step)()


def test_a_request_for_the_lock_is_told_from_other_notifications():
    def notification(kind):  # as librbd encodes it: a versioned structure that begins with the kind
        return struct.pack("<BBII", 6, 1, 20, kind) + bytes(16)

    assert requests_lock(notification(2))
    assert not any(requests_lock(notification(kind)) for kind in (0, 1, 3, 4, 11))
    assert not requests_lock(b"")
    assert not requests_lock(notification(2)[:9])
