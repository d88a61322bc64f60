"""Preflight of imports: what the checks make of what an inspection found."""

from dataclasses import replace
from errno import EINVAL, EOPNOTSUPP

import pytest

from rbdmigrate.checks import refuse, run
from rbdmigrate.checks.facts import Facts, Name
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.finding import Finding, Severity
from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.migration import Place
from rbdmigrate.model.pool import Pool
from rbdmigrate.model.request import MigrationRequest
from rbdmigrate.model.source_spec import parse_source_spec
from rbdmigrate.model.spec import ImageSpec
from rbdmigrate.sources import Inspection, SnapshotInfo, problems

MIB, GIB = 1 << 20, 1 << 30
TARGET = ImageSpec("nvme", "", "disk")


def facts(spec, inspection, **changes):
    """What is known about an import into an empty pool with 18 GiB free."""
    parsed = parse_source_spec(spec)
    request = MigrationRequest(ImageSpec("", "", parsed.label()), TARGET, spec=parsed)
    known = Facts(
        request=request,
        pools={"": None, "nvme": Pool("nvme", max_avail=18 * GIB)},
        target=Name(Place("nvme", "", "disk", 2)),
        inspection=inspection,
        release=(16, 2, 15),
        caps={"osd": "allow *"},
    )
    return replace(known, pools={"nvme": known.pools["nvme"]}, **changes)


QCOW = '{"type": "qcow", "stream": {"type": "file", "file_path": "/srv/x.qcow2"}}'
RAW = '{"type": "raw", "stream": {"type": "file", "file_path": "/srv/x.raw"}}'
SNAPSHOTS = tuple(SnapshotInfo(name, 10 * GIB) for name in ("one", "two", "three"))


def codes(found):
    return [finding.code for finding in found]


def test_a_stream_that_librbd_does_not_know_is_refused_whatever_the_release():
    nbd = '{"type": "raw", "stream": {"type": "nbd", "uri": "nbd://storage/x"}}'
    for release in ((16, 2, 15), (20, 2, 4), (0, 0, 0)):
        known = facts(nbd, Inspection(unknown_streams=("nbd",)), release=release)
        with pytest.raises(MigrationError) as refused:
            refuse(run(known))
        assert refused.value.errno == EOPNOTSUPP
        assert "19.2.3" in str(refused.value)
        assert "SOURCE_RELEASE" not in codes(run(facts(nbd, Inspection(MIB), release=release)))


def test_a_disk_with_snapshots_needs_the_space_of_its_data_alone():
    known = facts(QCOW, Inspection(10 * GIB, SNAPSHOTS, to_copy=30 * MIB))
    assert known.to_copy == 30 * MIB
    assert not {"NO_SPACE", "SPACE_TIGHT", "QUOTA_BYTES"} & set(codes(run(known)))
    tight = replace(known, pools={"nvme": Pool("nvme", quota_bytes=20 * MIB)})
    assert "QUOTA_BYTES" in codes(run(tight))


def test_a_raw_disk_with_snapshots_needs_the_space_of_all_its_files():
    known = facts(RAW, Inspection(10 * GIB, SNAPSHOTS))
    assert known.to_copy == 40 * GIB
    assert "NO_SPACE" in codes(run(known))


SHRUNK = [  # measured on 16.2.15 with clusters of 64 KiB: object size, snapshot, head (KiB), lost
    (4096, 430, 32, True),
    (4096, 70, 32, True),
    (4096, 5000, 4500, True),
    (512, 430, 128, True),
    (256, 430, 300, True),
    (256, 430, 320, True),
    (256, 430, 385, False),
    (256, 448, 300, False),
    (256, 430, 32, False),
    (128, 430, 390, False),
    (4096, 448, 32, False),
    (4096, 300, 280, False),
    (4096, 32, 430, False),
    (4096, 430, 430, False),
    (4096, 5000, 4096, False),
    (4096, 5000, 3000, False),
]


@pytest.mark.parametrize(("size", "snapshot", "head", "lost"), SHRUNK)
def test_a_qcow_disk_that_was_made_smaller_is_refused_where_librbd_loses_an_object(
    size, snapshot, head, lost
):
    sizes = (SnapshotInfo("one", snapshot << 10),)
    found = Inspection(head << 10, sizes, to_copy=0, cluster_size=64 << 10)
    known = facts(QCOW, found)

    def asked(kib):
        request = replace(known.request, layout=LayoutOptions(object_size=kib << 10))
        return [f for f in run(replace(known, request=request)) if f.code == "QCOW_SHRUNK"]

    assert bool(asked(size)) is lost
    for error in asked(size):
        option, less = error.remedy.split()
        assert option == "--object-size"
        assert not asked(int(less.rstrip("K")))


