"""Native imports by the method live: the target shows the one snapshot at once."""

from errno import EOPNOTSUPP

import pytest

from qa.workload.images import content, make_image, names, opened
from qa.workload.sources import KIB
from tests.cluster.importing import text
from tests.cluster.test_import_native import forms, write_head


def test_the_snapshot_and_not_the_head(client, migration, pools):
    one, other = pools
    source, target = f"{one}/src", f"{other}/copy"
    make_image(client, source)
    wanted = content(client, source, "one")
    assert wanted != content(client, source)
    said = migration.text(
        "prepare", "--import-only", f"{source}@one", target, "--method", "live", "--verify", "full"
    )
    assert said.startswith(f"{source}@one -> {target}: prepared")
    assert content(client, target) == wanted
    write_head(client, source, 7)
    assert content(client, target) == wanted
    with opened(client, target, read_only=False) as image:
        image.write(b"client" * 100, 300 * KIB)  # an object is copied for it
    mine = bytearray(wanted)
    mine[300 * KIB : 300 * KIB + 600] = b"client" * 100
    assert content(client, target) == bytes(mine)
    migration.text("execute", target)
    migration.wait(target, "executed")
    write_head(client, source, 8)
    assert content(client, target) == bytes(mine)
    migration.text("verify", target)
    report = migration.wait(target, "verified")
    assert report["verification"]["outcome"] == "passed"
    assert report["import_only"]
    assert migration.text("commit", target).startswith(f"{source}@one -> {target}: committed")
    assert content(client, target) == bytes(mine)
    with opened(client, target) as image, pytest.raises(Exception, match="found"):
        image.parent_info()
    with opened(client, source, "one") as image:
        assert list(image.list_children2()) == []
    with opened(client, target) as image:
        assert list(image.list_snaps()) == []
    with opened(client, source, read_only=False) as image:
        for snapshot in list(image.list_snaps()):
            image.remove_snap(snapshot["name"])


def test_by_name_and_by_id_and_back(client, migration, pools):
    one, other = pools
    source, target = f"{one}/src", f"{other}/copy"
    make_image(client, source)
    wanted = content(client, source, "one")
    with opened(client, source) as image:
        ident = image.id()
        snap_id = next(s["id"] for s in image.list_snaps() if s["name"] == "one")
    for spec in forms(one, client.pool_lookup(one), ident, snap_id, "one"):
        migration.ask(
            "prepare",
            source_image=target,
            import_only=True,
            source_spec=text(spec),
            method="live",
        )
        assert content(client, target) == wanted
        write_head(client, source, 9)
        assert "aborted" in migration.text("abort", target)
        assert names(client, other) == []


def test_holes_stay_holes(client, migration, pools):
    one, other = pools
    with_holes, target = f"{one}/src", f"{other}/copy"
    make_image(client, with_holes, snapshots=("one",))
    migration.ask(
        "run",
        source_image=f"{with_holes}@one",
        target_image=target,
        import_only=True,
        method="live",
    )
    report = migration.wait(target, "committed")
    assert 0 < report["bytes_total"] < 8 << 20


def test_an_image_in_the_trash_is_refused_with_the_command_that_restores_it(
    client, cluster, migration, pools
):
    one, other = pools
    source, target = f"{one}/src", f"{other}/copy"
    make_image(client, source)
    with opened(client, source) as image:
        ident = image.id()
    cluster.rbd("trash", "mv", source)
    spec = {"type": "native", "pool_name": one, "image_name": "src", "image_id": ident}
    asked = (
        "--import-only",
        target,
        "--method",
        "live",
        "--source-spec",
        text({**spec, "snap_name": "one"}),
    )
    restore = f"rbd trash restore {one}/{ident}"
    for command in ("check", "prepare"):
        if command == "prepare":
            said = migration.refused(EOPNOTSUPP, command, *asked)
        else:
            said = migration.text(command, *asked)
        assert restore in said
    assert names(client, other) == []
    cluster.rbd(*restore.split()[1:])
    migration.text("prepare", *asked)
    migration.wait(target, "prepared")
    assert "aborted" in migration.text("abort", target)
