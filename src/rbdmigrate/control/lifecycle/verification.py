"""Verification: what is compared, the meaning of an outcome, whether a commit may follow. Pure.

A *block* is 4 MiB of a view. The choice of a sample depends on nothing but the seed, the view and
the block's number, so that it is the same after an interruption.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Optional

from ...model.migration import Migration, Soaked
from ...model.states import Goal, Method
from ...model.verification import (
    MAX_REASONS,
    POINT_PREFIX,
    SHOWN,
    Compared,
    Extent,
    Outcome,
    Verification,
    Verify,
)

BLOCK = 4 << 20  # bytes
GRAIN = 4096  # bytes; differences are reported in multiples of it

_RANK_BITS = 12  # leading bits of a rank, which sort blocks coarsely

_RANK = {Verify.AUTO: -1, Verify.NONE: 0, Verify.SAMPLE: 1, Verify.FULL: 2}


def comparison_snapshot_name(ident: str) -> str:
    """The name of the comparison snapshot of the migration ``ident``."""
    return POINT_PREFIX + ident


def covers(done: Verify, wanted: Verify) -> bool:
    """Whether a verification of mode ``done`` compares at least as much as ``wanted``."""
    return _RANK[done] >= _RANK[wanted]


def at_least(goal: Goal, verify: Verify) -> Verify:
    """The verify mode for this goal: full where the goal is verified and no mode is set."""
    nothing = verify in (Verify.AUTO, Verify.NONE)
    return Verify.FULL if goal is Goal.VERIFIED and nothing else verify


def by_default(*, snapshots: bool, parent: bool, amount: Optional[int], full_below: int) -> Verify:
    """The default verify mode of an image.

    librbd copies an image without snapshots and parent in a simple way. Other images are compared
    before their source is removed: fully when the ``amount`` of data (bytes; None: not known) is
    less than ``full_below``, else by a sample.
    """
    if not snapshots and not parent:
        return Verify.NONE
    return Verify.FULL if amount is not None and amount < full_below else Verify.SAMPLE


class Blocks:
    """Block numbers in rising order; 8 bytes each, because an image may have millions."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._numbers = array("Q", numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[int]:
        return iter(self._numbers)

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int):
            return False
        place = bisect_left(self._numbers, number)
        return place < len(self._numbers) and self._numbers[place] == number


