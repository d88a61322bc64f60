"""QCOW files: what is read of them, what is refused, and that no file does harm."""

import json
import struct
from dataclasses import replace
from errno import EBADMSG, EEXIST, EINVAL, EIO, ENOENT, EOPNOTSUPP

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rbdmigrate.model.finding import Severity
from rbdmigrate.model.import_policy import ImportPolicy
from rbdmigrate.model.source_spec import parse_source_spec
from rbdmigrate.sources import Limits, SnapshotInfo, SourceError, inspect, open_content
from rbdmigrate.sources.copying import inspect_copied
from tests.unit.qcow_files import COPIED, ZERO, Qcow, version_1

OPEN = ImportPolicy(folders=("/",))
SNAPSHOTS = (("one", 32 << 10, 0, {1: "data"}), ("two", 64 << 10, 0, {0: "data", 9: "data"}))


@pytest.fixture
def source(tmp_path):
    def make(data, kind="qcow"):
        file = tmp_path / "disk.img"
        file.write_bytes(data)
        stream = {"type": "file", "file_path": str(file)}
        return parse_source_spec(json.dumps({"type": kind, "stream": stream}))

    return make


def problems(inspection):
    return [(f.code, f.errno) for f in inspection.findings if f.severity is not Severity.INFO]


def read_all(spec, snapshot=None):
    with open_content(spec, snapshot, OPEN) as content:
        whole = content.read(0, content.size)
        pieces = bytearray(content.size)
        for offset, length in content.extents(0, content.size):
            pieces[offset : offset + length] = content.read(offset, length)
        assert bytes(pieces) == whole
        return whole


@pytest.mark.parametrize("version", [2, 3])
def test_a_disk_is_read(source, version):
    clusters = {0: "data", 1: "data", 3: "data", **({5: "zero"} if version == 3 else {})}
    qcow = Qcow(version=version, clusters=clusters)
    spec = source(qcow.build())
    inspection = inspect(spec, OPEN)
    assert problems(inspection) == []
    assert (inspection.size, inspection.to_copy) == (64 << 10, 3 << 12)
    assert inspection.details == (f"QCOW version {version}, clusters of 4 KiB",)
    assert read_all(spec) == qcow.content()
    with open_content(spec, None, OPEN) as content:
        assert list(content.extents(0, 64 << 10)) == [(0, 8192), (12288, 4096)]
        assert list(content.extents(100, 12288)) == [(100, 8092), (12288, 100)]
        assert content.read(4000, 9000) == qcow.content()[4000:13000]
        assert content.read(1 << 20, 1) == b""


def test_snapshots_are_read_with_their_own_sizes(source):
    qcow = Qcow(snapshots=SNAPSHOTS)
    spec = source(qcow.build())
    inspection = inspect(spec, OPEN)
    assert inspection.snapshots == (SnapshotInfo("one", 32 << 10), SnapshotInfo("two", 64 << 10))
    for name, size, _, clusters in SNAPSHOTS:
        assert read_all(spec, name) == qcow.content(clusters, size)
    with pytest.raises(SourceError) as missing:
        open_content(spec, "three", OPEN)
    assert missing.value.errno == ENOENT


def test_version_1_is_read(source):
    data, disk = version_1()
    spec = source(data)
    inspection = inspect(spec, OPEN)
    assert problems(inspection) == []
    assert inspection.to_copy == 2 << 12
    assert read_all(spec) == disk


