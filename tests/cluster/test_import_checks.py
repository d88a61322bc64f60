"""Checks of imports, provoked; those about secrets are in ``test_import_secrets``."""

import json
import re
from errno import EINVAL
from itertools import chain, islice

from qa.hostile.manager import WARM, check_all
from qa.hostile.trial import Bench
from qa.workload.images import content, names
from qa.workload.sources import KIB, make_source, qemu
from tests.cluster.importing import Place, place, text  # noqa: F401 - a fixture


def codes(found):
    return {finding["code"]: finding for finding in found["findings"]}


def test_what_a_raw_source_means_for_the_target(migration, pool, place):  # noqa: F811
    source = make_source(place.folder, "raw")
    spec = text(source.spec(place.stream("file")))
    asked = {"source_image": f"{pool}/disk", "import_only": True, "source_spec": spec}
    found = migration.ask("check", **asked)
    assert found["ok"] is True
    assert codes(found)["RAW_THICK"]["remedy"] == f"rbd sparsify {pool}/disk"
    refused = migration.ask("check", **asked, flatten=True)
    assert refused["ok"] is False
    assert codes(refused)["IMPORT_FLATTEN"]["severity"] == "error"
    words = [f"{pool}/disk", "--import-only", "--source-spec", spec, "--flatten"]
    assert "--flatten" in migration.refused(EINVAL, "prepare", *words)


def test_raw_snapshots_that_do_not_fit_the_objects(migration, pool, place):  # noqa: F811
    source = make_source(place.folder, "raw-snapshots")
    spec = text(source.spec(place.stream("file")))
    asked = {"source_image": f"{pool}/disk", "import_only": True, "source_spec": spec}
    refused = codes(migration.ask("check", **asked, object_size="4M"))["RAW_SNAPSHOTS_ALIGNED"]
    assert refused["severity"] == "error"
    option, size = refused["remedy"].split()
    assert option == "--object-size"
    assert "RAW_SNAPSHOTS_ALIGNED" not in codes(migration.ask("check", **asked, object_size=size))


def test_a_file_of_another_format_is_imported_as_raw_only_when_that_is_asked_for(
    cluster,
    client,
    migration,
    pool,
    place,  # noqa: F811
):
    source = make_source(place.folder, "qcow3", seed=7)
    spec = {**source.spec(place.stream("file")), "type": "raw"}
    target, planned = f"{pool}/asked", f"{pool}/planned"
    asked = {"source_image": target, "import_only": True, "source_spec": text(spec)}
    found = codes(migration.ask("check", **asked))["RAW_CONTAINER"]
    assert (found["severity"], found["remedy"]) == ("error", '"type": "qcow"')
    words = [target, "--import-only", "--source-spec", text(spec)]
    assert "with --as-raw" in migration.refused(EINVAL, "prepare", *words)
    assert names(client, pool) == []
    found = migration.ask("check", **asked, as_raw=True)
    assert found["ok"] is True
    assert codes(found)["RAW_CONTAINER"]["severity"] == "warning"
    migration.ask("run", **asked, as_raw=True)
    plan = {
        "plan": "as-raw",
        "images": [
            {"source_spec": spec, "target": f"{pool}/refused"},
            {"source_spec": spec, "target": planned, "as_raw": True},
        ],
    }
    file = place.folder / "plan.json"
    file.write_text(json.dumps(plan), encoding="utf-8")
    migration.text("plan", "create", "-i", str(file))
    migration.ask("plan start", plan="as-raw")

    def state():
        return migration.ask("plan show", plan="as-raw")["state"]

    cluster.wait_for(lambda: state() == "done-with-failures", 60, "the plan to be done")
    for each in (target, planned):
        migration.wait(each, "committed")
        assert content(client, each) == source.files[0].read_bytes()
    assert names(client, pool) == ["asked", "planned"]
    migration.ask("plan rm", plan="as-raw")


def test_a_qcow_disk_that_was_made_smaller_after_a_snapshot(migration, pool, place):  # noqa: F811
    source = make_source(place.folder, "qcow3-snapshots", seed=5, size=430 * KIB)
    qemu("img", "resize", "-f", "qcow2", "--shrink", str(source.files[0]), str(32 * KIB))
    spec = text(source.spec(place.stream("file")))
    asked = {"source_image": f"{pool}/disk", "import_only": True, "source_spec": spec}
    refused = codes(migration.ask("check", **asked))["QCOW_SHRUNK"]
    assert refused["severity"] == "error"
    option, size = refused["remedy"].split()
    assert option == "--object-size"
    assert migration.ask("check", **asked, object_size=size)["ok"] is True


def test_https_is_no_source_where_librbd_crashes_when_the_server_hangs_up(
    cluster,
    migration,
    pool,
    place,  # noqa: F811
):
    """Fixed in 18.2.5, 19.2.1 and 20."""
    release = tuple(
        map(int, re.search(r"version (\d+)\.(\d+)\.(\d+)", cluster.ceph("version")).groups())
    )
    crashes = release < (18, 2, 5) or (19,) <= release < (19, 2, 1)
    source = make_source(place.folder, "raw", seed=3)
    stream = place.stream("https")
    spec = text(source.spec(stream))
    asked = {"source_image": f"{pool}/disk", "import_only": True, "source_spec": spec}
    kept = codes(migration.ask("check", **asked))
    assert ("TLS_MAY_HANG_UP" in kept) is crashes
    assert "TLS_HANGS_UP" not in kept
    place.https.behave(f"/{source.files[0].name}", close="told")
    found = migration.ask("check", **asked)
    assert found["ok"] is not crashes
    assert ("TLS_HANGS_UP" in codes(found)) is crashes
    name = f"/{source.files[0].name}"
    asked["source_spec"] = text(source.spec(place.stream("http")))
    assert "HTTP_HANGS_UP" not in codes(migration.ask("check", **asked))
    place.http.behave(name, close="told")
    found = migration.ask("check", **asked)
    assert found["ok"] is not crashes
    assert ("HTTP_HANGS_UP" in codes(found)) is crashes


def test_a_source_that_no_release_can_read(migration, pool):
    """Another cluster: librbd would copy its live head in place of the snapshot."""
    spec = text(
        {
            "type": "native", "cluster_name": "other", "client_name": "client.x",
            "pool_name": "rbd", "image_name": "disk", "snap_name": "one",
        }
    )  # fmt: skip
    found = migration.ask("check", source_image=f"{pool}/disk", import_only=True, source_spec=spec)
    assert found["ok"] is False
    assert "give mon_host and key" in codes(found)["SOURCE_RELEASE"]["message"]


def test_hostile_files_do_not_make_the_manager_grow(cluster, client, pool, place):  # noqa: F811
    folder = place.folder / "hostile"
    folder.mkdir()
    bench = Bench(folder)
    files = chain(bench.sampled(17), bench.fuzzed(range(60)))
    found = check_all(cluster, client, pool, islice(files, WARM + 50))
    assert found.wrong == []
    assert len(found.codes) > 4  # disks, and reasons why others are none
