"""The cluster itself: its release and its known bugs, and what the manager may do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from errno import EACCES

from ..model.finding import Severity
from .facts import Facts, Image
from .registry import Found, check


@check(
    "MANAGER_CAPS",
    Severity.ERROR,
    "The manager's key does not allow its workers to write to the pools.",
    errno=EACCES,
    untested="a manager without these caps cannot run at all on the test cluster",
)
def caps(facts: Facts) -> Iterator[Found]:
    """Workers connect as the manager."""
    osd = facts.caps.get("osd", "")
    if facts.caps and "allow *" not in osd and "allow rwx" not in osd and "profile rbd" not in osd:
        yield Found(
            "mgr",
            f"The manager's key allows {osd or 'nothing'!r} on OSDs, and its workers have to write "
            "images; give it `osd 'allow *'`.",
            "ceph auth caps mgr.ID mon 'allow profile mgr' osd 'allow *' mds 'allow *'",
        )


def _discards(image: Image) -> bool:
    return True


# (fixed in, per major release; whom it meets; what happens)
_BUGS: tuple[tuple[dict[int, tuple[int, int]], Callable[[Image], bool], str], ...] = (
    (
        {14: (2, 12), 15: (2, 5)},
        _discards,
        "an abort may lose data (fixed in 14.2.12 and 15.2.5)",
    ),
)


@check(
    "RELEASE_BUG",
    Severity.WARNING,
    "This release of Ceph has a bug in migrations that this image would meet.",
    untested="the releases that have one are older than those that are supported",
)
def bugs(facts: Facts) -> Iterator[Found]:
    """Known bugs, by the release that fixed them."""
    major, *rest = facts.release
    for fixed, meets, text in _BUGS:
        if facts.image is None or not meets(facts.image):
            continue
        if major in fixed and tuple(rest) < fixed[major]:
            version = ".".join(str(part) for part in facts.release)
            yield Found("ceph", f"In Ceph {version} {text}; upgrade before you migrate.")