DATA_FILE = struct.pack(">II8s", 0x44415441, 8, b"disk.raw") + bytes(8)
EXTRA = [
    (Qcow(crypt=1), "QCOW_ENCRYPTED", EOPNOTSUPP),
    (Qcow(crypt=2), "QCOW_ENCRYPTED", EOPNOTSUPP),
    (Qcow(crypt=77), "QCOW_ENCRYPTED", EOPNOTSUPP),
    (Qcow(backing=b"/srv/base.img"), "QCOW_BACKING", EOPNOTSUPP),
    (Qcow(features=4, extensions=DATA_FILE), "QCOW_DATA_FILE", EOPNOTSUPP),
    (Qcow(features=4), "QCOW_DATA_FILE", EOPNOTSUPP),
    (Qcow(features=16), "QCOW_EXTENDED_L2", EOPNOTSUPP),
    (Qcow(features=8, compression=1), "QCOW_COMPRESSION", EOPNOTSUPP),
    (Qcow(compression=9), "QCOW_COMPRESSION", EOPNOTSUPP),
    (Qcow(features=2), "QCOW_CORRUPT", EBADMSG),
    (Qcow(features=1 << 40), "QCOW_FEATURE", EOPNOTSUPP),
    (Qcow(features=1), "QCOW_DIRTY", 0),
    (Qcow(size=60001), "QCOW_SIZE", EINVAL),
    (Qcow(size=0, clusters={}), "QCOW_EMPTY", EINVAL),
    (Qcow(clusters={0: "data", 1: "compressed"}), "QCOW_COMPRESSED", EOPNOTSUPP),
    (Qcow(clusters={0: "data", 1: "zeroed"}), "QCOW_ZEROED", EOPNOTSUPP),
    (Qcow(snapshots=(("s", 4096, 0, {0: "compressed"}),)), "QCOW_COMPRESSED", EOPNOTSUPP),
    (Qcow(snapshots=(("s", 4096, 0, {0: "zeroed"}),)), "QCOW_ZEROED", EOPNOTSUPP),
    (Qcow(snapshots=(("s", 0, 0, {}),)), "QCOW_EMPTY", EINVAL),
    (Qcow(snapshots=(SNAPSHOTS[0], SNAPSHOTS[0])), "QCOW_SNAPSHOT_TWICE", EEXIST),
    (Qcow(snapshots=(("a@b", 4096, 0, {}),)), "QCOW_SNAPSHOT_NAME", 0),
    (Qcow(snapshots=(("a\n\x1b[31mb", 4096, 0, {}),)), "QCOW_SNAPSHOT_NAME", 0),
    (Qcow(snapshots=(("", 4096, 0, {}),)), "QCOW_SNAPSHOT_UNUSABLE", EINVAL),
    (Qcow(snapshots=((b"a\0b", 4096, 0, {}),)), "QCOW_SNAPSHOT_UNUSABLE", EINVAL),
    (Qcow(snapshots=((b"\xff\xfe", 4096, 0, {}),)), "QCOW_SNAPSHOT_UNUSABLE", EINVAL),
    (Qcow(override={"version": 4}), "QCOW_VERSION", EOPNOTSUPP),
    (Qcow(override={"version": 0}), "QCOW_BROKEN", EBADMSG),
    (Qcow(override={"magic": b"KDMV"}), "QCOW_MAGIC", EINVAL),
    (Qcow(override={"cluster_bits": 8}), "QCOW_BROKEN", EBADMSG),
    (Qcow(override={"cluster_bits": 63}), "QCOW_BROKEN", EBADMSG),
    (Qcow(override={"size": (1 << 64) - 1}), "QCOW_BROKEN", EBADMSG),
    (Qcow(override={"size": 1 << 61, "l1_size": 1 << 31}), "QCOW_BROKEN", EBADMSG),
    (Qcow(override={"size": 1 << 50, "l1_size": (1 << 32) - 1}), "QCOW_TOO_BIG", EBADMSG),
    (Qcow(override={"l1_offset": 1 << 60}), "QCOW_BROKEN", EBADMSG),
    (Qcow(override={"snapshots": (1 << 32) - 1}), "QCOW_TOO_BIG", EBADMSG),
    (Qcow(override={"snapshots": 3}), "QCOW_BROKEN", EBADMSG),
    (Qcow(override={"snapshots": 3, "snapshots_offset": 1 << 62}), "QCOW_BROKEN", EBADMSG),
    (Qcow(override={"header_length": 7}), "QCOW_BROKEN", EBADMSG),
    (Qcow(override={"header_length": (1 << 32) - 8}), "QCOW_BROKEN", EBADMSG),
    (Qcow(override={"backing_offset": 8, "backing_size": 1 << 31}), "QCOW_BROKEN", EBADMSG),
]


@pytest.mark.parametrize(("qcow", "code", "errno"), EXTRA)
def test_what_librbd_cannot_read_is_found(source, qcow, code, errno):
    inspection = inspect(source(qcow.build()), OPEN)
    assert (code, errno) in problems(inspection)
    for finding in inspection.findings:
        assert finding.message.endswith(".")
        assert finding.message.isprintable()


