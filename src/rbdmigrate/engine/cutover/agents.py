"""Answers the agents on hypervisor hosts, and says what they report."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from errno import ENOENT
from functools import partial

import rados

from ...control.cutover.guest_pauses import GuestPauses
from ...control.cutover.orders import moves_now
from ...control.lifecycle.cutover import (
    by_prepare,
    goes_back,
    guest_resumed,
    image_in_use,
    may_be_released,
    put_off,
    released,
    waits_for_clients,
    withdrawn,
)
from ...control.lifecycle.warm import to_refresh_round
from ...faults import fault_point
from ...model import agent_messages as messages
from ...model.cutover import CutoverMode, Release
from ...model.errors import MigrationError
from ...model.host_report import HostReport
from ...model.migration import Migration
from ...model.spec import ImageSpec
from ...model.states import ActKind
from ..caller import acting_as
from ..pace.cutover_holds import CutoverHolds
from ..reconcile.scheduler import Scheduler
from ..records.loader import Loader
from ..records.record_index import Condition
from ..records.registry import Registry, TrackedMigration
from ..requests.errors import TranslatedErrors
from ..settings import Settings
from .guest_outcomes import ALONE, LOOK, GuestOutcomes, is_published
from .inventory import Inventories

log = logging.getLogger(__name__)

_BUSY = 2.0  # seconds until an agent asks again while a cutover of its guests is wanted
_AGAIN = 0.5  # seconds until an agent asks again that is ready before the copy is
_SOON = 0.05  # the same, after it waited for the answer
_FRESH = 2.0  # seconds since the begin of the last round in which a pause may begin
_ROUND_SHARE = 0.8  # of the longest pause that the last round may have taken
_AGENT = CutoverMode.AGENT
# They change which image a name leads to.
_NAMING_ACTS = frozenset({ActKind.PREPARE, ActKind.CUT_OVER, ActKind.ABORT})
_BEGINS = 2.0  # seconds from the permission to pause a guest to the release at the latest
_AFTER = 10.0  # seconds after its longest pause in which a guest may still be paused


class AgentService:
    """The manager's side of the agents. Thread-safe.

    An agent says which guests it has, and hears which of them to pause. While a guest is paused
    the agent asks for the outcome; what it may open is decided by the record alone.
    """

    def __init__(
        self,
        *,
        client: rados.Rados,
        registry: Registry,
        scheduler: Scheduler,
        loader: Loader,
        settings: Callable[[], Settings],
        inventories: Inventories,
        pauses: GuestPauses,
        holds: CutoverHolds,
        translated: Callable[[ImageSpec], TranslatedErrors],
    ) -> None:
        self._registry = registry
        self._outcomes = GuestOutcomes(
            client=client, registry=registry, loader=loader, pauses=pauses
        )
        self._scheduler = scheduler
        self._settings = settings
        self._translated = translated
        self._inventories = inventories
        self._pauses = pauses
        self._holds = holds

    # -- what front ends show ----------------------------------------------------------------

    def hosts(self) -> list[HostReport]:
        """The last report of each agent since this manager became active."""
        return self._inventories.all()

    def forget(self, host: str) -> None:
        """Forget an agent that is not used any more. Raises MigrationError(ENOENT)."""
        if not self._inventories.remove(host):
            raise MigrationError(ENOENT, f"No agent on {host} has reported to this manager.")

    # -- the agents --------------------------------------------------------------------------

    def answer(self, host: str, request: messages.Request) -> messages.Answer:
        """Do what the agent on ``host`` asks for. Raises MigrationError."""
        name = f"agent {host}"
        with self._translated(ImageSpec("", "", f"the guests of {host}")), acting_as(name):
            return self._answer(host, request)

    def _answer(self, host: str, request: messages.Request) -> messages.Answer:
        if isinstance(request, messages.Inventory):
            return self._orders(host, request)
        self._inventories.heard(host)
        if isinstance(request, messages.Ready):
            return self._ready(request)
        if isinstance(request, messages.Released):
            return self._released(host, request)
        if isinstance(request, messages.Outcome):
            return self._outcomes.wait(request.token, request.migrations)
        if isinstance(request, messages.Withdraw):
            return self._withdraw(request)
        if isinstance(request, messages.Resumed):
            return self._resumed(host, request)
        return self._declined(host, request)

    def _orders(self, host: str, inventory: messages.Inventory) -> messages.Orders:
        self._inventories.put(host, inventory)
        wanted = [
            t for t in self._registry.where(Condition.AWAITED) if _waits_for_agent(t.migration)
        ]
        may = [t.migration for t in wanted if self._holds.hold(t.migration) is None]
        found = moves_now(host, inventory.guests, may, time.time())
        opened = {disk.image for guest in inventory.guests for disk in guest.disks}
        busy = False
        for one in wanted:
            one.waits_for = found.reasons.get(one.migration.id, one.waits_for)
            busy |= image_in_use(one.migration).spec in opened
        interval = self._settings().agent_interval
        return messages.Orders(min(_BUSY, interval) if busy else interval, found.moves)

    def _ready(self, request: messages.Ready) -> messages.Go:
        """Yes, once a round that was copied just now shows that little is left for the pause.

        The answer comes when that round ends, so that the guest writes little until its pause.
        """
        tracked = [self._require(ident) for ident in request.migrations]
        until = time.monotonic() + ALONE
        while True:
            for one in tracked:
                if not may_be_released(one.migration, _AGENT, time.time()):
                    return messages.Go(
                        False, f"{one.migration.target.spec} does not wait any more."
                    )
            late = [one for one in tracked if _is_late(one)]
            if not late:
                self._pauses.expect(request.token, _BEGINS)
                return messages.Go(True)
            for one in late:
                self._have_armed(one)
            others = self._pauses.any_other(request.token)
            left = until - time.monotonic()
            if others or left <= 0:
                return self._not_yet(tracked, late[0].migration, again=_AGAIN if others else _SOON)
            self._registry.wait(lambda: not any(map(_is_late, tracked)), min(left, LOOK))

    def _have_armed(self, tracked: TrackedMigration) -> None:
        tracked.arm = True
        if tracked.migration.intent is None and not _wanted(tracked.migration):
            self._change(tracked, to_refresh_round)

    @staticmethod
    def _not_yet(tracked: list[TrackedMigration], late: Migration, *, again: float) -> messages.Go:
        last = 0.0 if late.rounds is None else late.rounds.seconds
        reason = (
            f"The last round of {late.target.spec} took {last:.1f} s, and its pause may take "
            f"{late.cutover.max_pause:g} s; give more with --max-pause, or cut over when less is "
            "written."
        )
        for one in tracked:
            one.waits_for = reason
        return messages.Go(False, reason, again)

    def _released(self, host: str, request: messages.Released) -> messages.Outcomes:
        tracked = [self._require(ident) for ident in request.migrations]
        release = Release(time.time(), request.token, host, request.guest)
        for one in tracked:
            one.arm = False
            fault_point("agent.before", "release")
            self._change(one, partial(_released, release=release))
        longest = max((one.migration.cutover.max_pause for one in tracked), default=0.0)
        self._pauses.expect(request.token, longest + _AFTER)
        return self._outcomes.wait(request.token, request.migrations)

    def _withdraw(self, request: messages.Withdraw) -> messages.Outcomes:
        now = time.time()
        for one in self._registry.under_way(request.migrations):
            self._change(one, partial(_withdrawn, token=request.token, now=now))
            if waits_for_clients(one.migration):
                self._scheduler.interrupt(one, "the guest could not wait any longer", _NAMING_ACTS)
        return self._outcomes.wait(request.token, request.migrations)

    def _resumed(self, host: str, request: messages.Resumed) -> messages.Outcomes:
        now = time.time()
        resume = partial(
            guest_resumed,
            host=host,
            guest=request.guest,
            pause=request.pause,
            notes=request.notes,
            now=now,
        )
        self._pauses.over(request.token)
        resumed = self._registry.under_way(request.migrations)
        self._registry.wait(lambda: not any(map(is_published, resumed)), ALONE)
        for one in resumed:
            self._change(one, resume)
        for note in request.notes:
            log.warning("the guest %s on %s: %s", request.guest, host, note)
        return self._outcomes.now(request.migrations)

    def _declined(self, host: str, request: messages.Declined) -> messages.Outcomes:
        left = f"left the guest {request.guest} alone: {request.reason}"
        now = time.time()

        def declined(m: Migration) -> Migration:
            off = put_off(m, f"The agent on {host} {left}", now)
            return off.logged(now, left, again=False)

        for one in self._registry.under_way(request.migrations):
            if may_be_released(one.migration, _AGENT, now):
                self._change(one, declined)
        return self._outcomes.now(request.migrations)

    # -- internal ----------------------------------------------------------------------------

    def _require(self, ident: str) -> TrackedMigration:
        found = self._registry.get(ident)
        if found is None:
            raise MigrationError(ENOENT, f"There is no migration {ident} under way.")
        return found

    def _change(self, tracked: TrackedMigration, change: Callable[[Migration], Migration]) -> None:
        self._registry.update(tracked, change)
        self._scheduler.wake(tracked)


def _released(m: Migration, release: Release) -> Migration:
    after = released(m, release, _AGENT)
    return after if after == m else after.logged(release.at, f"paused the guest {release.guest}")


def _withdrawn(m: Migration, token: str, now: float) -> Migration:
    after = withdrawn(m, token, now)
    return after if after == m else after.logged(now, "the guest could not wait any longer")


def _waits_for_agent(m: Migration) -> bool:
    return m.cutover.mode is _AGENT and waits_for_clients(m)


def _is_copied_before(m: Migration) -> bool:
    """Whether a last round comes before the cutover that the agent asks for."""
    return not goes_back(m) and not by_prepare(m)


def _is_late(tracked: TrackedMigration) -> bool:
    """Whether a round comes before its pause: the copy is behind, or one is being copied."""
    if not _is_copied_before(tracked.migration):
        return False
    return tracked.migration.intent is not None or _behind(tracked, time.time())


def _behind(tracked: TrackedMigration, now: float) -> bool:
    """Whether the copy is so far behind that the pause would last too long."""
    m = tracked.migration
    if m.rounds is None or tracked.armed is None or tracked.armed[1] < time.monotonic() + _FRESH:
        return True
    bound = _ROUND_SHARE * m.cutover.max_pause
    return m.rounds.seconds > bound or now - m.rounds.at > max(_FRESH, bound)


def _wanted(m: Migration) -> bool:
    return m.rounds is not None and m.rounds.wanted


__all__ = ["AgentService"]
