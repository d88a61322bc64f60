"""The method ``warm``: its next step, and the rounds that refresh its target. Pure.

Until the cutover the clients use the source, and an abort removes only our copy. From the cutover
on they use the target, and an abort copies back what they wrote.
"""

from __future__ import annotations

from dataclasses import replace
from errno import EIO
from typing import Optional

from ...model.jobs.answers import Synchronized
from ...model.migration import Hold, Migration
from ...model.observation import Observation
from ...model.report import iso
from ...model.rounds import Rounds, WayBack, cutover_estimate, hidden_name
from ...model.spec import ImageSpec
from ...model.states import ActKind, Goal, HoldReason, Method, State
from .crashes import prepare_crashed
from .cutover import cutover_waits, goes_on, prepare_to_undo, waits_for_clients
from .decision import Decision, Fail, Rest, RunAct
from .observed import unanswered
from .reverse import is_reverse, reverse_due, to_reverse
from .situation import Situation
from .verification import due, may_commit

_REFRESHED = 60.0  # seconds, the least age of the content of a target that is refreshed
_PATIENCE = 20  # times as long as a round took nothing is copied after it
# Where a cutover may be cut off; at the last its names are complete, and its answer was lost.
_CUT_OFF = (Situation.EXECUTED, Situation.HALF_CUT_OVER, Situation.CUT_OVER)
_LONGEST = 3600.0  # seconds, the age up to which rounds that copy nothing become rarer


def next_warm(m: Migration, situation: Situation, now: float) -> Decision:
    """Return the next step of a migration by the method ``warm`` that neither ended nor waits.

    Half-done acts are ours, but for names that somebody else changed after a cutover, or before.
    """
    undone = situation is Situation.HALF_ABORTED and m.state is State.PREPARING
    if situation is Situation.HALF_PREPARED or undone or unanswered(m, situation):
        return RunAct(ActKind.UNDO_PREPARE)
    if situation is Situation.HALF_COMMITTED:
        return RunAct(ActKind.ABORT if m.state is State.ABORTING else ActKind.FINISH_COMMIT)
    if situation in (Situation.HALF_ABORTED, Situation.TARGET_POOL_GONE):
        return RunAct(ActKind.ABORT)
    if m.goal is Goal.ABORTED:
        rests = situation is Situation.CUT_OVER and m.state is not State.ABORTING
        return Rest() if rests and waits_for_clients(m) else RunAct(ActKind.ABORT)
    if m.state is State.CUTTING_OVER and situation in _CUT_OFF:
        return RunAct(ActKind.CUT_OVER)
    if situation is Situation.HALF_CUT_OVER:
        return Rest()
    if m.paused or m.target_changes.trashed:
        return Rest()
    return _onward(m, situation, now)


def _onward(m: Migration, situation: Situation, now: float) -> Decision:
    if situation is Situation.UNTOUCHED:
        crashed = prepare_crashed(m)
        return Fail(EIO, crashed) if crashed else RunAct(ActKind.PREPARE)
    before = m.cut_over_at is None  # else clients have written to the target
    if situation is Situation.PREPARED and before and m.goal is not Goal.PREPARED:
        return RunAct(ActKind.EXECUTE)
    waits = waits_for_clients(m) or cutover_waits(m)
    if situation is Situation.EXECUTED and goes_on(m.goal) and not waits:
        return RunAct(ActKind.CUT_OVER)
    if situation is Situation.EXECUTED and refresh_due(m, now):
        return RunAct(ActKind.EXECUTE)
    if situation is Situation.CUT_OVER and due(m):
        return RunAct(ActKind.VERIFY)
    if situation is Situation.CUT_OVER and m.goal is Goal.COMMITTED and may_commit(m, now):
        return RunAct(ActKind.COMMIT)
    if situation is Situation.CUT_OVER and reverse_due(m, now):
        return RunAct(ActKind.EXECUTE)
    return Rest()


def names_changed(m: Migration, situation: Situation, seen: Observation) -> str:
    """What to do when somebody else took away the name of the image that clients use; or empty."""
    if m.method is not Method.WARM or situation is not Situation.HALF_CUT_OVER:
        return ""
    if m.state is State.CUTTING_OVER or m.goal is Goal.ABORTED:
        return ""
    image = m.target if m.cut_over_at is not None else m.source
    if seen.source is not None and seen.source.header is not None:
        return (
            f"Somebody prepared {image.spec} (image id {image.image_id}) for a live migration with "
            "plain `rbd`; commit or abort that with `rbd migration`, and this one goes on."
        )
    return (
        f"Somebody moved {image.spec} (image id {image.image_id}) to the trash, or changed its "
        "name half-way; `rbd trash restore` brings it back, and `ceph rbd migration abort "
        f"{m.target.spec}` goes back."
    )