VERSION_1 = [
    ({"crypt": 1}, "QCOW_ENCRYPTED"),
    ({"backing": b"base"}, "QCOW_BACKING"),
    ({"entries": {0: "compressed"}}, "QCOW_COMPRESSED"),
    ({"cluster_bits": 12, "l2_bits": 2}, "QCOW_BROKEN"),
]


# Bits 1 to 8 and 56 to 61 of an L2 entry have to be 0, in version 2 also bit 0; bits 0 to 8 and 56
# to 62 of an L1 entry; and all bits of the offset below the size of a cluster.
PLACE = 1 << 12
MALFORMED = [
    *[Qcow(clusters={0: COPIED | PLACE | 1 << bit}) for bit in (1, 5, 8, 9, 11, 56, 61)],
    *[Qcow(clusters={0: COPIED}), Qcow(clusters={511: COPIED | ZERO})],
    *[Qcow(version=2, clusters={3: entry}) for entry in (ZERO, COPIED | PLACE | ZERO)],
    *[Qcow(clusters={}, l1=1 << bit) for bit in (0, 3, 8, 9, 11, 56, 62, 63)],
    *[Qcow(clusters={}, l1=PLACE | COPIED | 1 << bit) for bit in (0, 8, 11, 56, 62)],
    *[Qcow(snapshots=(("s", 4096, 0, {0: COPIED | PLACE | 1 << bit}),)) for bit in (2, 57)],
    Qcow(override={"l1_offset": 0x3008}),
    Qcow(override={"l1_offset": 0}),
]


@pytest.mark.parametrize("qcow", MALFORMED)
def test_an_entry_that_the_format_does_not_have_is_refused(source, qcow):
    """librbd reads zeros or other data there, without an error; QEMU does not."""
    inspection = inspect(source(qcow.build()), OPEN)
    assert [(f.code, f.errno) for f in inspection.errors] == [("QCOW_BROKEN", EBADMSG)]


@pytest.mark.parametrize("place", [512, 1024])
def test_an_offset_that_version_1_does_not_have_is_refused(source, place):
    """The L1 table is at 512, the L2 table at 1024: an offset in it is no multiple of 512."""
    data = bytearray(version_1()[0])
    data[place + 7] |= 8
    (error,) = inspect(source(bytes(data)), OPEN).errors
    assert error.code == "QCOW_BROKEN"


@pytest.mark.parametrize("bits", [9, 12, 16])
def test_every_sound_entry_is_taken(source, bits):
    qcow = Qcow(
        size=16 << 10, cluster_bits=bits, clusters={0: "data", 1: ZERO, 2: "zero", 5: "data"}
    )
    assert problems(inspect(source(qcow.build()), OPEN)) == []


def test_what_snapshots_share_with_the_head_is_copied_once(source):
    one, two = {0: "data", 1: "data"}, {1: "data", 4: "data"}
    views = (("one", 64 << 10, 0, one), ("two", 64 << 10, 0, two))
    head = {1: "data", 4: "data", 5: "zero", 9: "data"}
    qcow = Qcow(clusters=head, snapshots=views, shared=True)
    spec = source(qcow.build())
    assert inspect(spec, OPEN).to_copy == 4 << 12  # 0 and 1, then 4, then 9
    with (
        open_content(spec, "one", OPEN) as first,
        open_content(spec, "two", OPEN) as second,
        open_content(spec, None, OPEN) as last,
    ):
        assert list(second.changed(first)) == [(4 << 12, 1 << 12)]
        assert list(last.changed(second)) == [(9 << 12, 1 << 12)]
        assert list(last.changed(first)) == [(4 << 12, 1 << 12), (9 << 12, 1 << 12)]


def test_a_head_that_went_back_to_an_older_snapshot_is_copied_again(source):
    old, new = {0: "data"}, {3: "data"}
    views = (("old", 64 << 10, 0, old), ("new", 64 << 10, 0, new))
    qcow = Qcow(clusters=old, snapshots=views, shared=True)
    assert inspect(source(qcow.build()), OPEN).to_copy == 3 << 12


