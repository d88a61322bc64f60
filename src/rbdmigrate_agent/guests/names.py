"""The names of block nodes that exchanges make; QEMU allows 31 characters."""

from __future__ import annotations

import hashlib

_OURS = "rbdmig-"
_HOLE = "-hole"


def placeholder(uuid: str, device: str) -> str:
    """The node that takes the place of a disk's leaf; always the same for a disk."""
    return f"{_OURS}{_key(uuid, device)}{_HOLE}"


def leaf(uuid: str, device: str) -> str:
    """The leaf, where the first one had no name of its own."""
    return f"{_OURS}{_key(uuid, device)}-leaf"


def trial(uuid: str, device: str) -> str:
    """A node that tries whether the options of a disk's leaf are right."""
    return f"{_OURS}{_key(uuid, device)}-try"


def marker(uuid: str, device: str, token: str) -> str:
    """The node that stands for the target being open; another one in each exchange."""
    return f"{_markers(uuid, device)}{token}"


def is_marker_of(name: str, uuid: str, device: str) -> bool:
    """Whether it is such a node, of any exchange of this disk."""
    return name.startswith(_markers(uuid, device))


def is_placeholder(name: str) -> bool:
    """Whether it is a placeholder of any disk."""
    return name.startswith(_OURS) and name.endswith(_HOLE)


def is_given_by_user(name: str) -> bool:
    """Whether a node has a name that can be given: QEMU's own begin with ``#``."""
    return bool(name) and not name.startswith("#")


def _markers(uuid: str, device: str) -> str:
    return f"{_OURS}{_key(uuid, device)}-t-"


def _key(uuid: str, device: str) -> str:
    return hashlib.sha256(f"{uuid} {device}".encode()).hexdigest()[:8]
