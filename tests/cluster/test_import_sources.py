"""Sources that crash librbd, hang, fail or change: the manager says why, and goes on."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ECONNREFUSED, EIO, ENOENT, EOPNOTSUPP, EPERM
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import run
from threading import Thread

import pytest

from qa.devcluster import Cluster
from qa.workload.held_process import HeldProcess, held_at
from qa.workload.images import content, names
from qa.workload.module_options import module_options
from qa.workload.sources import MIB
from qa.workload.web_behaviour import Behaviour
from tests.cluster.importing import place, text  # noqa: F401 - a fixture

SECRET = b"secret of the host"  # the content of another file than the one that was checked


@pytest.fixture
def blind(cluster):
    """Nobody looks at the source before librbd does."""
    switch = cluster.faults / "inspection.skip"
    switch.touch()
    yield
    switch.unlink()


def prepare(migration, target, spec, **more):
    return migration.ask(
        "prepare", source_image=target, import_only=True, source_spec=text(spec), **more
    )


def disk(place, name, size=8 * MIB):  # noqa: F811
    """A raw disk of random bytes that is slow to copy: many objects."""
    path = place.folder / name
    with path.open("wb") as file, open("/dev/urandom", "rb") as random:
        file.write(random.read(size))
    return path


def crashers(place):  # noqa: F811
    """Sources that make librbd 16, 18 and 20 end their process by SIGSEGV."""
    made = place.folder / "apart.qcow2"
    form = f"data_file={place.folder}/apart.data,data_file_raw=on"
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-o", form, str(made), "4M"]
    run(create, check=True, timeout=30, capture_output=True)
    yield {"type": "qcow", "stream": {"type": "file", "file_path": str(made)}}, EOPNOTSUPP
    old = disk(place, "old.raw", MIB)
    with old_server(place.folder) as port:
        url = f"http://127.0.0.1:{port}/{old.name}"
        yield {"type": "raw", "stream": {"type": "http", "url": url}}, None


@contextmanager
def old_server(folder):
    """Python's own web server: HTTP/1.0, without ranges."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


def test_the_manager_survives_what_crashes_librbd(cluster, client, migration, pool, place, blind):  # noqa: F811
    before = cluster.active_mgr(), cluster.mon_command("mgr dump")["active_gid"]
    for number, (spec, _) in enumerate(crashers(place)):
        target = f"{pool}/crash{number}"
        done = migration.raw("prepare", target, "--import-only", "--source-spec", text(spec))
        if done.returncode:
            # 20.2.4 does not always crash: then the source is looked at for what is wrong.
            crashed = "librbd crashed (SIGSEGV)" in done.stderr
            assert crashed or "because of its source" in done.stderr, done.stderr
            cluster.wait_for(lambda: not migration.under_way(), 20, "its record to be gone")
            continue
        # Over HTTP it takes the first read.
        migration.ask("execute", target_image=target)
        cluster.wait_for(partial(_failed, migration, target), 30, "its failure")
        said = migration.report(target)["failure"]["message"]
        assert "librbd crashed (SIGSEGV)" in said or "ignores ranges" in said
        assert "aborted" in migration.text("abort", target, "--force")
    assert names(client, pool) == []
    assert before == (cluster.active_mgr(), cluster.mon_command("mgr dump")["active_gid"])


def _failed(migration, target):
    return migration.report(target)["state"] == "failed"


def test_inspection_refuses_them_first(migration, pool, place):  # noqa: F811
    for spec, code in crashers(place):
        args = ("prepare", f"{pool}/x", "--import-only", "--source-spec", text(spec))
        if code is not None:
            migration.refused(code, *args)
        else:
            assert "range" in migration.raw(*args).stderr.lower()
    assert migration.under_way() == []


def begin(migration, place, pool, name, **more):  # noqa: F811
    """An import over HTTP that is at its copy, slowly."""
    path = disk(place, name)
    target = f"{pool}/{name.partition('.')[0]}"
    spec = {"type": "raw", "stream": {"type": "http", "url": place.http.url(f"/{name}")}}
    prepare(migration, target, spec, object_size="64K", **more)
    migration.ask("set", target_image=target, rate="4M")
    migration.ask("execute", target_image=target)
    return path, target


def end(client, migration, target, path):
    migration.ask("set", target_image=target, rate="off")
    migration.wait(target, "executed", timeout=90)
    assert content(client, target) == path.read_bytes()


def test_a_server_that_dies_and_comes_back(cluster, client, migration, pool, place):  # noqa: F811
    path, target = begin(migration, place, pool, "dies.raw")
    migration.wait_percent(target, 10)
    place.http.stop()
    try:
        cluster.wait_for(lambda: migration.report(target)["failure"], 60, "the copy to fail")
        failure = migration.report(target)["failure"]
        assert failure["transient"]
        assert failure["errno"] == ECONNREFUSED, failure
        # Nothing needs the source for going back, nor for being told about it.
        assert migration.text("status", target)
    finally:
        place.http.start()
    migration.ask("retry", target_image=target)
    end(client, migration, target, path)


def test_an_abort_does_not_need_the_source(client, migration, pool, place):  # noqa: F811
    _, target = begin(migration, place, pool, "gone.raw")
    migration.wait_percent(target, 10)
    migration.text("pause", target)  # a copy that fails right then looks like a client's write
    place.http.stop()
    try:
        assert "aborted" in migration.text("abort", target, "--force")
        assert names(client, pool) == []
    finally:
        place.http.start()


