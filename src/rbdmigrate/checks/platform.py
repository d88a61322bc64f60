"""The cluster itself: the manager's capabilities."""

from __future__ import annotations

from collections.abc import Iterator
from errno import EACCES

from ..model.finding import Severity
from .facts import Facts
from .registry import ALL, Found, check


@check(
    "MANAGER_CAPS",
    Severity.ERROR,
    "The manager's key does not allow its workers to write to the pools.",
    methods=ALL,
    errno=EACCES,
    untested="a manager without these caps cannot run at all on the test cluster",
)
def caps(facts: Facts) -> Iterator[Found]:
    """Yield insufficient capabilities; workers connect as the manager."""
    osd = facts.caps.get("osd", "")
    if facts.caps and "allow *" not in osd and "allow rwx" not in osd and "profile rbd" not in osd:
        yield Found(
            "mgr",
            f"The manager's key allows {osd or 'nothing'!r} on OSDs, and its workers have to write "
            "images; give it `osd 'allow *'`.",
            "ceph auth caps mgr.ID mon 'allow profile mgr' osd 'allow *' mds 'allow *'",
        )
