"""Lists of disks of plans, read in a worker: what is on a server may be of any kind."""

from __future__ import annotations

import json
from errno import E2BIG
from urllib.parse import unquote

from ...control.plans.manifest import MAX_MANIFEST, kind_of, parse_manifest
from ...control.plans.patterns import Globs
from ...model.codec import to_plain
from ...model.errors import MigrationError
from ...model.jobs.protocol import MAX_LINE, Tell
from ...model.jobs.questions import ReadList
from ...model.source_list import ListRead, SourceList
from ...sources.limits import Limits
from ...sources.lists.read import read_names, read_text
from ..session import Session
from .source_access import resolver

_AROUND = 1000  # bytes of an answer that are not of the list


def read_list(session: Session, question: ReadList, tell: Tell) -> ListRead:
    """What a list names. Raises MigrationError: what is wrong with the list, or its server."""
    given, policy = question.source, question.policy
    limits, resolve = Limits(total=question.seconds), resolver(session, policy)
    if given.manifest:
        base, text = read_text(given, policy, limits, resolve, MAX_MANIFEST)
        rows = parse_manifest(text, kind_of(given.label), given.label)
        return _short_enough(given, ListRead(base, rows=rows))
    wanted, excluded = Globs([given.name]).fit, Globs(given.exclude).fit
    on_server = given.stream is not None and given.stream.type != "file"

    def fits(name: str) -> bool:
        bare = unquote(name.rpartition("/")[2]) if on_server else name
        return wanted(bare) and not excluded(bare)

    base, names = read_names(given, policy, limits, resolve, fits)
    return _short_enough(given, ListRead(base, names=names))


def _short_enough(given: SourceList, found: ListRead) -> ListRead:
    """What was read, if it fits into an answer. Raises MigrationError(E2BIG)."""
    if len(json.dumps(to_plain(found))) > MAX_LINE - _AROUND:
        raise MigrationError(
            E2BIG,
            f"{given.label} has more text than is taken of a list; select fewer disks by name, or "
            "make several lists.",
        )
    return found