def test_what_was_not_scanned_has_no_more_data_than_the_file(source):
    data = Qcow(size=1 << 20, snapshots=SNAPSHOTS).build()
    assert inspect(source(data), OPEN, Limits(scan=0)).to_copy == len(data)


@pytest.mark.parametrize(("changes", "code"), VERSION_1)
def test_what_librbd_cannot_read_of_version_1(source, changes, code):
    data, _ = version_1(**changes)
    assert code in [f.code for f in inspect(source(data), OPEN).findings]


def test_the_remedy_can_be_pasted(source):
    inspection = inspect(source(Qcow(backing=b"base").build()), OPEN)
    (error,) = inspection.errors
    assert error.remedy.startswith("qemu-img convert -f qcow2 -O qcow2 /")
    assert error.remedy.endswith("/disk.import.qcow2")


def test_a_file_that_was_cut_off(source):
    qcow = Qcow(clusters={0: "data", 1: "data"})
    data = bytearray(qcow.build())
    entry = struct.unpack(">Q", data[0x3000:0x3008])[0] & ~(1 << 63)
    assert data[entry : entry + 2] == b"\0\0"
    data[0x3000:0x3008] = struct.pack(">Q", len(data) - 512)
    inspection = inspect(source(bytes(data)), OPEN)
    assert ("QCOW_CUT_OFF", EIO) in problems(inspection)


def test_the_machine_s_memory_is_not_imported(source):
    inspection = inspect(source(Qcow(snapshots=(("s", 4096, 1 << 30, {}),)).build()), OPEN)
    assert "QCOW_VM_STATE" in [f.code for f in inspection.findings]


def test_a_scan_has_an_end(source):
    spec = source(Qcow(snapshots=SNAPSHOTS).build())
    inspection = inspect(spec, OPEN, Limits(scan=8192))
    assert problems(inspection) == [("QCOW_NOT_SCANNED", 0)]
    assert not inspection.errors


def test_l1_tables_have_a_limit_together(source):
    many = tuple((f"s{n}", 64 << 10, 0, {}) for n in range(20))
    inspection = inspect(source(Qcow(snapshots=many).build()), OPEN, Limits(tables=64))
    assert "QCOW_TOO_BIG" in [f.code for f in inspection.findings]


RAW = [
    (bytes(1024), []),
    (bytes(1000), ["RAW_ODD_SIZE"]),
    (b"", ["SOURCE_EMPTY"]),
    (Qcow().build(), ["RAW_CONTAINER"]),
    (b"KDMV" + bytes(508), ["RAW_CONTAINER"]),
    (b"\xbe\xba\xfe\xca" + bytes(508), ["RAW_CONTAINER"]),
    (b"vhdxfile" + bytes(504), ["RAW_CONTAINER"]),
    (bytes(64) + b"\x7f\x10\xda\xbe" + bytes(444), ["RAW_CONTAINER"]),
    (b"\x1f\x8b\x08" + bytes(509), ["RAW_CONTAINER"]),
    (b"\xfd7zXZ\0" + bytes(506), ["RAW_CONTAINER"]),
    (b"rbd image v2" + bytes(500), ["RAW_CONTAINER"]),
    (b"WithoutFreeSpace" + bytes(496), ["RAW_CONTAINER"]),
    (b"WithouFreSpacExt" + bytes(496), ["RAW_CONTAINER"]),
    (bytes(257) + b"ustar" + bytes(250), ["RAW_CONTAINER"]),
    (bytes(1024) + b"conectix" + bytes(504), ["RAW_CONTAINER"]),
    (bytes(1024) + b"koly" + bytes(508), ["RAW_CONTAINER"]),
    (bytes(1000) + b"koly" + bytes(532), []),
    (b"LUKS\xba\xbe" + bytes(506), []),
]


@pytest.mark.parametrize(("data", "codes"), RAW)
def test_a_raw_disk_that_is_something_else(source, data, codes):
    inspection = inspect(source(data, "raw"), OPEN)
    assert [code for code, _ in problems(inspection)] == codes
    assert [(f.code, f.errno) for f in inspection.errors] == [
        (code, EINVAL) for code in codes if code == "RAW_CONTAINER"
    ]
    assert inspection.size == len(data)
    assert ("RAW_LUKS" in [f.code for f in inspection.findings]) is data.startswith(b"LUKS")


