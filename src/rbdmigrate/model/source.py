"""External sources of imports as data, with the names of librbd's source-spec."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Optional

from .mon_hosts import parse_mon_host
from .spec import ImageSpec

CONFIG = "config://"
"""The prefix of references to the monitors' config-key store in a source-spec."""

SECRETS = ("access_key", "secret_key", "password", "bearer_token", "query",
           "session_token")  # fmt: skip
"""The fields of a stream that hold secrets, or references to config-keys in their place."""

HIDDEN = "***"
"""The replacement for secrets in a source-spec that is shown."""

COPIED_FORMATS = ("vmdk", "vhdx", "vpc", "vdi", "parallels")
"""Formats that librbd does not read: only the method ``copy`` does, by way of QEMU."""

COMPRESSIONS = {"gzip": "gunzip", "xz": "unxz", "zstd": "unzstd", "bzip2": "bunzip2"}
"""How a stream may be compressed, each with the program that unpacks such a file."""

_OWN_SECRETS = ("passphrase", "key")
"""The fields of a source-spec itself that hold secrets, or references to config-keys."""


@dataclass(frozen=True)
class StreamSpec:
    """A stream of bytes. ``type`` is file, http, s3 or nbd; only the fields of that type are set.
    A URL never holds a user or a password: librbd would not send them. ``repr`` shows no secret,
    so that tracebacks do not contain them.

    All else is for the method ``copy``: ``user`` and ``password``, or ``bearer_token``, for http,
    and ``query``: what follows the question mark in a URL, which may be a signature. For s3
    ``region``, ``session_token``, and of a list ``addressing_style``: ``virtual`` where the bucket
    is in the host's name, ``path``, or empty for what the host's name tells. ``ca``: a reference to
    the certificates of the server's authority. ``compression``: one of ``COMPRESSIONS``. ``size``:
    bytes of the disk in it, 0: not stated. ``member``: the file is an archive of tar, and this is
    the disk in it. ``checksum``: of the bytes as they are served.
    """

    type: str
    file_path: str = ""
    url: str = ""
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)
    uri: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    bearer_token: str = field(default="", repr=False)
    query: str = field(default="", repr=False)
    region: str = ""
    session_token: str = field(default="", repr=False)
    addressing_style: str = ""
    ca: str = ""
    compression: str = ""
    size: int = 0
    member: str = ""
    checksum: str = ""

    @property
    def unknown_to_librbd(self) -> str:
        """What librbd does not do with it; empty if nothing."""
        if self.user or self.bearer_token:
            return "send a login"
        if self.query:
            return "send the query of a URL"
        if self.region or self.session_token:
            return "sign for a region or a session"
        if self.addressing_style:
            return "list buckets"
        if self.ca:
            return "trust another authority than the host does"
        if self.compression:
            return "decompress"
        if self.member:
            return "look into archives"
        if self.checksum:
            return "compare a checksum"
        return "compare a size" if self.size else ""

    @property
    def location(self) -> str:
        """The path, URL or URI, for people."""
        return self.file_path or self.url or self.uri

    def to_plain(self) -> dict[str, Any]:
        """The object as librbd reads it."""
        return {name: value for name, value in vars(self).items() if value}


@dataclass(frozen=True)
class SnapshotSpec:
    """A snapshot of a raw head: a complete export."""

    name: str
    stream: StreamSpec

    def to_plain(self) -> dict[str, Any]:
        """The object as librbd reads it."""
        return {"type": "raw", "name": self.name, "stream": self.stream.to_plain()}