def test_a_file_of_another_format_is_imported_as_raw_only_when_that_is_asked_for():
    found = problems.found("RAW_CONTAINER", "raw", "It is a QCOW file.", '"type": "qcow"')
    known = facts(RAW, Inspection(GIB, findings=(found,)))
    with pytest.raises(MigrationError, match='"type": "qcow"') as refused:
        refuse(run(known))
    assert refused.value.errno == EINVAL
    allowed = run(replace(known, request=replace(known.request, as_raw=True)))
    refuse(allowed)
    (warning,) = (each for each in allowed if each.code == "RAW_CONTAINER")
    assert (warning.severity, warning.errno) == (Severity.WARNING, 0)
    assert known.inspection.errors == (found,)
    assert known.inspection.as_raw().errors == ()  # a copy that fails is not blamed on it


def test_a_refusal_has_the_command_that_helps():
    convert = "qemu-img convert -f qcow2 -O qcow2 /srv/x.qcow2 /srv/x.import.qcow2"
    found = Finding(
        "QCOW_COMPRESSED", Severity.ERROR, "x", "It is compressed; convert it first.", convert,
        EOPNOTSUPP,
    )  # fmt: skip
    with pytest.raises(MigrationError) as refused:
        refuse([found])
    assert refused.value.message == f"It is compressed; convert it first (`{convert}`)."
    said = replace(found, message=f"Use `{convert}`.")
    assert said.sentence == said.message
    assert replace(found, remedy="").sentence == found.message


HTTPS = RAW.replace('"file", "file_path": "/srv/x.raw"', '"http", "url": "https://h/x.raw"')
HTTP = HTTPS.replace("https", "http")
CRASHING = [(16, 2, 15), (17, 2, 8), (18, 2, 4), (19, 2, 0)]
SOUND = [(18, 2, 5), (19, 2, 1), (20, 2, 4)]


@pytest.mark.parametrize("release", CRASHING)
def test_a_tls_server_that_closes_connections_is_refused_where_librbd_crashes(release):
    url = "https://h/x.raw"
    closing = Inspection(GIB, hanging_up=(url,))
    (error,) = [f for f in run(facts(HTTPS, closing, release=release)) if f.errno]
    assert (error.code, error.errno) == ("TLS_HANGS_UP", EOPNOTSUPP)
    assert "keep connections open" in error.message
    assert error.remedy == f"curl -fO {url}"
    kept = codes(run(facts(HTTPS, Inspection(GIB), release=release)))
    assert "TLS_MAY_HANG_UP" in kept
    assert "TLS_HANGS_UP" not in kept
    assert "RELEASE_BUG" not in kept, "told once"


@pytest.mark.parametrize("release", SOUND)
def test_a_tls_server_may_close_connections_where_librbd_is_fixed(release):
    closing = Inspection(GIB, hanging_up=("https://h/x.raw",))
    assert not {"TLS_HANGS_UP", "TLS_MAY_HANG_UP"} & set(
        codes(run(facts(HTTPS, closing, release=release)))
    )


HANGING_UP = {"TLS_HANGS_UP", "TLS_MAY_HANG_UP", "HTTP_HANGS_UP"}


def test_a_server_without_tls_may_close_connections_silently():
    closing = Inspection(GIB, hanging_up=("http://h/x.raw",))
    assert not HANGING_UP & set(codes(run(facts(HTTP, closing))))


@pytest.mark.parametrize("release", [*CRASHING, *SOUND])
def test_a_server_without_tls_that_announces_it_is_refused_where_librbd_crashes(release):
    url = "http://h/x.raw"
    closing = Inspection(GIB, hanging_up=(url,), announcing_close=(url,))
    found = [f for f in run(facts(HTTP, closing, release=release)) if f.code in HANGING_UP]
    assert [f.code for f in found] == (["HTTP_HANGS_UP"] if release in CRASHING else [])
    assert all((f.errno, f.remedy) == (EOPNOTSUPP, f"curl -fO {url}") for f in found)
