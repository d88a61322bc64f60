"""The command line of the development cluster: ``./run cluster ...``."""

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Optional

from qa.devcluster.cluster import Cluster
from qa.devcluster.errors import DevClusterError
from qa.devcluster.interruption import interrupt_on_signals
from qa.devcluster.layout import REPOSITORY
from qa.devcluster.options import GIB, ClusterOptions, parse_conf_line
from qa.releases.catalogue import KNOWN, here
from qa.releases.enter import inside
from qa.releases.root import RootError

_RELEASE = "release"  # the file in a cluster's folder that names its release


def main(argv: Optional[list[str]] = None) -> int:
    args = _parser().parse_args(argv)
    action: Callable[[Cluster, argparse.Namespace], int] = args.action
    try:
        release = args.release or _release_of(args.dir)
        if release and release != here():
            words = sys.argv[1:] if argv is None else argv
            command = inside(release, ["./run", "cluster", *words])
            os.execvp(command[0], command)
        interrupt_on_signals()
        return action(Cluster(args.dir), args)
    except (DevClusterError, RootError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--dir",
        default=str(REPOSITORY / ".cluster"),
        help="folder of the cluster (default: .cluster in the repository)",
    )
    common.add_argument(
        "--release",
        choices=list(KNOWN),
        help="of Ceph; others than this machine's run in a chroot (default: this machine's, or "
        "that of the cluster in the folder)",
    )
    parser = argparse.ArgumentParser(
        prog="./run cluster", description="A real Ceph cluster on loopback, in one folder."
    )
    actions = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, action: Callable[..., int], text: str) -> argparse.ArgumentParser:
        command = actions.add_parser(name, parents=[common], help=text, description=text)
        command.set_defaults(action=action)
        return command

    up = add("up", _up, "make a cluster and start it")
    up.add_argument("--mons", type=int, default=1, metavar="N")
    up.add_argument("--mgrs", type=int, default=1, metavar="N")
    up.add_argument("--osds", type=int, default=1, metavar="N")
    up.add_argument(
        "--osd-size", type=int, default=20, metavar="GIB", help="of the sparse file behind an OSD"
    )
    up.add_argument("--rgw", action="store_true", help="with an object gateway and an S3 user")
    up.add_argument("--dashboard", action="store_true", help="with the dashboard")
    up.add_argument(
        "--no-module", dest="module", action="store_false", help="without rbd_migration"
    )
    up.add_argument(
        "--conf", action="append", default=[], metavar="KEY=VALUE", help="a line for ceph.conf"
    )
    add("down", _down, "stop the cluster and remove its folder")
    add("status", _status, "show the daemons and the cluster's health")
    add("env", _env, "print shell commands after which ceph, rbd and rados work with the cluster")
    shell = add("shell", _shell, "run a command (or a shell) with the cluster's environment")
    shell.add_argument("argv", nargs="*", metavar="CMD", help="after '--'")
    mgr = add("mgr", _mgr, "kill, restart or fail the active manager")
    mgr.add_argument(
        "what",
        choices=sorted(_MGR_ACTIONS),
        help="kill: SIGKILL to the active one; restart: stop all and start them with new module "
        "code; fail: 'ceph mgr fail' of the active one",
    )
    return parser


def _release_of(folder: str) -> str:
    """Return the release of the cluster in ``folder``; empty when there is none."""
    try:
        return (Path(folder) / _RELEASE).read_text(encoding="utf-8")
    except OSError:
        return ""


def _up(cluster: Cluster, args: argparse.Namespace) -> int:
    begun = time.monotonic()
    cluster.up(
        ClusterOptions(
            mons=args.mons,
            mgrs=args.mgrs,
            osds=args.osds,
            osd_size=args.osd_size * GIB,
            rgw=args.rgw,
            dashboard=args.dashboard,
            module=args.module,
            conf=dict(parse_conf_line(line) for line in args.conf),
        )
    )
    (cluster.layout.root / _RELEASE).write_text(here(), encoding="utf-8")
    print(f"The cluster is up after {time.monotonic() - begun:.1f} s.")
    return _status(cluster, args)


def _down(cluster: Cluster, args: argparse.Namespace) -> int:
    if not cluster.exists():
        print(f"There is no cluster in {cluster.layout.root}.")
        return 0
    cluster.down()
    print("The cluster is down and its folder removed.")
    return 0


def _status(cluster: Cluster, args: argparse.Namespace) -> int:
    options = cluster.options
    print(f"folder     {cluster.layout.root}")
    print(f"conf       {cluster.conf}")
    for name, pid in cluster.daemons.states().items():
        print(f"{name:<10} {f'pid {pid}' if pid else 'not running'}")
    health = cluster.health()
    print(f"health     {health['status']}")
    for name, check in health["checks"].items():
        print(f"           {name}: {check['summary']['message']}")
    if options.dashboard:
        print("dashboard  {url} user {user} password {password}".format(**cluster.dashboard()))
    if options.rgw:
        print(f"S3         {cluster.s3()['endpoint']} keys in {cluster.layout.s3}")
    return 0


def _env(cluster: Cluster, args: argparse.Namespace) -> int:
    _ = cluster.blueprint  # fails with a clear message when there is none
    # With semicolons, so that an eval without quotes, which joins the lines, works too.
    print("unset CEPH_ARGS CEPH_KEYRING;")
    print(f"export CEPH_CONF={shlex.quote(str(cluster.conf))};")
    return 0


def _shell(cluster: Cluster, args: argparse.Namespace) -> int:
    _ = cluster.blueprint
    command = args.argv or [os.environ.get("SHELL", "/bin/bash")]
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return subprocess.call(command, env=cluster.env)


def _mgr_kill(cluster: Cluster) -> str:
    return f"mgr.{cluster.mgr_kill()} was killed."


def _mgr_restart(cluster: Cluster) -> str:
    return f"The managers were restarted; mgr.{cluster.mgr_restart()} is active."


def _mgr_fail(cluster: Cluster) -> str:
    return f"mgr.{cluster.mgr_fail()} was failed; mgr.{cluster.active_mgr()} is active."


_MGR_ACTIONS: dict[str, Callable[[Cluster], str]] = {
    "kill": _mgr_kill,
    "restart": _mgr_restart,
    "fail": _mgr_fail,
}


def _mgr(cluster: Cluster, args: argparse.Namespace) -> int:
    print(_MGR_ACTIONS[args.what](cluster))
    return 0
