"""The command line: ``./run qa verify``."""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable

import rados

from qa.devcluster import Cluster, given_or_new
from qa.workload.asking import ask
from qa.workload.images import KIB, MIB, make_image, opened, wipe
from qa.workload.writer import writing

POOLS = tuple(f"verify-{end}-{int(time.time())}" for end in ("from", "to"))
_TIMEOUT = 120.0
_NAME = "disk"

Report = dict[str, Any]


def main() -> int:
    """Run the tests; 0 when every verification passed."""
    parser = argparse.ArgumentParser(prog="./run qa verify", description=__doc__)
    parser.add_argument("--runs", type=int, default=0, help="verifications while a client writes")
    parser.add_argument("--speed", action="store_true", help="compare with rbd export")
    parser.add_argument("--size", type=int, default=512, help="MiB of the image for --speed")
    parser.add_argument("--dir", type=Path, help="a running cluster; otherwise one is made")
    options = parser.parse_args()
    with given_or_new(options.dir, "verify") as cluster:
        return _on(cluster, options)


def _on(cluster: Cluster, options: argparse.Namespace) -> int:
    alarms: list[int] = []
    for pool in POOLS:
        cluster.create_pool(pool)
    try:
        with cluster.connect() as client:
            alarms = [
                number
                for number in range(options.runs)
                if not _with_writer(cluster, client, number)
            ]
            if options.runs:
                print(f"{options.runs} runs, {len(alarms)} did not pass: {alarms}")
            if options.speed:
                _speed(cluster, client, options.size)
    finally:
        for pool in POOLS:
            cluster.delete_pool(pool)
    return 1 if alarms else 0


def _wait(client: rados.Rados, target: str, over: Callable[[Report], bool]) -> Report:
    deadline = time.monotonic() + _TIMEOUT
    while time.monotonic() < deadline:
        report: Report = ask(client, "status", target_image=target)
        if over(report):
            return report
        time.sleep(0.05)
    raise RuntimeError(f"{target} is still {report['state']}: {report['next']}")


def _ends() -> "tuple[str, str]":
    return f"{POOLS[0]}/{_NAME}", f"{POOLS[1]}/{_NAME}"


def _with_writer(cluster: Cluster, client: rados.Rados, number: int) -> bool:
    """Run one migration whose target is written to from the prepare to the commit."""
    source, target = _ends()
    make_image(client, source, size=16 * MIB, object_size=(64 << number % 4) * KIB, seed=number)
    ask(client, "prepare", source_image=source, target_image=target, verify="full")
    with writing(cluster, target, rate=400, seed=number) as writer:
        writer.wait_acked(number % 7 * 5 + 1)
        ask(client, "set", target_image=target, goal="verified", rate="32M")
        report = _wait(client, target, lambda r: r["state"] in ("verified", "failed"))
        written = writer.acked
        writer.stop()
    outcome = report["verification"]["outcome"] if report["verification"] else None
    print(f"run {number}: {outcome}, {written} writes", flush=True)
    ask(client, "commit", target_image=target, force=outcome != "passed")
    _wait(client, target, lambda r: bool(r["ended"]))
    if not wipe(client, POOLS):
        raise RuntimeError("images were left behind")
    return bool(outcome == "passed")


def _speed(cluster: Cluster, client: rados.Rados, size: int) -> None:
    """Run exports of both sides and the verification, alternately, three times."""
    source, target = _ends()
    make_image(client, source, size=size * MIB, object_size=4096 * KIB, snapshots=["one"])
    with opened(client, source, read_only=False) as image:
        image.remove_snap("one")
        for at in range(0, image.size(), 4 * MIB):
            image.write(at.to_bytes(8, "big") * (MIB // 2), at)
    ask(client, "prepare", source_image=source, target_image=target, verify="full")
    ask(client, "set", target_image=target, goal="executed")
    _wait(client, target, lambda r: r["state"] == "executed")
    for _ in range(3):
        begin = time.monotonic()
        subprocess.run(
            ["rbd", "export", "--no-progress", target, "-"],
            env=cluster.env,
            stdout=subprocess.DEVNULL,
            timeout=_TIMEOUT,
            check=True,
        )
        export = size / (time.monotonic() - begin)
        ask(client, "verify", target_image=target)
        report = _wait(client, target, lambda r: r["state"] == "verified")
        v = report["verification"]
        rate = v["bytes"] / MIB / max(0.1, v["seconds"])
        print(
            f"export {export:.0f} MiB/s; verify {rate:.0f} MiB/s compared, {2 * rate:.0f} MiB/s "
            f"read, {100 * rate / export:.0f} % and {200 * rate / export:.0f} %",
            flush=True,
        )
    ask(client, "abort", target_image=target, force=True)
    _wait(client, target, lambda r: bool(r["ended"]))
    wipe(client, POOLS)


if __name__ == "__main__":
    sys.exit(main())