def source_gone(m: Migration) -> str:
    """What to do when the source is gone before the cutover: only our copy of it is left."""
    hidden = ImageSpec(m.target.pool, m.target.namespace, hidden_name(m.id))
    gone = f"The source {m.source.spec} (image id {m.source.image_id}) is gone; what was copied"
    abort = f"`ceph rbd migration abort {m.target.spec} --force`"
    if m.rounds is None or not m.rounds.count:
        return (
            f"{gone} of it is not complete. It is the image {hidden}, which `rbd deep cp` saves "
            f"under another name, and {abort} removes."
        )
    return (
        f"{gone} of it is complete as it was at {iso(m.rounds.at)}. {abort} makes that the image "
        f"{m.target.spec}; what clients wrote later is lost."
    )


def left_alone(m: Migration) -> str:
    """What an abort came to whose source was gone."""
    target = m.target.spec
    if m.cut_over_at is not None or m.rounds is None:
        return f"the source was gone; {target} is what clients used last"
    return (
        f"the source was gone; {target} is what was copied of it, as it was at {iso(m.rounds.at)}"
    )


def may_go_back(m: Migration) -> bool:
    """Whether an abort would copy back what clients wrote to the target."""
    after = m.method is Method.WARM and m.cut_over_at is not None and not m.state.ended
    return after and m.goal is not Goal.ABORTED and bool(m.comparison_snapshot)


def way_back(m: Migration, written: Optional[int], now: float) -> WayBack:
    """What an abort would do.

    ``written``: bytes since the cutover, or the last reverse round; None: it is not known.
    """
    if written is None:
        return WayBack(None, None, now)
    scan = 0.0 if m.rounds is None else m.rounds.scan
    if m.reverse is not None and m.reverse.count:
        scan = m.reverse.scan
    return WayBack(written, cutover_estimate(scan, written), now)


def removes_snapshots(m: Migration, act: ActKind) -> bool:
    """Whether our snapshots are gone once ``act`` was done.

    Those of another cluster are not looked at: only the answer to the last act tells of them.
    """
    ends = act in (ActKind.COMMIT, ActKind.FINISH_COMMIT, ActKind.ABORT)
    return act is ActKind.REMOVE_COMPARISON_SNAPSHOT or (ends and m.from_another_cluster)


# -- rounds


def refresh_at(m: Migration) -> Optional[float]:
    """When another round refreshes an executed target, in seconds since the epoch; else None.

    At once where no worker told of its rounds: it was lost between the last of them and its answer.
    """
    if m.method is not Method.WARM:
        return None
    if m.goal is not Goal.EXECUTED and not waits_for_clients(m) and not cutover_waits(m):
        return None
    if m.paused or m.state is not State.EXECUTED:
        return None
    r = m.rounds
    if r is None:
        return 0.0
    if r.wanted:
        return r.at
    least = max(_REFRESHED, _PATIENCE * r.seconds)
    doubled: float = least * 2.0 ** min(r.idle, 32)
    return r.at + max(least, min(doubled, _LONGEST))


def refresh_due(m: Migration, now: float) -> bool:
    """Whether another round is to be copied now; also where the clock was ahead at the last one."""
    at = refresh_at(m)
    if at is None:
        return False
    return now >= at or (m.rounds is not None and now < m.rounds.at)


def is_refresh_round(m: Migration, act: ActKind) -> bool:
    """Whether ``act`` is a round that keeps an executed target fresh, or the kept source."""
    refreshes = m.method is Method.WARM and act is ActKind.EXECUTE and m.state is State.EXECUTED
    return refreshes or is_reverse(m, act)


def kept_hold(m: Migration, act: ActKind) -> Optional[Hold]:
    """The hold that ``act`` leaves: a round that refreshes it does not decide for somebody.

    The next attempt at a prepare for which a guest did not wait is put off, but not its undoing.
    """
    if act is ActKind.UNDO_PREPARE and prepare_to_undo(m):
        return m.hold
    if m.hold is None or m.hold.reason is not HoldReason.OPERATOR:
        return None
    return m.hold if is_refresh_round(m, act) else None


def to_refresh_round(m: Migration) -> Migration:
    """Return the record with another round wanted, one back after the cutover.

    Any other one than an executed is unchanged.
    """
    if m.cut_over_at is not None:
        return to_reverse(m)
    if m.method is not Method.WARM or m.state is not State.EXECUTED or m.rounds is None:
        return m
    return replace(m, rounds=replace(m.rounds, wanted=True))


def synchronized(m: Migration, answer: Synchronized) -> Migration:
    """Return the record after rounds that were copied."""
    before = m.rounds or Rounds()
    rounds = Rounds(
        count=before.count + answer.rounds,
        bytes=answer.bytes,
        seconds=answer.seconds,
        at=answer.at,
        idle=0 if answer.bytes else before.idle + 1,
        scan=answer.scan,
        left=answer.left,
    )
    known = m.bytes_total if before.count else None  # later rounds copy some of it once more
    size = known or answer.total
    return replace(
        m,
        rounds=rounds,
        comparison_snapshot=answer.comparison_snapshot,
        bytes_copied=size,
        bytes_total=size,
        copy_checked=True,
    )
