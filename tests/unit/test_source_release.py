"""Which releases read a source."""

import json

import pytest

from rbdmigrate.model.source_release import required_release, unsupported
from rbdmigrate.model.source_spec import parse_source_spec

FILE = {"type": "file", "file_path": "/mnt/image.raw"}
NBD = {"type": "nbd", "uri": "nbd://nbd.example/disk"}
NATIVE = {"type": "native", "pool_name": "hdd", "image_name": "disk", "snap_name": "snap"}


def parse(plain):
    return parse_source_spec(json.dumps(plain))


@pytest.mark.parametrize(
    ("plain", "needs"),
    [
        ({"type": "raw", "stream": FILE}, None),
        (NATIVE, None),
        ({"type": "raw", "stream": NBD}, 20),
        (
            {
                "type": "raw",
                "stream": FILE,
                "snapshots": [{"type": "raw", "name": "s", "stream": NBD}],
            },
            20,
        ),
    ],
)
def test_what_needs_a_newer_release_says_so(plain, needs):
    spec = parse(plain)
    required = required_release(spec)
    assert (required.major if required else None) == needs
    assert unsupported(spec, (20, 2, 0)) is None
    sentence = unsupported(spec, (19, 2, 3))
    if needs:
        assert "Ceph 20 (Tentacle)" in sentence
        assert "19.2.3" in sentence
        assert unsupported(spec, (0, 0, 0))
    else:
        assert sentence is None


@pytest.mark.parametrize("release", [(16, 2, 15), (20, 2, 4)])
def test_another_cluster_is_refused_by_every_release(release):
    sentence = unsupported(parse({**NATIVE, "cluster_name": "old"}), release)
    assert "rbd export" in sentence
    assert "upgrade" not in sentence
