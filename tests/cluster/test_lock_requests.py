"""A client that boots while our worker copies slowly: it is not made to wait for the lock."""

import time

import pytest
import rados

from qa.workload.images import KIB, MIB, content, make_image, opened
from tests.cluster.commands import Commands

_RATE = 2 * MIB


@pytest.mark.parametrize("snapshots", [[], ["one"]], ids=["head", "snapshot"])
def test_the_first_write_of_a_client_does_not_wait_for_a_slow_copy(
    client: rados.Rados, migration: Commands, pools: "tuple[str, str]", snapshots: "list[str]"
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source, size=192 * MIB, object_size=4 * MIB, snapshots=snapshots)
    expected = bytearray(content(client, source))
    migration.text("prepare", source, target)
    migration.text("set", target, "--rate", str(_RATE))
    migration.text("execute", target)
    report = migration.wait_percent(target, 5)
    left = (report["bytes_total"] - report["bytes_copied"]) / _RATE
    with opened(client, target, read_only=False) as image:
        begun = time.monotonic()
        image.write(b"x" * KIB, 90 * MIB)
        waited = time.monotonic() - begun
    assert waited < left / 4, f"{waited:.2f} s of {left:.0f} s that the copy takes"
    expected[90 * MIB : 90 * MIB + KIB] = b"x" * KIB
    migration.text("set", target, "--rate", "off")
    migration.wait(target, "executed")
    assert content(client, target) == bytes(expected)
