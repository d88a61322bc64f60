"""The settings of the agent: options of its command line over those of a configuration file."""

from __future__ import annotations

import argparse
import configparser
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

_FILE = Path("/etc/rbd-migration-agent.conf")
_SECTION = "agent"
_STATE = "/var/lib/rbd-migration-agent"
_KEYS = {"conf", "id", "host", "qmp", "libvirt", "pool", "state"}


class Invalid(Exception):
    """A setting is wrong; the text is a sentence for the administrator."""


@dataclass(frozen=True)
class Settings:
    """``qmp``: folders with QMP sockets, or patterns for them. ``libvirt``: a URI; empty: without.

    ``pools``: those whose images may be exchanged; empty: all. ``state``: the folder in which
    pauses under way are kept.
    """

    conf: str
    user: str
    host: str
    qmp: tuple[str, ...]
    libvirt: str
    pools: tuple[str, ...]
    state: Path
    verbose: bool = False


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="rbd-migration-agent",
        description="Tells the Ceph Manager which guests of this host have which RBD images open, "
        "and exchanges their disks at the cutover of a migration.",
    )
    made.add_argument("--config", type=Path, help=f"configuration file (default: {_FILE})")
    made.add_argument("--conf", help="Ceph's configuration file (default: /etc/ceph/ceph.conf)")
    made.add_argument("--id", help="cephx user, without 'client.' (default: rbd-migration-agent)")
    made.add_argument("--host", help="name of this host, as in the user's capabilities")
    made.add_argument(
        "--qmp", action="append", metavar="FOLDER", help="folder with QMP sockets, or a pattern"
    )
    made.add_argument("--libvirt", metavar="URI", help="libvirt, such as qemu:///system")
    made.add_argument(
        "--pool", action="append", help="a pool whose images may be exchanged (default: all)"
    )
    made.add_argument("--state", help=f"folder for pauses under way (default: {_STATE})")
    made.add_argument("--verbose", action="store_true", help="log every step")
    return made


def read(arguments: Sequence[str]) -> Settings:
    """Return the settings. Raises Invalid; argparse ends the process for unknown options."""
    given = parser().parse_args(arguments)
    stored = _stored(given.config)
    qmp = given.qmp or stored.get("qmp", "").split()
    libvirt = given.libvirt or stored.get("libvirt", "")
    if not qmp and not libvirt:
        raise Invalid("There are no guests to ask for; give --qmp FOLDER or --libvirt URI.")
    return Settings(
        conf=given.conf or stored.get("conf", "/etc/ceph/ceph.conf"),
        user=given.id or stored.get("id", "rbd-migration-agent"),
        host=given.host or stored.get("host", "") or socket.gethostname().partition(".")[0],
        qmp=tuple(qmp),
        libvirt=libvirt,
        pools=tuple(given.pool or stored.get("pool", "").split()),
        state=Path(given.state or stored.get("state", _STATE)),
        verbose=given.verbose,
    )


def _stored(path: Optional[Path]) -> dict[str, str]:
    """The settings of the configuration file; the default one need not exist."""
    if path is None and not _FILE.exists():
        return {}
    path = path or _FILE
    loaded = configparser.ConfigParser(interpolation=None)
    try:
        with path.open() as file:
            loaded.read_file(file)
    except (OSError, configparser.Error, UnicodeDecodeError) as error:
        raise Invalid(f"{path} cannot be read: {error}.") from error
    if not loaded.has_section(_SECTION):
        raise Invalid(f"{path} has no section [{_SECTION}].")
    found = dict(loaded[_SECTION])
    unknown = sorted(set(found) - _KEYS)
    if unknown:
        raise Invalid(
            f"{path} has the unknown setting {unknown[0]}; known: {', '.join(sorted(_KEYS))}."
        )
    return found
