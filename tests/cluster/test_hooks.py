"""Hooks in the real manager, with the receiver of the documentation at the other end."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from errno import EINVAL, EIO, ENOENT, EPERM
from pathlib import Path
from typing import Any

import pytest
import rados

from qa.devcluster import Cluster
from qa.workload.certificate import certificate
from qa.workload.images import make_image
from qa.workload.module_options import module_options
from qa.workload.writer import writing
from tests.cluster.commands import Commands, wait_audited

Pools = "tuple[str, str]"
_RECEIVER = Path(__file__).parents[2] / "doc" / "examples" / "hook_receiver.py"
_SECRET = "3f5f0a6be0a94f0db14be80a20f9f3a5"
_COMMAND = """#!/bin/sh
cat > "{folder}/$1.new" && mv "{folder}/$1.new" "{folder}/$1"
if [ "$1" = before_cutover ]; then
    if [ -e "{folder}/veto" ]; then cat "{folder}/veto"; exit 1; fi
    [ -e "{folder}/stopped" ] || exit 75
fi
exit 0
"""


class Receiver:
    """The receiver of the documentation; what it was told is in files of ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cert, key = certificate(folder)
        secret, command = folder / "secret", folder / "command"
        secret.write_text(_SECRET)
        command.write_text(_COMMAND.format(folder=folder))
        command.chmod(0o700)
        self.process = subprocess.Popen(
            [sys.executable, str(_RECEIVER), "--secret", str(secret), "--certificate",
             str(self.cert), "--key", str(key), "--run", str(command), "--port", "0"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.port = self.process.stdout.readline().rpartition(":")[2].strip()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}/rbd?token=hidden"

    def told(self, event: str, timeout: float = 90) -> Any:
        """The last message about an event, once one came."""
        until = time.monotonic() + timeout
        while not (self.folder / event).exists():
            assert time.monotonic() < until, f"{event} did not come"
            time.sleep(0.05)
        return json.loads((self.folder / event).read_text())["migration"]

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def receiver(cluster: Cluster, migration: Commands, tmp_path: Path) -> Iterator[Receiver]:
    made = Receiver(tmp_path)
    try:
        with module_options(cluster, hook_hosts="127.0.0.1"):
            yield made
            migration.raw("hook", "rm", "test")
    finally:
        made.stop()


def add(migration: Commands, receiver: Receiver, *options: str, ca: bool = True) -> str:
    trusted = ["--ca", receiver.cert.read_text()] if ca else []
    secret = str(receiver.folder / "secret")
    return migration.cli(
        "hook", "add", "test", receiver.url, "-i", secret, *trusted, *options
    ).stdout


def test_a_hook_stops_the_client_and_hears_of_the_rest(
    migration: Commands, cluster: Cluster, client: rados.Rados, pools: Pools, receiver: Receiver
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source)
    assert "hook test test" in add(migration, receiver, "--pool", pools[1])
    assert migration.text("hook", "test", "test") == "The hook test took the message."
    (shown,) = migration.json("hook", "ls")
    assert shown["url"] == receiver.url.replace("token=hidden", "...")
    assert _SECRET not in json.dumps(shown)
    with writing(cluster, source, rate=100) as writer:
        migration.text("run", source, target, "--cutover", "hook", "--goal", "cut-over")
        assert receiver.told("executed")["id"] == migration.report(target)["id"]
        assert receiver.told("before_cutover")["leave"] == source
        assert "test has to agree" in migration.report(target)["hold"]["message"]
        writer.wait_acked(50)
        writer.stop()
    (receiver.folder / "stopped").touch()
    migration.text("hook", "done", "test", target)
    report = migration.wait(target, "cut-over")
    assert report["rounds"]["pause_seconds"] > 0
    assert receiver.told("after_cutover")["start_on"] == target
    migration.text("commit", target)
    migration.wait(target, "committed")
    assert receiver.told("committed")["source"] == source


def test_a_veto_and_a_failover(
    migration: Commands, cluster: Cluster, client: rados.Rados, pools: Pools, receiver: Receiver
) -> None:
    image = f"{pools[0]}/disk"
    make_image(client, image)
    add(migration, receiver)
    (receiver.folder / "veto").write_text("a backup runs")
    (receiver.folder / "stopped").touch()
    migration.text("run", image, "--object-size", "1M", "--cutover", "hook", "--goal", "cut-over")
    receiver.told("cutover_failed")
    hold = migration.report(image)["hold"]
    assert hold["reason"] == "hook"
    assert "The hook test said no: a backup runs." in hold["message"]
    said = "'the hook test said no to the cutover: a backup runs' by 'hook test'"
    wait_audited(cluster, f"migration {image} -> {image}: {said}")
    (receiver.folder / "veto").unlink()
    cluster.mgr_fail()
    migration.text("cutover", image, "--cutover", "hook")
    migration.wait(image, "cut-over")
    assert receiver.told("after_cutover")["start_on"] == image


def test_where_messages_do_not_go(
    migration: Commands, cluster: Cluster, client: rados.Rados, pools: Pools, receiver: Receiver
) -> None:
    image = f"{pools[0]}/disk"
    make_image(client, image)
    said = migration.refused(ENOENT, "run", image, "--object-size", "1M", "--cutover", "hook")
    assert "hook add" in said
    said = migration.refused(EINVAL, "hook", "add", "test", receiver.url)
    assert "openssl" in said
    said = migration.refused(EINVAL, "hook", "add", "test", receiver.url, "--secret", _SECRET)
    assert "audit log" in said
    add(migration, receiver, ca=False)
    said = migration.refused(EIO, "hook", "test", "test")
    assert "--ca" in said
    migration.text("hook", "rm", "test")
    with module_options(cluster, hook_hosts="192.0.2.1"):
        done = migration.cli(
            "hook", "add", "test", receiver.url, "-i", str(receiver.folder / "secret")
        )
        assert done.returncode == EPERM
        assert "hook_hosts" in done.stderr
