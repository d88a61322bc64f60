"""What a change of a migration's record adds to the counters and histograms. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

from ...model.cutover import CutoverMode
from ...model.migration import Migration
from ...model.reverse_rounds import ReverseRounds
from ...model.states import State


@dataclass(frozen=True)
class Sample:
    """An amount for a counter, or a value for a histogram, of the family ``name``."""

    name: str
    labels: tuple[str, ...] = ()
    value: float = 1.0


def kind_of(m: Migration) -> str:
    """What is migrated: an image, a snapshot of one, or a disk from outside."""
    if m.imported is None or m.from_another_cluster:
        return "image"
    return "snapshot" if m.imported.native else "import"


def begun(m: Migration) -> Sample:
    """Return the sample of a new migration."""
    return Sample("begun_total", (m.method.value, kind_of(m)))


def changed(before: Migration, after: Migration) -> list[Sample]:
    """Return the samples of a change of a record."""
    return [
        *_ended(before, after),
        *_failures(before, after),
        *_verified(before, after),
        *_paused(before, after),
        *_rounds(before, after),
        *_reverse_rounds(before, after),
    ]


def _ended(before: Migration, after: Migration) -> Iterator[Sample]:
    if after.state.ended and not before.state.ended:
        yield Sample("ended_total", (after.state.value, after.method.value, kind_of(after)))


def _failures(before: Migration, after: Migration) -> Iterator[Sample]:
    if after.failure is None or after.failure == before.failure:
        return
    act = _act(before)
    if act is None:
        return
    if after.state is State.FAILED:
        yield Sample("failures_total", (act,))
    elif after.attempts > before.attempts:
        yield Sample("retries_total", (act,))


def _act(m: Migration) -> Optional[str]:
    return None if m.intent is None else m.intent.act.value


def _verified(before: Migration, after: Migration) -> Iterator[Sample]:
    old, new = before.verification, after.verification
    if new is None:
        return
    same = old is not None and old.started == new.started
    known = old.bytes if old is not None and same else 0
    if new.bytes > known:
        yield Sample("verified_bytes_total", (), float(new.bytes - known))
    if new.outcome is not None and not (old is not None and same and old.outcome is not None):
        yield Sample("verifications_total", (new.mode.value, new.outcome.value))


def _paused(before: Migration, after: Migration) -> Iterator[Sample]:
    """The agent tells how long its guest was paused, after the cutover told how long that took."""
    old = None if before.rounds is None else before.rounds.pause
    new = None if after.rounds is None else after.rounds.pause
    if new is None or new == old:
        return
    if after.cutover.mode is CutoverMode.AGENT and before.cut_over_at is None:
        return
    yield Sample("cutover_pause_seconds", (after.cutover.mode.value,), new)


def _reverse_rounds(before: Migration, after: Migration) -> Iterator[Sample]:
    new, old = after.reverse, before.reverse or ReverseRounds()
    if new is None:
        return
    if new.count > old.count and new.bytes:
        yield Sample("copied_back_bytes_total", (), float(new.bytes))
    if new.failures > old.failures:
        yield Sample("reverse_round_failures_total")


def _rounds(before: Migration, after: Migration) -> Iterator[Sample]:
    """What rounds after the first one copied; the first one is counted while it copies."""
    old = 0 if before.rounds is None else before.rounds.count
    if after.rounds is not None and after.rounds.count > max(1, old) and after.rounds.bytes:
        yield Sample("copied_bytes_total", (after.method.value,), float(after.rounds.bytes))
