"""Keys of a cluster: one keyring with an entry for each of its daemons and for the admin."""

import os

from qa.devcluster import commands
from qa.devcluster.blueprint import Blueprint

_CAPS: dict[str, dict[str, str]] = {
    "mon": {"mon": "allow *"},
    "mgr": {"mon": "allow profile mgr", "osd": "allow *", "mds": "allow *"},
    "osd": {"mon": "allow profile osd", "mgr": "allow profile osd", "osd": "allow *"},
    "admin": {"mon": "allow *", "mgr": "allow *", "osd": "allow *", "mds": "allow *"},
    "rgw": {"mon": "allow rw", "mgr": "allow rw", "osd": "allow rwx"},
}


def new_key() -> str:
    """Return a random key of the type of this release's mons: AES, from release 20 on AES256K."""
    return commands.run(["ceph-authtool", "--gen-print-key"], env=os.environ).stdout.strip()


def keyring_text(blueprint: Blueprint) -> str:
    """Return the keyring with which the mons are created, so that they know all its keys."""
    holders = {"mon.": "mon", "client.admin": "admin"}
    holders.update({f"mgr.{name}": "mgr" for name in blueprint.mgrs})
    holders.update({f"osd.{number}": "osd" for number in blueprint.osds})
    if blueprint.options.rgw:
        holders["client.rgw.a"] = "rgw"
    lines: list[str] = []
    for holder, kind in holders.items():
        lines += [f"[{holder}]", f"\tkey = {new_key()}"]
        lines += [f'\tcaps {service} = "{caps}"' for service, caps in _CAPS[kind].items()]
    return "\n".join(lines) + "\n"
