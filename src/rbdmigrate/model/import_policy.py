"""The import policy: which folders, hosts and config-keys imports may use. Pure.

An import makes the manager's host read a file or connect to a server for every user who may run
the command. So folders are allowed one by one. All hosts are allowed except those that only
programs on this machine should reach: link-local addresses, among them the metadata services of
clouds, which hand out credentials.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import ClassVar, Optional, Union

Address = Union[IPv4Address, IPv6Address]
Network = Union[IPv4Network, IPv6Network]

# Never by default: link-local addresses, the metadata services of clouds that have other addresses,
# and the local translation prefix, behind which each network has IPv4 addresses in its own way.
_FORBIDDEN: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "169.254.0.0/16",
        "fe80::/10",
        "fd00:ec2::254/128",  # AWS
        "fd20:ce::254/128",  # Google
        "fd00:42::42/128",  # Scaleway
        "64:ff9b:1::/48",  # RFC 8215
        "100.100.100.200/32",  # Alibaba
        "192.0.0.192/32",  # Oracle
        "168.63.129.16/32",  # Azure
    )
)
_NAT64 = ip_network("64:ff9b::/96")
OPTION_FOLDERS = "import_folders"
OPTION_HOSTS = "import_hosts"
OPTION_CONFIG_KEYS = "import_config_keys"
OPTION_HTTP = "import_config_keys_over_http"
OPTION_SPOOL_FOLDER = "import_spool_folder"
OPTION_SPOOL_SIZE = "import_spool_size"
OPTION_SPOOL_MIN_FREE = "import_spool_min_free"
SPOOL_FOLDER, SPOOL_SIZE = "/var/tmp", 64 << 30
SPOOL_MIN_FREE = 10
"""Percent. A monitor on the same file system stops at 5 (``mon_data_avail_crit``)."""

STORED = "rbd/migration/"
"""Config-keys that this module stores are ``rbd/migration/<id>/...``, for that migration alone."""

SOURCE_KEYS = "rbd/migration-source/"
"""The prefix of config-keys that administrators store for imports."""

# Where Ceph and this module store other secrets. No option opens these.
_CLOSED_KEYS = (
    "config/",
    "config-history/",
    "daemon-private/",
    "dm-crypt/",
    "mgr/",
    "rbd/mirror/",
    STORED,
    "rbd/migration-hook",
)


@dataclass(frozen=True)
class ImportPolicy:
    """``folders`` are absolute paths. ``hosts`` are names, ``*.domain``, addresses or networks.

    No folders: no files. No hosts: all except the forbidden ones. ``config_keys`` are the
    config-keys that a source-spec may refer to: a prefix ends with a slash, anything else is one
    key. ``config_keys_over_http``: their values may be sent without encryption. ``spool_folder``:
    where disks are put that come in one order and are read in any, each of ``spool_size`` bytes at
    most; ``spool_min_free`` percent of its file system stay free.
    """

    folders: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    config_keys: tuple[str, ...] = (SOURCE_KEYS,)
    config_keys_over_http: bool = False
    spool_folder: str = SPOOL_FOLDER
    spool_size: int = SPOOL_SIZE
    spool_min_free: int = SPOOL_MIN_FREE
    option: ClassVar[str] = OPTION_HOSTS
    users: ClassVar[str] = "imports"

    def refuse_file(self, path: str, real: str) -> Optional[str]:
        """Why a file may not be read; None if it may. ``real``: its path with symbolic links
        resolved.
        """
        if not self.folders:
            return (
                f"{path} may not be read: no folder is open to imports; an administrator opens one "
                f"with `ceph config set mgr mgr/rbd_migration/{OPTION_FOLDERS} /path`"
            )
        if not any(_inside(posixpath.normpath(path), folder) for folder in self.folders):
            return (
                f"{path} may not be read: only {', '.join(self.folders)} is open to imports "
                f"(option {OPTION_FOLDERS})"
            )
        if not any(_inside(real, folder) for folder in self.folders):
            return (
                f"{path} may not be read: a symbolic link leads out of the folders that are open "
                f"to imports (option {OPTION_FOLDERS})"
            )
        return None

    def refuse_address(self, host: str, address: str) -> Optional[str]:
        """Why a host may not be reached at the current address of its name; None if it may."""
        ip = plain_address(address)
        if ip is None:
            return f"{host} may not be reached: {address!r} is not an address"
        if self.lists(ip):
            return None
        if any(ip in network for network in _FORBIDDEN):
            return (
                f"{host} may not be reached: {ip} is a link-local address or a cloud's metadata "
                f"service; an administrator allows it with the option {self.option}"
            )
        if not self.hosts or any(_named(host, pattern) for pattern in self.hosts):
            return None
        return (
            f"{host} ({ip}) may not be reached: it is not among the hosts that are open to "
            f"{self.users} (an administrator adds it to the option {self.option})"
        )

    def lists(self, ip: Address) -> bool:
        """Whether an address is in one of the networks that ``hosts`` has."""
        return any(ip in n for n in map(_network, self.hosts) if n is not None)

    def names(self, host: str) -> bool:
        """Whether ``hosts`` has the host of a URL, by its name or, for an address, its network.

        A name whose address is in a listed network does not count: anybody can create one.
        """
        ip = plain_address(host)
        if ip is not None:
            return self.lists(ip)
        return any(_network(p) is None and _named(host, p) for p in self.hosts)

    def opens_key(self, key: str) -> bool:
        """Whether ``config_keys`` contains the key, or a prefix of it."""
        return any(
            key == opened or (opened.endswith("/") and key.startswith(opened))
            for opened in self.config_keys
        )


def is_closed(key: str) -> bool:
    """Whether a config-key is one that no option opens to imports."""
    return key.startswith(_CLOSED_KEYS)


def parse_import_policy(
    folders: str,
    hosts: str,
    config_keys: str = SOURCE_KEYS,
    over_http: bool = False,
    spool_folder: str = SPOOL_FOLDER,
    spool_size: int = SPOOL_SIZE,
    spool_min_free: int = SPOOL_MIN_FREE,
) -> ImportPolicy:
    """Return the ImportPolicy of the module options: lists with commas or spaces. Raises
    ValueError.
    """
    if not spool_folder.startswith("/"):
        raise ValueError(f"{spool_folder!r} is not an absolute path")
    paths = tuple(_items(folders))
    for path in paths:
        if not path.startswith("/"):
            raise ValueError(f"{path!r} is not an absolute path")
    names = parse_hosts(hosts)
    keys = tuple(_items(config_keys))
    for key in keys:
        if is_closed(key):
            raise ValueError(f"{key!r} is where Ceph or this module keeps other secrets")
    return ImportPolicy(
        tuple(posixpath.normpath(path) for path in paths),
        names,
        keys,
        over_http,
        spool_folder,
        spool_size,
        spool_min_free,
    )


def parse_hosts(hosts: str) -> tuple[str, ...]:
    """Return the hosts of a list with commas or spaces. Raises ValueError."""
    names = tuple(name.lower() for name in _items(hosts))
    for name in names:
        bare = name[2:] if name.startswith("*.") else name
        if _network(name) is None and (not bare or "*" in bare or "/" in bare or ":" in bare):
            raise ValueError(f"{name!r} is not a host, *.domain, address or network")
    return names


def _items(text: str) -> Iterable[str]:
    return text.replace(",", " ").split()


def _inside(path: str, folder: str) -> bool:
    return folder in {"/", path} or path.startswith(folder + "/")


def _network(text: str) -> Optional[Network]:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def plain_address(text: str) -> Optional[Address]:
    """The address without its scope; an IPv4 address embedded in IPv6 as IPv4."""
    try:
        ip = ip_address(text.split("%", maxsplit=1)[0])
    except ValueError:
        return None
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped is not None:
            return ip.ipv4_mapped
        if ip in _NAT64:
            return IPv4Address(int(ip) & 0xFFFFFFFF)
        if ip.sixtofour is not None:
            return ip.sixtofour
    return ip


def _named(host: str, pattern: str) -> bool:
    host, pattern = host.lower().rstrip("."), pattern.lower()
    if pattern.startswith("*."):
        return host.endswith(pattern[1:])
    return host == pattern