def sample(blocks: Blocks, fraction: float, seed: int, view: str) -> Blocks:
    """Return a random fraction of ``blocks``, rounded up, and at least one."""
    if fraction >= 1:
        return blocks
    count = min(len(blocks), max(1, -int(-len(blocks) * fraction // 1)))

    def rank(number: int) -> int:
        name = f"{seed}/{view}/{number}".encode()
        return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big")

    ranks = array("Q", map(rank, blocks))
    highest = _smallest(ranks, count)
    return Blocks(number for number, its in zip(blocks, ranks) if its <= highest)


def _smallest(ranks: array[int], count: int) -> int:
    """The ``count``-th smallest rank; -1 for the 0th. Sorts only the few that are near it."""
    sizes = array("Q", bytes(8 << _RANK_BITS))
    for rank in ranks:
        sizes[rank >> 64 - _RANK_BITS] += 1
    for bucket, size in enumerate(sizes):
        if size and count <= size:
            near = sorted(rank for rank in ranks if rank >> 64 - _RANK_BITS == bucket)
            return near[count - 1] if count else -1
        count -= size
    return -1


def miss_probability(views: Iterable[Compared]) -> float:
    """The highest probability that a block which differs was not compared.

    Every block of a view is chosen with the same probability, ``blocks / of_blocks``.
    """
    compared = [v for v in views if v.of_blocks and not v.skipped]
    return max((1 - v.blocks / v.of_blocks for v in compared), default=0.0)


def differing(left: bytes, right: bytes, offset: int) -> list[Extent]:
    """Return where two pieces that begin at ``offset`` differ, in multiples of the grain.

    Bytes that only one of them has are a difference, whatever they hold.
    """
    found: list[Extent] = []
    end = max(len(left), len(right))
    for at in range(0, end, GRAIN):
        if left[at : at + GRAIN] != right[at : at + GRAIN]:
            length = min(GRAIN, end - at)
            if found and found[-1].offset + found[-1].length == offset + at:
                found[-1] = Extent(found[-1].offset, found[-1].length + length)
            else:
                found.append(Extent(offset + at, length))
    return found


def with_differences(view: Compared, found: Iterable[Extent]) -> Compared:
    """Return the view with more extents that differ; one adjacent to the last extent extends it."""
    count, kept = view.different, list(view.differences)
    for extent in found:
        last = kept[-1] if kept and count == len(kept) else None
        if last is not None and last.offset + last.length == extent.offset:
            kept[-1] = Extent(last.offset, last.length + extent.length)
            continue
        count += 1
        if len(kept) < SHOWN:
            kept.append(extent)
    return replace(view, different=count, differences=tuple(kept))


def conclude(v: Verification, at: float, release: str) -> Verification:
    """Return the verification with its outcome, never passed where something was not compared."""
    skipped = [view for view in v.views if view.skipped or not view.done]
    reasons = [f"{_called(view)}: {view.skipped or 'not compared'}" for view in skipped]
    if len(reasons) > MAX_REASONS:
        more = len(reasons) - MAX_REASONS + 1
        reasons[MAX_REASONS - 1 :] = [f"and {more} more snapshots were not compared"]
    if any(view.different for view in v.views):
        outcome = Outcome.FAILED
    else:
        outcome = Outcome.PARTIAL if skipped or not v.views else Outcome.PASSED
    return replace(
        v,
        outcome=outcome,
        reasons=tuple(reasons),
        miss=miss_probability(v.views),
        at=at,
        release=release,
    ).bounded()


def describe_differences(v: Verification) -> str:
    """A short list of differences: ``head 4096+8192; snapshot one 0+4096 and 3 more``."""
    parts = []
    for view in v.views:
        if view.different:
            first = ", ".join(f"{e.offset}+{e.length}" for e in view.differences[:3])
            more = view.different - min(3, len(view.differences))
            parts.append(f"{_called(view)} at {first}" + (f" and {more} more" if more else ""))
    return "; ".join(parts)


def _called(view: Compared) -> str:
    return f"snapshot {view.name}" if view.name else "head"


def begun(m: Migration, fraction: float, seed: int, now: float) -> Migration:
    """Return the record with a verification: the interrupted one to resume, or a new one."""
    v = m.verification
    if v is not None and v.outcome is None and v.mode is m.verify:
        return m
    share = fraction if m.verify is Verify.SAMPLE else 1.0
    return replace(m, verification=Verification(m.verify, seed, share, now))


def due(m: Migration) -> bool:
    """Whether the contents have to be compared before the migration goes on."""
    if m.goal not in (Goal.VERIFIED, Goal.COMMITTED) or m.verify is Verify.NONE:
        return False
    if m.goal is Goal.COMMITTED and m.force_commit:
        return False
    v = m.verification
    return v is None or v.outcome is None or not covers(v.mode, m.verify)


def passed(m: Migration) -> bool:
    """Whether everything that the policy requires was compared and found equal."""
    if m.verify is Verify.NONE:
        return True
    v = m.verification
    return v is not None and v.outcome is Outcome.PASSED and covers(v.mode, m.verify)


def needs_full_verification(m: Migration) -> bool:
    """Whether the source of an import changed while it was copied, and no full comparison shows
    that the target is right.
    """
    if m.imported is None or not m.imported.changes:
        return False
    v = m.verification
    return v is None or v.mode is not Verify.FULL or v.outcome is not Outcome.PASSED


def left_behind(m: Migration) -> str:
    """What clients did to the source of an import after its last snapshot, a sentence without its
    full stop; empty: they did nothing.
    """
    imported = m.imported
    if imported is None or imported.later is not None or not imported.went_on:
        return ""
    return (
        f"The source went on after {imported.source.label()}, which {m.target.spec} holds: "
        f"{imported.went_on}"
    )


def soak_began(m: Migration) -> Optional[float]:
    """The time when the soak time began: the end of the verification, else of copy or cutover.

    In seconds since the epoch; None where there is none to wait for.
    """
    v = m.verification
    if not m.soak or m.goal is not Goal.COMMITTED or not passed(m):
        return None
    if m.force_commit or m.soak_ended:
        return None
    if v is not None and v.at is not None:
        return v.at
    return m.cut_over_at if m.method is Method.WARM else m.executed_at


def soak_left(m: Migration) -> float:
    """Seconds of the soak time that have yet to pass on active managers' monotonic clocks."""
    since, soaked = soak_began(m), m.soaked
    if since is None:
        return 0.0
    seen = soaked.seconds if soaked is not None and soaked.since == since else 0.0
    return max(0.0, m.soak - seen)


def with_soaked(m: Migration, seconds: float) -> Migration:
    """Return the record with ``seconds`` more of the soak time counted as passed."""
    since = soak_began(m)
    if since is None:
        return m
    return replace(m, soaked=Soaked(since, m.soak - soak_left(m) + seconds))


def soak_ends(m: Migration, now: float) -> Optional[float]:
    """The expected end of the soak time, in seconds since the epoch; None where it is over."""
    since, left = soak_began(m), soak_left(m)
    if since is not None and since <= now < since + m.soak:
        return since + m.soak
    return now + left if left > 0 else None  # also when ``since`` comes from a clock that was ahead


def may_commit(m: Migration, now: float) -> bool:
    """Whether the commit may follow automatically."""
    if m.force_commit:
        return True
    if needs_full_verification(m) or left_behind(m):
        return False
    # The wall clock of one manager may be ahead, and a commit cannot be taken back: the time has to
    # have passed on monotonic clocks too.
    return passed(m) and soak_ends(m, now) is None