def test_a_file_that_is_forbidden_now(cluster, client, migration, pool, place):  # noqa: F811
    path, target = begin(migration, place, pool, "forbidden.raw")
    migration.wait_percent(target, 10)
    place.http.behave("/forbidden.raw", status=403)
    cluster.wait_for(lambda: migration.report(target)["state"] == "failed", 60, "its failure")
    failure = migration.report(target)["failure"]
    assert failure["errno"] == EPERM, failure
    assert "403" in failure["message"]
    place.http.behave("/forbidden.raw", Behaviour())
    migration.ask("retry", target_image=target)
    end(client, migration, target, path)


def test_a_file_that_was_cut_off(cluster, client, migration, pool, place):  # noqa: F811
    path, target = begin(migration, place, pool, "short.raw")
    migration.wait_percent(target, 10)
    whole = path.read_bytes()
    path.write_bytes(whole[: MIB // 2])
    cluster.wait_for(lambda: migration.report(target)["failure"], 60, "the copy to fail")
    assert migration.report(target)["failure"]["errno"] in (EIO, 34), migration.report(target)
    path.write_bytes(whole)
    migration.ask("retry", target_image=target)
    end(client, migration, target, path)


def test_a_source_that_changed_is_not_committed(client, migration, pool, place):  # noqa: F811
    path, target = begin(migration, place, pool, "changed.raw")
    migration.wait_percent(target, 10)
    path.write_bytes(path.read_bytes()[::-1])
    migration.ask("set", target_image=target, rate="off", goal="committed")
    migration.wait(target, "executed", timeout=60)
    report = migration.report(target)
    assert report["source_changes"]
    deadline = time.monotonic() + 60
    while report["hold"] is None and time.monotonic() < deadline:
        report = migration.report(target)
    assert report["hold"]["reason"] == "operator"
    assert "changed" in report["hold"]["message"]
    assert "changed" in migration.refused(1, "commit", target)
    assert "committed" in migration.text("commit", target, "--force")


def test_a_source_that_stops_giving(cluster, client, migration, pool, place):  # noqa: F811
    with module_options(cluster, source_timeout="5"):
        path, target = begin(migration, place, pool, "stalls.raw")
        migration.wait_percent(target, 10)
        place.http.behave("/stalls.raw", delay=60)
        cluster.wait_for(lambda: migration.report(target)["failure"], 60, "the copy to be stopped")
        assert "nothing came from the source" in migration.report(target)["failure"]["message"]
        place.http.behave("/stalls.raw", Behaviour())
        migration.ask("retry", target_image=target)
        end(client, migration, target, path)


def test_nothing_is_left_of_a_missing_source(client, migration, pool, place, blind):  # noqa: F811
    spec = {"type": "raw", "stream": {"type": "file", "file_path": f"{place.folder}/nothing"}}
    said = migration.refused(
        ENOENT, "prepare", f"{pool}/x", "--import-only", "--source-spec", text(spec)
    )
    assert "nothing" in said
    assert migration.under_way() == []
    assert names(client, pool) == []


@contextmanager
def exchanged_at(cluster: Cluster, point: str, act: str, file: Path) -> Iterator[HeldProcess]:
    """While ``act`` waits at a fault point, a link to another file of the host takes the place."""
    secret = cluster.layout.root / "not-to-be-read"
    secret.write_bytes(SECRET * (64 * MIB // len(SECRET)))
    with held_at(cluster.faults, point, act) as worker:

        def exchange() -> None:
            cluster.wait_for(worker.waits, 40, "the fault point")
            file.rename(f"{file}.aside")
            file.symlink_to(secret)
            worker.let_go()

        thread = Thread(target=exchange)
        thread.start()
        try:
            yield worker
        finally:
            thread.join(60)
            if Path(f"{file}.aside").exists():
                Path(f"{file}.aside").replace(file)


def of_file(file: Path) -> "dict[str, object]":
    return {"type": "raw", "stream": {"type": "file", "file_path": str(file)}}


def test_a_file_that_is_exchanged_between_check_and_prepare_is_not_imported(
    cluster,
    client,
    migration,
    pool,
    place,  # noqa: F811
):
    file = disk(place, "exchanged.raw", MIB)
    with exchanged_at(cluster, "librbd.before", "prepare", file) as worker:
        said = migration.refused(
            1, "prepare", "--import-only", f"{pool}/x", "--source-spec", text(of_file(file))
        )
    assert "was exchanged for another one" in said, f"came to the point: {worker.arrivals()}"
    assert names(client, pool) == []
    assert prepare(migration, f"{pool}/x", of_file(file))["state"] == "prepared"


def test_the_copy_of_a_file_that_is_exchanged_before_it_stops_at_its_first_object(
    cluster,
    client,
    migration,
    pool,
    place,  # noqa: F811
):
    """The look before the copy comes too early for it; the one at the first object does not. The
    objects that librbd copies at the same time as the first one may be of the other file.
    """
    target, file = f"{pool}/y", disk(place, "exchanged-later.raw", 64 * MIB)
    prepare(migration, target, of_file(file))
    with exchanged_at(cluster, "librbd.before", "execute", file):
        migration.ask("execute", target_image=target)
        failed = migration.wait(target, "failed")
    assert "was exchanged for another one" in failed["failure"]["message"]
    assert failed["source_changes"], "it is not committed without a full comparison"
    assert SECRET * 4096 not in content(client, target)[-4 * MIB :]
    assert "aborted" in migration.text("abort", target, "--force")


def test_a_file_that_was_exchanged_long_before_the_copy_is_refused(
    cluster,
    client,
    migration,
    pool,
    place,  # noqa: F811
):
    target, file = f"{pool}/z", disk(place, "exchanged-before.raw", MIB)
    prepare(migration, target, of_file(file))
    file.unlink()
    file.symlink_to("/etc/hostname")
    migration.ask("execute", target_image=target)
    failed = migration.wait(target, "failed")
    assert "a symbolic link leads out" in failed["failure"]["message"]
    assert "aborted" in migration.text("abort", target, "--force")
