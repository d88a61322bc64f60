"""The input of the checks: plain data, gathered without changing anything."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Optional

from ..model.inspection import Inspection
from ..model.migration import Place
from ..model.pool import Pool
from ..model.request import MigrationRequest
from ..model.source_image import SourceImage
from ..model.spec import ImageSpec
from ..model.states import Method
from ..model.verification import Verify


@dataclass(frozen=True)
class Name:
    """The state of an image name.

    ``exists``: an image has it. ``role``: that image is the ``source`` or the ``target`` of a
    migration whose other end is ``other``; a target need not exist yet. ``reserved_for``: the
    target of a migration whose source, now in the trash, has this name. ``trashed``: the id of an
    image of this name that a user put into the trash. ``old_format``: it is an image of format 1.
    """

    place: Place
    exists: bool = False
    role: str = ""
    other: Optional[ImageSpec] = None
    reserved_for: Optional[ImageSpec] = None
    trashed: str = ""
    old_format: bool = False


@dataclass(frozen=True)
class RbdClient:
    """A client's key and its capabilities, by kind of daemon (``mon``, ``osd`` ...)."""

    name: str
    caps: Mapping[str, str]

    @property
    def osd(self) -> str:
        """Its capabilities on OSDs."""
        return self.caps.get("osd", "")

    @property
    def reads_config_keys(self) -> bool:
        """Whether it may read config-keys, by the text of its capabilities."""
        mon = self.caps.get("mon", "")
        return "allow *" in mon or "config-key" in mon

    def command_adding(self, kind: str, more: str) -> str:
        """The ``ceph auth caps`` command that adds to a capability and keeps the others."""
        had = self.caps.get(kind, "")
        after = {**self.caps, kind: f"{had}, {more}" if had else more}
        texts = [f"{daemon} {shlex.quote(text)}" for daemon, text in after.items()]
        return f"ceph auth caps {shlex.quote(self.name)} {' '.join(texts)}"


@dataclass(frozen=True)
class Facts:
    """All facts about a request. A pool that is None in ``pools`` does not exist.

    ``image`` is None where ``names`` and ``pools`` show that the source cannot be opened.
    ``inspection`` is that of an import's source, ``source_pool_id`` the pool of a native one.
    ``clients``: all keys of clients, with their capabilities. ``trash_of_users``: the trash of the
    source's pool and namespace holds images that users put there. ``guests``: those that agents
    report to have the source open. ``clients_leave``: they are made to close it before they would
    be in the way. ``cuts_over``: a cutover follows by itself. ``verify``: the default verify mode
    of the image for the method of the request, ``verify_warm`` that for the method ``warm``.
    ``release`` of Ceph: major, minor, patch. ``caps`` of the manager by daemon; empty: not known.
    ``otherwise``: the inspection of an import's source for the other method, where that was looked
    at.
    """

    request: MigrationRequest
    pools: Mapping[str, Optional[Pool]]
    missing_namespaces: frozenset[tuple[str, str]] = frozenset()
    source: Optional[Name] = None
    target: Optional[Name] = None
    image: Optional[SourceImage] = None
    inspection: Optional[Inspection] = None
    otherwise: Optional[Inspection] = None
    source_pool_id: int = -1
    verify: Verify = Verify.NONE
    verify_warm: Verify = Verify.FULL
    clients: tuple[RbdClient, ...] = ()
    trash_of_users: bool = False
    guests: tuple[str, ...] = ()
    clients_leave: bool = False
    cuts_over: bool = False
    release: tuple[int, int, int] = (0, 0, 0)
    caps: Mapping[str, str] = field(default_factory=dict)

    def by(self, method: Method) -> Facts:
        """The facts about the same request by another method. Raises MigrationError(EINVAL)."""
        verify = self.verify_warm if method is Method.WARM else self.verify
        return replace(self, request=self.request.by(method), verify=verify)

    @property
    def to_copy(self) -> Optional[int]:
        """Bytes that a copy would have to move; None: not known."""
        if self.image is not None:
            return self.image.to_copy
        found = self.inspection
        if found is None or found.size is None:
            return None
        if found.to_copy is not None:
            return found.to_copy
        return found.size + sum(snapshot.size for snapshot in found.snapshots)
