"""Reading a list of disks, under the import policy and within bounds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from errno import E2BIG, EINVAL, EPERM
from itertools import islice
from typing import Optional

from ...model.errors import errno_text
from ...model.import_policy import ImportPolicy
from ...model.source import StreamSpec
from ...model.source_list import MAX_LISTED, SourceList
from ..errors import SourceError
from ..limits import Deadline, Limits
from ..net import Rules
from ..stream import Resolve
from ..streams import access_of, open_stream, trust_of
from .bucket import Bucket
from .page import WebPage
from .web_index import names as names_in_page

_LONGEST_PAGE = 4 << 20  # bytes of a page that lists files
_MOST_FILES = 100_000  # of a folder that are looked at

Wanted = Callable[[str], bool]
"""Whether a file is wanted, by its name as a list gives it."""


def read_names(
    given: SourceList, policy: ImportPolicy, limits: Limits, resolve: Resolve, wanted: Wanted
) -> tuple[str, tuple[str, ...]]:
    """Return a folder's URL or path, and the wanted files of it in order. Raises SourceError."""
    stream = _stream(given)
    rules = Rules(policy, limits, Deadline(limits))
    if stream.type == "file":
        return stream.file_path, _some(given, filter(wanted, _files(stream.file_path, policy)))
    if stream.type == "s3":
        with Bucket(
            spec=stream, rules=rules, resolve=resolve, trust=trust_of(stream, resolve)
        ) as bucket:
            return bucket.base, _some(given, filter(wanted, bucket.names()))
    with WebPage(access_of(stream, resolve), rules, _LONGEST_PAGE) as page:
        url = page.final_url
        return url, _some(given, filter(wanted, names_in_page(page.content, page.kind, url)))


def read_text(
    given: SourceList, policy: ImportPolicy, limits: Limits, resolve: Resolve, longest: int
) -> tuple[str, str]:
    """Return a manifest's URL or path, and its text. Raises SourceError."""
    stream = _stream(given)
    deadline = Deadline(limits)
    if stream.type == "http":
        rules = Rules(policy, limits, deadline)
        with WebPage(access_of(stream, resolve), rules, longest) as page:
            return page.final_url, _text(given, page.content)
    with open_stream(stream, policy, limits, resolve, deadline) as opened:
        if opened.size > longest:
            raise _too_long(given, f"is longer than {longest >> 10} KiB")
        return stream.location, _text(given, opened.read(0, opened.size))


def _stream(given: SourceList) -> StreamSpec:
    assert given.stream is not None
    return given.stream


def _some(given: SourceList, names: Iterable[str]) -> tuple[str, ...]:
    found = list(islice(dict.fromkeys(names), MAX_LISTED + 1))
    if len(found) > MAX_LISTED:
        raise _too_long(given, f"has more than {MAX_LISTED} files that are wanted")
    return tuple(sorted(found))


def _too_long(given: SourceList, problem: str) -> SourceError:
    return SourceError(
        "LIST_TOO_LONG", E2BIG, f"{given.label} {problem}; select fewer by name, or make several."
    )


def _text(given: SourceList, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SourceError("LIST_BROKEN", EINVAL, f"{given.label} is not text in UTF-8.") from None


def _files(folder: str, policy: ImportPolicy) -> list[str]:
    """The regular files of a folder that is open to imports."""
    real = os.path.realpath(folder)
    refused = policy.refuse_file(folder, real)
    if refused:
        raise SourceError("FILE_REACH", EPERM, f"{refused}.")
    problem: Optional[OSError] = None
    try:
        with os.scandir(real) as entries:
            found = list(islice(entries, _MOST_FILES + 1))
    except OSError as error:
        problem = error
    if problem is not None:
        raise SourceError(
            "FILE_UNREADABLE",
            problem.errno or EINVAL,
            f"The folder {folder} cannot be read on the manager's host: "
            f"{errno_text(problem.errno or EINVAL)}.",
        )
    if len(found) > _MOST_FILES:
        raise SourceError(
            "LIST_TOO_LONG", E2BIG, f"The folder {folder} has more than {_MOST_FILES} files."
        )
    return [entry.name for entry in found if entry.is_file()]
