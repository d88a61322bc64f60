"""Opening a stream of any type."""

from __future__ import annotations

from dataclasses import replace
from errno import EINVAL
from typing import Optional

from ..model.import_policy import ImportPolicy
from ..model.source import CONFIG, StreamSpec
from .archive import member_of
from .errors import SourceError
from .file import FileStream
from .http import HttpStream
from .http_copied import CopiedHttpStream, Login, WebAccess
from .limits import Deadline, Limits
from .nbd import NbdStream
from .net import Rules
from .s3 import S3Stream
from .s3_copied import CopiedS3Stream
from .stream import Resolve, Stream, no_config
from .tls import Trust, are_certificates

_ADVICE = 'give the certificates of its authority, as "ca": "config://KEY" in the stream'


def open_stream(
    stream: StreamSpec,
    policy: ImportPolicy,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    resolve_config: Resolve = no_config,
    deadline: Optional[Deadline] = None,
    *,
    copied: bool = False,
) -> Stream:
    """Open a stream. Raises SourceError. ``deadline`` is shared by all streams of an inspection.

    ``copied``: by us, which needs less of a server than librbd does. An archive that comes in order
    is opened as a whole then, and a file in any other one by itself.
    """
    if copied and stream.member:
        archive = open_stream(
            replace(stream, member=""), policy, limits, resolve_config, deadline, copied=True
        )
        in_order = archive.in_order or stream.compression
        return archive if in_order else member_of(archive, stream.member)
    rules = Rules(policy, limits, deadline or Deadline(limits))
    if stream.type == "file":
        return FileStream(stream.file_path, policy)
    if stream.type == "http" and copied:
        return CopiedHttpStream(access_of(stream, resolve_config), rules)
    if stream.type == "http":
        return HttpStream(stream.url, rules)
    if stream.type == "s3" and copied:
        trust = trust_of(stream, resolve_config)
        return CopiedS3Stream(stream, rules, resolve_config, trust=trust)
    if stream.type == "s3":
        return S3Stream(stream, rules, resolve_config)
    return NbdStream(stream.uri, rules)


def _value(given: str, stream: StreamSpec, resolve: Resolve) -> str:
    """What a field of the stream says, or the config-key that it refers to."""
    key = given.removeprefix(CONFIG)
    return given if key == given else resolve(key, stream.url)


def access_of(stream: StreamSpec, resolve: Resolve) -> WebAccess:
    """What the server of an http stream is asked and sent. Raises what ``resolve`` raises."""
    login = Login(
        stream.user,
        _value(stream.password, stream, resolve),
        _value(stream.bearer_token, stream, resolve),
    )
    query = _value(stream.query, stream, resolve)
    return WebAccess(stream.url, query, login, trust_of(stream, resolve))


def trust_of(stream: StreamSpec, resolve: Resolve) -> Trust:
    """Whose certificates are trusted. Raises SourceError."""
    if not stream.ca:
        return Trust(advice=_ADVICE)
    key = stream.ca[len(CONFIG) :]
    found = resolve(key, "")
    if not are_certificates(found):
        raise SourceError(
            "CONFIG_KEY_BAD",
            EINVAL,
            f"The config-key {key} holds no certificates in PEM; store them with `ceph config-key "
            f"set {key} -i ca.pem`.",
        )
    return Trust(found, _ADVICE)
