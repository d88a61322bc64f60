"""The command line of the demo: ``./run demo``."""

import argparse
import contextlib
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Optional

from qa.demo import guest_tour, scenario, summary
from qa.demo.console import Console
from qa.demo.errors import DemoError, ManagerTrouble
from qa.demo.logs import manager_logs
from qa.demo.result import Result
from qa.demo.settings import Settings
from qa.demo.sizes import parse_size
from qa.demo.stopwatch import Stopwatch
from qa.devcluster import Cluster, ClusterOptions, DevClusterError, interrupt_on_signals

# Progress events reach 'ceph -s' with the manager's tick.
_CONF = {"mgr_tick_period": "1"}


def main(argv: Optional[list[str]] = None) -> int:
    """Run the demo; 0 if all bytes are right, 1 if not, 130 if it was interrupted."""
    interrupt_on_signals()
    try:
        args = _arguments(argv)
        console = Console()
        if args.guest:
            return _guest_demo(args, console)
        result = _demo(args, console)
        summary.show(result, console)
        return result.exit_code
    except BrokenPipeError:
        # The reader has gone; keep Python from complaining when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (DemoError, DevClusterError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130


def _arguments(argv: Optional[list[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./run demo",
        description="Migrate an image from one pool to another while a client writes to it, "
        "on a cluster of its own, and compare every byte afterwards.",
    )
    parser.add_argument("--size", default="256M", help="of the image (default: 256M)")
    parser.add_argument(
        "--dir", type=Path, help="folder for the cluster, new or empty (default: a temporary one)"
    )
    parser.add_argument("--keep", action="store_true", help="leave the cluster up at the end")
    parser.add_argument(
        "--corrupt",
        choices=("head", "snapshot"),
        help="spoil some bytes of the target before the comparison, which has to find them",
    )
    parser.add_argument(
        "--guest",
        action="store_true",
        help="move the disk of a running virtual machine instead (needs qemu-system-x86)",
    )
    args = parser.parse_args(argv)
    if args.guest and args.corrupt:
        parser.error("--guest and --corrupt do not go together: the guest compares by itself")
    try:
        args.settings = Settings(size=parse_size(args.size), corrupt=args.corrupt)
    except (ValueError, DemoError) as error:
        parser.error(str(error))
    return args


def _demo(args: argparse.Namespace, console: Console) -> Result:
    settings: Settings = args.settings
    stopwatch = Stopwatch()
    with _cluster(args, console, stopwatch) as cluster:
        try:
            result = scenario.run(cluster, settings, console, _files(cluster), stopwatch)
        except ManagerTrouble as error:
            raise DemoError(f"{error}\n{manager_logs(cluster)}") from error
    return replace(result, seconds=stopwatch.seconds)


def _guest_demo(args: argparse.Namespace, console: Console) -> int:
    with _cluster(args, console, Stopwatch()) as cluster:
        try:
            return guest_tour.run(cluster, args.settings, console, _files(cluster))
        except ManagerTrouble as error:
            log = guest_tour.agent_log(cluster.layout.root / "demo")
            raise DemoError(f"{error}\n{log}\n{manager_logs(cluster)}") from error


def _files(cluster: Cluster) -> Path:
    """Yield a folder that is removed together with the cluster."""
    folder = cluster.layout.root / "demo"
    folder.mkdir()
    return folder


@contextlib.contextmanager
def _cluster(args: argparse.Namespace, console: Console, stopwatch: Stopwatch) -> Iterator[Cluster]:
    """Yield a running cluster with two pools; take it down at the end unless it is to be kept."""
    folder: Path = args.dir or Path(tempfile.mkdtemp(prefix="rbd-migration-demo-"))
    settings: Settings = args.settings
    cluster = Cluster(folder)
    console.section("A Ceph cluster of its own")
    try:
        with stopwatch.step("start"):
            cluster.up(ClusterOptions(conf=_CONF))  # cleans up after itself when it fails
    except BaseException:
        if args.dir is None:
            cluster.down()
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise
    try:
        with stopwatch.step("make pools"):
            for pool in (settings.source_pool, settings.target_pool):
                cluster.create_pool(pool)
        console.say(
            f"A mon, a manager with rbd_migration, an OSD, in {cluster.layout.root};\n"
            f"the pools {settings.source_pool} and {settings.target_pool}."
        )
        yield cluster
    finally:
        if args.keep:
            _tell_how_to_use(cluster, settings, console)
        else:
            with stopwatch.step("stop"):
                cluster.down()


def _tell_how_to_use(cluster: Cluster, settings: Settings, console: Console) -> None:
    where = f"--dir {shlex.quote(str(cluster.layout.root))}"
    console.section("The cluster stays up")
    console.say("To work with it, then to stop it:")
    console.command([f'eval "$(./run cluster env {where})"'])
    console.command(["ceph", "rbd", "migration", "status", settings.target])
    console.command(["./run", "cluster", "down", where])
