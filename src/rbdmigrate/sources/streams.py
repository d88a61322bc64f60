"""Opening a stream of any type."""

from __future__ import annotations

from typing import Optional

from ..model.import_policy import ImportPolicy
from ..model.source import CONFIG, StreamSpec
from .file import FileStream
from .http import HttpStream
from .http_copied import CopiedHttpStream, Login
from .limits import Deadline, Limits
from .nbd import NbdStream
from .net import Rules
from .s3 import S3Stream
from .stream import Resolve, Stream, no_config


def open_stream(
    stream: StreamSpec,
    reach: ImportPolicy,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    resolve_config: Resolve = no_config,
    deadline: Optional[Deadline] = None,
    *,
    copied: bool = False,
) -> Stream:
    """Open a stream. Raises SourceError. ``deadline`` is shared by all streams of an inspection.

    ``copied``: by us, which needs less of a server than librbd does.
    """
    rules = Rules(reach, limits, deadline or Deadline(limits))
    if stream.type == "file":
        return FileStream(stream.file_path, reach)
    if stream.type == "http" and copied:
        return CopiedHttpStream(stream.url, rules, login_of(stream, resolve_config))
    if stream.type == "http":
        return HttpStream(stream.url, rules)
    if stream.type == "s3":
        return S3Stream(stream, rules, resolve_config)
    return NbdStream(stream.uri, rules)


def login_of(stream: StreamSpec, resolve: Resolve) -> Login:
    """What the server of an http stream is sent. Raises what ``resolve`` raises."""

    def value(given: str) -> str:
        key = given.removeprefix(CONFIG)
        return given if key == given else resolve(key, stream.url)

    return Login(stream.user, value(stream.password), value(stream.bearer_token))
