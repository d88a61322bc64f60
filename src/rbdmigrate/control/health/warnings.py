"""Health warnings about migrations, decided from their records and a few facts. Pure.

A warning is there as long as its condition holds, so it ends by itself. Each sentence names the
migration, says what is wrong, and what to do.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Optional

from ...model.cutover import CutoverMode
from ...model.errors import MigrationError
from ...model.host_report import HostReport
from ...model.migration import Hold, Migration
from ...model.references import references
from ...model.spec import ImageSpec
from ...model.states import ActKind, HoldReason, Method, State
from ...model.units import format_seconds
from ...model.verification import Outcome
from ..lifecycle.cutover import clients_wait, image_in_use, undecided, waits_for_clients
from ..lifecycle.reverse import reverse_at
from ..lifecycle.schedule import PACED_ACTS

_HOUR = 3600.0
_GRACE = 2.0  # seconds that a pause may last longer before it is said
_TOLD = 24 * _HOUR  # seconds for which a pause that was too long is told
_TRIES = 3  # attempts that failed one after another, before it is said
_RESTING = (State.PREPARED, State.EXECUTED, State.CUT_OVER, State.VERIFIED)


class Code(enum.Enum):
    """The warnings: ``RBD_MIGRATION_<name>``, and what the summary says of their number."""

    FAILED = "migration(s) failed"
    VERIFY = "migration(s) whose target differs from its source"
    STALLED = "migration(s) stalled"
    UNFINISHED = "migration(s) unfinished for too long"
    SOURCE = "import(s) whose source cannot be read"
    SECRET = "import(s) whose secrets cannot be read"
    CUTOVER = "cutover(s) took longer than allowed"
    AGENT = "agent(s) lost that are to move guests"
    REVERSE = "migration(s) whose source is not kept up to date"


@dataclass(frozen=True)
class Limits:
    """From when on a warning is raised; 0 is never.

    ``stalled``: seconds without progress of a running copy or comparison. ``unfinished``: hours
    that a migration rests between its prepare and its commit.
    """

    stalled: float = 600.0
    unfinished: float = 72.0


@dataclass(frozen=True)
class Facts:
    """A migration under way, at ``now`` in seconds since the epoch.

    ``still``: seconds for which its running copy or comparison made no progress; None: none runs,
    or its rate is 0. ``hold``: why it does not go on. ``missing``: config-keys that it needs and
    that do not exist.
    """

    migration: Migration
    now: float
    still: Optional[float] = None
    hold: Optional[Hold] = None
    missing: tuple[str, ...] = ()


def warnings(facts: Facts, limits: Limits) -> dict[Code, str]:
    """Return a sentence for each warning that the migration gives rise to."""
    m = facts.migration
    found = {code: judge(facts, limits) for code, judge in _JUDGES.items()}
    name = f"{m.source.spec} -> {m.target.spec}"
    return {code: f"{name}: {said}" for code, said in found.items() if said}


def lost_agents(reports: Iterable[HostReport], migrations: Iterable[Migration]) -> list[str]:
    """Return a sentence for each agent that is lost and whose guests wait to be moved."""
    wanted: dict[ImageSpec, Migration] = {}
    for m in migrations:
        if m.cutover.mode is CutoverMode.AGENT and (waits_for_clients(m) or clients_wait(m)):
            wanted[image_in_use(m).spec] = m
    return [said for report in reports if report.lost for said in [_lost(report, wanted)] if said]


def keys_needed(m: Migration) -> tuple[str, ...]:
    """Return the config-keys that an import reads; none when its source-spec cannot be read."""
    if m.imported is None or not m.imported.outside or m.state.ended:
        return ()
    try:
        named = [reference.key for reference in references(m.imported.source)]
    except MigrationError:
        return ()
    return tuple(dict.fromkeys((*m.imported.secrets, *named)))


def _differs(m: Migration) -> bool:
    return m.verification is not None and m.verification.outcome is Outcome.FAILED


def _failed(facts: Facts, limits: Limits) -> str:
    m = facts.migration
    if m.state is not State.FAILED or m.failure is None or _differs(m):
        return ""
    return m.failure.message


def _verify(facts: Facts, limits: Limits) -> str:
    m = facts.migration
    if not _differs(m):
        return ""
    if m.state is State.FAILED and m.failure is not None:
        return m.failure.message
    return f"{m.target.spec} differs from its source; see `ceph rbd migration status`."


def _stalled(facts: Facts, limits: Limits) -> str:
    m, still = facts.migration, facts.still
    if m.intent is None or m.intent.act not in PACED_ACTS or still is None or _outside(facts):
        return ""
    if limits.stalled <= 0 or still < limits.stalled:
        return ""
    done = "compared" if m.intent.act is ActKind.VERIFY else "copied"
    return (
        f"Nothing was {done} for {format_seconds(still)}; look at `ceph health` and the clients of "
        f"{m.target.spec} (`rbd status`), or stop it with `ceph rbd migration pause "
        f"{m.target.spec}`."
    )


def _unfinished(facts: Facts, limits: Limits) -> str:
    m = facts.migration
    if m.state not in _RESTING or m.intent is not None or limits.unfinished <= 0:
        return ""
    times = (m.prepared_at, m.executed_at, m.cut_over_at)
    rested = facts.now - max((at for at in times if at is not None), default=facts.now)
    if rested < limits.unfinished * _HOUR:
        return ""
    target = m.target.spec
    ahead = f"`ceph rbd migration execute {target}`" if m.state is State.PREPARED else ""
    if m.state is not State.PREPARED:
        late = m.method is not Method.WARM or m.cut_over_at is not None
        ahead = f"`ceph rbd migration {'commit' if late else 'cutover'} {target}`"
    return (
        f"It has been {m.state.value} for {format_seconds(rested)}. {_price(m)} Go on with {ahead} "
        f"or back with `ceph rbd migration abort {target}`."
    )


def _price(m: Migration) -> str:
    """What a migration costs that is left half done."""
    if m.imported is not None and not m.from_another_cluster:
        return "The target needs its source until the commit."
    if m.method is Method.WARM and m.cut_over_at is None:
        return "Its data takes space twice, and every round reads the source."
    if m.from_another_cluster:
        return "Its source is in the trash of its cluster, where clients are locked out of it."
    return (
        f"Its data takes space twice, and its source is in the trash of {m.source.pool}, which "
        "some programs cannot list or empty meanwhile."
    )


def _outside(facts: Facts) -> bool:
    return facts.hold is not None and facts.hold.reason is HoldReason.SOURCE


def _source(facts: Facts, limits: Limits) -> str:
    m = facts.migration
    if m.imported is None or not m.imported.outside or m.paused or facts.missing:
        return ""
    if facts.hold is not None and _outside(facts):
        return facts.hold.message
    tried = m.failure is not None and m.failure.transient and m.attempts >= _TRIES
    early = m.executed_at is None and m.state in (State.QUEUED, State.PREPARING, State.EXECUTING)
    early = early or m.from_another_cluster  # rounds, cutover and commit all need it
    return m.failure.message if m.failure is not None and tried and early else ""


def _secret(facts: Facts, limits: Limits) -> str:
    if not facts.missing:
        return ""
    m, names = facts.migration, ", ".join(facts.missing)
    return (
        f"The config-key(s) {names} that its source needs do not exist; store them with `ceph "
        f"config-key set KEY -i FILE`, then `ceph rbd migration retry {m.target.spec}`."
    )


def _cutover(facts: Facts, limits: Limits) -> str:
    m, most = facts.migration, facts.migration.cutover.max_pause
    if m.release is not None and clients_wait(m) and undecided(m):
        stood = facts.now - m.release.at
        if stood > most + _GRACE:
            return (
                f"The guest {m.release.guest} on {m.release.host} has been paused for "
                f"{format_seconds(stood)}; its limit is {most:g} s. Look at `journalctl -u "
                f"rbd-migration-agent` on {m.release.host}."
            )
    if m.cutover.mode is not CutoverMode.AGENT or m.cut_over_at is None or m.rounds is None:
        return ""
    pause, passed = m.rounds.pause or 0.0, facts.now - m.cut_over_at
    if pause <= most or passed > _TOLD:
        return ""
    return (
        f"Its guest was paused for {pause:.1f} s; its limit is {most:g} s. Look at its timeline, "
        f"and at the guest's clock and applications."
    )


def _reverse(facts: Facts, limits: Limits) -> str:
    m, rounds = facts.migration, facts.migration.reverse
    if rounds is None or rounds.failures < _TRIES or reverse_at(m) is None:
        return ""
    age = format_seconds(facts.now - max(rounds.at, m.cut_over_at or 0.0))
    return (
        f"{rounds.failures} reverse rounds in a row failed: {rounds.problem} An abort would copy "
        f"what was written in the last {age} while clients wait. Another round is tried by itself, "
        f"or with `ceph rbd migration execute {m.target.spec}`."
    )


def _lost(report: HostReport, wanted: Mapping[ImageSpec, Migration]) -> str:
    targets = sorted(
        str(wanted[disk.image].target.spec)
        for guest in report.inventory.guests
        for disk in guest.disks
        if disk.image in wanted
    )
    if not targets:
        return ""
    return (
        f"The agent on {report.host} does not report any more, and the guests there use images "
        f"whose migrations wait for it ({', '.join(targets)}); look at `systemctl status "
        "rbd-migration-agent` there, or forget it with `ceph rbd migration agent rm "
        f"{report.host}`."
    )


_JUDGES: dict[Code, Callable[[Facts, Limits], str]] = {
    Code.FAILED: _failed,
    Code.VERIFY: _verify,
    Code.STALLED: _stalled,
    Code.UNFINISHED: _unfinished,
    Code.SOURCE: _source,
    Code.SECRET: _secret,
    Code.CUTOVER: _cutover,
    Code.REVERSE: _reverse,
}