def test_a_file_of_another_format_is_refused_by_the_method_copy_too(source):
    spec = source(Qcow().build(), "raw")
    found = inspect_copied(spec, OPEN)
    assert [(f.code, f.errno, f.remedy) for f in found.errors] == [
        ("RAW_CONTAINER", EINVAL, '"type": "qcow"')
    ]
    assert found.as_raw().errors == ()


def test_snapshots_next_to_a_raw_head(tmp_path):
    (tmp_path / "head").write_bytes(b"h" * 2048)
    (tmp_path / "old").write_bytes(b"o" * 1024)

    def stream(name):
        return {"type": "file", "file_path": str(tmp_path / name)}

    old = {"type": "raw", "name": "old", "stream": stream("old")}
    text = json.dumps({"type": "raw", "stream": stream("head"), "snapshots": [old]})
    spec = parse_source_spec(text)
    inspection = inspect(spec, ImportPolicy((str(tmp_path),)))
    assert inspection.snapshots == (SnapshotInfo("old", 1024),)
    assert problems(inspection) == [("RAW_SNAPSHOT_SIZE", 0)]
    assert set(inspection.identity) == {"stream", "snapshots[0].stream"}
    assert read_all(spec, "old") == b"o" * 1024
    assert read_all(spec) == b"h" * 2048
    with pytest.raises(SourceError) as missing:
        open_content(spec, "new", OPEN)
    assert missing.value.errno == ENOENT


@pytest.mark.parametrize("other", ["head", "old"])
def test_a_raw_disk_with_snapshots_is_no_qcow_file(tmp_path, other):
    """The remedy makes a raw file: only that can be given together with the others."""
    for name in ("head", "old"):
        (tmp_path / name).write_bytes(Qcow(size=60 << 10).build() if name == other else bytes(512))
    head, old = ({"type": "file", "file_path": str(tmp_path / name)} for name in ("head", "old"))
    snapshots = [{"type": "raw", "name": "old", "stream": old}]
    text = json.dumps({"type": "raw", "stream": head, "snapshots": snapshots})
    (error,) = inspect(parse_source_spec(text), ImportPolicy((str(tmp_path),))).errors
    file = tmp_path / other
    assert (error.code, error.errno) == ("RAW_CONTAINER", EINVAL)
    assert error.message.startswith(f"{file} is a QCOW file")
    assert error.remedy == f"qemu-img convert -f qcow2 -O raw {file} {file}.import.raw"


GOOD = Qcow(snapshots=SNAPSHOTS).build()
changes = st.lists(
    st.tuples(st.integers(0, len(GOOD) - 1) | st.integers(0, 112), st.integers(0, 255)),
    max_size=12,
)


@settings(max_examples=60)
@given(changes, st.integers(0, len(GOOD)))
def test_no_file_makes_it_fail(tmp_path_factory, damage, length):
    data = bytearray(GOOD)
    for place, value in damage:
        data[place] = value
    try_out(tmp_path_factory, bytes(data[: length if length % 3 == 0 else len(data)]))


@given(st.binary(max_size=600), st.sampled_from([1, 2, 3]))
def test_no_bytes_make_it_fail(tmp_path_factory, data, version):
    try_out(tmp_path_factory, b"QFI\xfb" + version.to_bytes(4, "big") + data)


def try_out(tmp_path_factory, data):
    """An inspection ends with findings, and contents are read or refused."""
    file = tmp_path_factory.getbasetemp() / "any.qcow2"
    file.write_bytes(data)
    stream = {"type": "file", "file_path": str(file)}
    spec = parse_source_spec(json.dumps({"type": "qcow", "stream": stream}))
    limits = Limits(tables=1 << 20, scan=1 << 20)
    inspection = inspect(spec, OPEN, limits)
    assert "SOURCE_UNREADABLE" not in [f.code for f in inspection.findings]
    try:
        with open_content(spec, None, OPEN, limits) as content:
            content.read(0, min(content.size, 1 << 20))
    except SourceError as error:
        assert error.errno  # noqa: PT017 - that it is one is what matters


def test_a_well_behaved_file_has_no_errors(source):
    assert problems(inspect(source(replace(Qcow(), snapshots=SNAPSHOTS).build()), OPEN)) == []