@dataclass(frozen=True)
class SourceSpec:
    """One external source. ``format`` is native, qcow, raw, or one of ``COPIED_FORMATS``.

    ``stream`` is for all but native, ``snapshots`` (the oldest first) for raw, the other fields for
    native: a snapshot of an image, or an image of another cluster as a whole. It is in another
    cluster where ``mon_host`` is given, the addresses of that cluster's monitors, with the ``key``
    of its client ``client_name`` (client.admin if that is None), or ``cluster_name``, the name of a
    file that librbd would read.
    ``passphrase``: of an encrypted qcow disk, which the method ``copy`` decrypts.
    """

    format: str
    stream: Optional[StreamSpec] = None
    snapshots: tuple[SnapshotSpec, ...] = ()
    pool_name: Optional[str] = None
    pool_id: Optional[int] = None
    pool_namespace: Optional[str] = None
    image_name: Optional[str] = None
    image_id: Optional[str] = None
    snap_name: Optional[str] = None
    snap_id: Optional[int] = None
    cluster_name: Optional[str] = None
    client_name: Optional[str] = None
    passphrase: str = field(default="", repr=False)
    mon_host: Optional[str] = None
    key: str = field(default="", repr=False)

    @property
    def read_by_librbd(self) -> bool:
        """Whether librbd reads such sources, and reads them right."""
        return not self.unknown_to_librbd

    @property
    def unknown_to_librbd(self) -> str:
        """What librbd does not do with it, as a verb; empty if nothing."""
        if self.format in COPIED_FORMATS:
            return f"read {self.format}"
        if self.mon_host is not None:
            return "read snapshots of another cluster"
        if self.passphrase:
            return "decrypt"
        return next((s.unknown_to_librbd for _, s in self.streams() if s.unknown_to_librbd), "")

    @property
    def elsewhere(self) -> bool:
        """Whether it is in another cluster."""
        return self.cluster_name is not None or self.mon_host is not None

    @property
    def is_image(self) -> bool:
        """Whether it is an image of another cluster as a whole, not a snapshot of one."""
        return self.mon_host is not None and self.snap_name is None and self.snap_id is None

    def streams(self) -> Iterator[tuple[str, StreamSpec]]:
        """All streams with their paths in the spec; the head's first."""
        if self.stream is not None:
            yield "stream", self.stream
        for number, snapshot in enumerate(self.snapshots):
            yield f"snapshots[{number}].stream", snapshot.stream

    def to_plain(self) -> dict[str, Any]:
        """The object as librbd reads it, **with its secrets**."""
        names = vars(self).keys() - {"format", "stream", "snapshots", *_OWN_SECRETS}
        plain: dict[str, Any] = {"type": self.format}
        plain.update({n: v for n, v in vars(self).items() if n in names and v is not None})
        if self.stream is not None:
            plain["stream"] = self.stream.to_plain()
        if self.snapshots:
            plain["snapshots"] = [snapshot.to_plain() for snapshot in self.snapshots]
        plain.update({name: secret for name, secret in self._own_secrets() if secret})
        return plain

    def to_json(self) -> str:
        """The object as JSON text, **with its secrets**."""
        return json.dumps(self.to_plain(), ensure_ascii=False, separators=(",", ":"))

    @property
    def name(self) -> ImageSpec:
        """What the source is called in lists: a native one by its place, others by a label."""
        if self.format != "native" or self.elsewhere:
            return ImageSpec("", "", self.label())
        image = self.label().rpartition("/")[2]
        return ImageSpec(self.pool_name or "", self.pool_namespace or "", image)

    def label(self) -> str:
        """A short name for people, without a secret: ``qcow over http://host/x.qcow2``."""
        if self.stream is not None:
            kind = f"{self.stream.type} " if self.stream.type in {"file", "s3"} else ""
            return f"{self.format} over {kind}{self.stream.location}"
        pool = self.pool_name if self.pool_name is not None else f"pool {self.pool_id}"
        parts = [pool, self.pool_namespace or "", self.image_name or ""]
        snapshot = self.snap_name if self.snap_name is not None else f"snapshot {self.snap_id}"
        label = "/".join(part for part in parts if part)
        label += "" if self.is_image else f"@{snapshot}"
        if self.mon_host is not None:
            return f"{label} at {parse_mon_host(self.mon_host)[0].host}"
        return f"{self.cluster_name}:{label}" if self.cluster_name else label

    def _own_secrets(self) -> list[tuple[str, str]]:
        """Secrets of the spec itself, or references in their place, by the name of the field."""
        return [(name, getattr(self, name)) for name in _OWN_SECRETS]

    def secrets(self) -> dict[str, str]:
        """Secrets that must never be shown, by path in the spec; references to config-keys are not
        secrets.
        """
        found = {
            f"{path}.{name}": getattr(stream, name)
            for path, stream in self.streams()
            for name in SECRETS
        }
        found.update(self._own_secrets())
        return {path: s for path, s in found.items() if s and not s.startswith(CONFIG)}

    def config_keys(self) -> list[str]:
        """The config-keys that it refers to, without duplicates."""
        values = [getattr(stream, name) for _, stream in self.streams() for name in SECRETS]
        values += [value for _, value in self._own_secrets()]
        values += [stream.ca for _, stream in self.streams()]
        keys = (value[len(CONFIG) :] for value in values if value.startswith(CONFIG))
        return list(dict.fromkeys(keys))

    def redacted(self) -> dict[str, Any]:
        """``to_plain`` with ``***`` in place of the secrets."""
        hidden = self._with_keys(lambda path, secret: HIDDEN)
        return hidden.to_plain()

    def with_secrets_at(self, prefix: str) -> tuple[SourceSpec, dict[str, str]]:
        """Return the spec with references in place of its secrets, and the secrets to store.

        The dict maps config-keys, ``<prefix>/<path in the spec>``, to their values.
        """
        stored: dict[str, str] = {}

        def move(path: str, secret: str) -> str:
            key = f"{prefix}/{path.replace('[', '.').replace(']', '')}"
            stored[key] = secret
            return CONFIG + key

        return self._with_keys(move), stored

    def _with_keys(self, change: Callable[[str, str], str]) -> SourceSpec:
        """Return a copy in which each secret is ``change(path, secret)``."""
        changed: dict[str, dict[str, Any]] = {}
        for path, secret in self.secrets().items():
            where, _, name = path.rpartition(".")
            changed.setdefault(where, {})[name] = change(path, secret)
        own: dict[str, Any] = changed.pop("", {})
        new = {p: replace(s, **changed.get(p, {})) for p, s in self.streams()}
        snapshots = tuple(
            replace(snapshot, stream=new[f"snapshots[{number}].stream"])
            for number, snapshot in enumerate(self.snapshots)
        )
        return replace(self, stream=new.get("stream"), snapshots=snapshots, **own)
