"""One move of a guest: everything before its pause, the pause, and the way out of it.

The guest is paused only when all that can be known before is known. From then on the manager's
answer alone says what each disk opens; see :mod:`rbdmigrate.control.cutover.pause`.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Sequence
from typing import Callable, Optional

from rbdmigrate.control.cutover.pause import AgentStep, next_step
from rbdmigrate.control.cutover.steps import Steps
from rbdmigrate.faults import fault_point
from rbdmigrate.model import agent_messages as messages
from rbdmigrate.model.spec import ImageSpec

from .guests.connection import GuestConnection
from .guests.errors import GuestError, GuestGone
from .guests.model import Guest, GuestDisk, ImageLocation, Side, Where
from .journal import Journal, Pause, PausedDisk
from .manager import Manager, Unanswered

log = logging.getLogger(__name__)

_PROBE = 1.0  # seconds in which the cluster has to answer before a guest is paused
_ASK = 5.0  # seconds for an answer outside of a pause
_PATIENCE = 60.0  # seconds in which the copy has to come close enough for a pause
_OPEN_AGAIN = 1.0  # seconds between two attempts to open an image that is valid
_TOLD = 5  # times that the manager is told that a guest runs again


class Declined(Exception):
    """The guest is left alone; the text says why, in a sentence."""


class Moving:
    """Moves the disks of one guest at a time. ``stopping`` tells whether the agent is to end."""

    def __init__(
        self,
        *,
        manager: Manager,
        journal: Journal,
        stopping: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._manager = manager
        self._journal = journal
        self._stopping = stopping
        self._clock = clock
        self._sleep = sleep

    # -- before the pause --------------------------------------------------------------------

    def move(
        self, reached: str, connection: GuestConnection, guest: Guest, move: messages.GuestMove
    ) -> None:
        """Move the disks of a guest, or leave it alone and tell the manager why."""
        idents = tuple(disk.migration for disk in move.disks)
        try:
            pause = self._planned(reached, connection, guest, move)
            self._manager.look_up(move.disks[0].target.pool, _PROBE)
            self._require_no_obstacles(connection, guest, pause.disks, move)
            connection.prepare([disk.exchange for disk in pause.disks])
            for disk, ordered in zip(pause.disks, move.disks):
                if ordered.copy is not None:
                    connection.try_open(disk.exchange, _location(ordered.copy))
            self._wait_until_ready(messages.Ready(pause.token, guest.name, idents))
        except (Declined, GuestError) as error:
            self._decline(guest, idents, str(error))
            return
        except Unanswered as error:
            log.warning("%s is left alone: %s", guest.called, error)
            return
        self._pause(connection, guest, pause)

    def _planned(
        self, reached: str, connection: GuestConnection, guest: Guest, move: messages.GuestMove
    ) -> Pause:
        disks = []
        for ordered in move.disks:
            source, target = _location(ordered.source), _location(ordered.target)
            exchange = connection.plan(guest, _disk(guest, source), target)
            disks.append(
                PausedDisk(
                    ordered.migration, ordered.source, ordered.target, exchange, ordered.back
                )
            )
        token = secrets.token_hex(8)
        return Pause(token, guest.name, reached, move.max_pause, tuple(disks))

    def _wait_until_ready(self, request: messages.Ready) -> None:
        """Wait until little is left to copy. Raises Declined when that does not come."""
        until = self._clock() + _PATIENCE
        while True:
            answer = self._manager.ask(request, _ASK)
            if not isinstance(answer, messages.Go):
                raise Declined("The manager gave no clear answer.")
            if answer.go:
                return
            if not answer.again or self._clock() > until or self._stopping():
                raise Declined(answer.reason)
            self._sleep(answer.again)

    def _require_no_obstacles(
        self,
        connection: GuestConnection,
        guest: Guest,
        disks: Sequence[PausedDisk],
        move: messages.GuestMove,
    ) -> None:
        used = [_disk(guest, _location(disk.source)) for disk in move.disks]
        found = connection.obstacles(guest, used)
        if found:
            raise Declined(" ".join(found))
        for disk in disks:
            where = connection.where(disk.exchange).where
            if where is not Where.SOURCE:
                raise Declined(f"{disk.source} is not open in {guest.called} any more.")

    def _decline(self, guest: Guest, idents: tuple[str, ...], reason: str) -> None:
        log.warning("%s is left alone: %s", guest.called, reason)
        try:
            self._manager.ask(messages.Declined(guest.name, idents, reason), _ASK)
        except Unanswered as error:
            log.warning("the manager does not know yet: %s", error)

    # -- the pause ---------------------------------------------------------------------------

    def _pause(self, connection: GuestConnection, guest: Guest, pause: Pause) -> None:
        exchanges = [disk.exchange for disk in pause.disks]
        fault_point("agent.after", "prepare")
        try:
            self._journal.write(pause)
        except OSError as error:
            self._decline(guest, pause.migrations, f"The pause cannot be noted: {error}.")
            return
        fault_point("agent.after", "journal")
        begun, steps = self._clock(), Steps()
        released = False
        try:
            connection.pause(guest)
            steps.end("pause")
            fault_point("agent.after", "pause")
            connection.close(exchanges)
            steps.end("close")
            fault_point("agent.after", "close")
            released = True
        except GuestError as error:
            log.error("%s cannot be paused: %s", guest.called, error)
        self._finish(connection, pause, begun=begun, released=released, steps=steps)

    def recover(self, connection: GuestConnection, pause: Pause) -> None:
        """Bring a pause to its end that an agent before us began."""
        log.warning("the guest %s was paused by an agent that ended; going on", pause.guest)
        long_ago = self._clock() - pause.max_pause
        self._finish(connection, pause, begun=long_ago, released=None, steps=Steps())

    def _finish(
        self,
        connection: GuestConnection,
        pause: Pause,
        *,
        begun: float,
        released: Optional[bool],
        steps: Steps,
    ) -> None:
        """``released``: the images were closed just now; None: it is not known."""
        outcomes = self._outcomes(pause, begun, released)
        if outcomes is None:
            return  # the agent ends; the entry stays for the next one
        steps.end("outcome")
        notes = self._opened(connection, pause, outcomes, begun)
        if notes is None:
            return
        steps.end("open and resume")
        seconds = self._clock() - begun
        log.info("the guest %s goes on after %.2f s (%s)", pause.guest, seconds, steps.text())
        for note in notes:
            log.warning("%s", note)
        fault_point("agent.after", "resume")
        self._tell(pause, seconds, notes)
        self._journal.remove(pause.token)
        fault_point("agent.after", "told")
        try:
            connection.tidy([disk.exchange for disk in pause.disks])
        except GuestError as error:
            log.warning("the guest %s: %s", pause.guest, error)

    def _outcomes(
        self, pause: Pause, begun: float, released: Optional[bool]
    ) -> Optional[messages.Outcomes]:
        """What each disk may open, however long it takes to be known; None when we have to end."""
        answer: Optional[messages.Outcomes] = None
        withdrawn = False
        request: messages.Request = messages.Outcome(pause.token, pause.migrations)
        if released:
            request = messages.Released(pause.token, pause.guest, pause.migrations)
        while not self._stopping():
            left = pause.max_pause - (self._clock() - begun)
            answer = self._ask(request, max(1.0, left) if released else _ASK)
            fault_point("agent.after", "ask")
            withdrawn |= isinstance(request, messages.Withdraw) and answer is not None
            step = next_step(
                answer,
                elapsed=self._clock() - begun,
                max_pause=pause.max_pause,
                withdrawn=withdrawn,
            )
            if step is AgentStep.OPEN:
                return answer
            if step is AgentStep.WITHDRAW:
                request = messages.Withdraw(pause.token, pause.migrations)
            else:
                request = messages.Outcome(pause.token, pause.migrations)
                self._sleep(0.05 if answer is not None else 0.5)
        return None

    def _ask(self, request: messages.Request, seconds: float) -> Optional[messages.Outcomes]:
        try:
            answer = self._manager.ask(request, seconds)
        except Unanswered as error:
            log.warning("%s", error)
            return None
        return answer if isinstance(answer, messages.Outcomes) else None

    # -- after the outcome -------------------------------------------------------------------

    def _opened(
        self,
        connection: GuestConnection,
        pause: Pause,
        outcomes: messages.Outcomes,
        begun: float,
    ) -> Optional[tuple[str, ...]]:
        """Open what is valid and let the guest go on, however often that has to be tried.

        After each failure the manager is asked again: an administrator may have aborted meanwhile.
        Returns what is left to do, in sentences; None when we have to end before.
        """
        told = ""
        current: Optional[messages.Outcomes] = outcomes
        while current is not None:
            if current.message and current.message != told:
                log.warning("the guest %s: %s", pause.guest, current.message)
            try:
                if told:
                    self._close_others(connection, pause, current)
                return self._open_all(connection, pause, current)
            except GuestGone:
                log.warning("the guest %s has ended", pause.guest)
                return self._redefined(connection, pause, current)
            except GuestError as error:
                if str(error) != told:
                    log.error("the guest %s waits: %s", pause.guest, error)
                told = str(error)
            self._sleep(_OPEN_AGAIN)
            current = self._outcomes(pause, begun, None)
        return None

    def _close_others(
        self, connection: GuestConnection, pause: Pause, outcomes: messages.Outcomes
    ) -> None:
        """Close images that are open from a former try and are not what is to be opened now."""
        for disk, outcome in _with_outcomes(pause, outcomes):
            where = connection.where(disk.exchange).where
            is_open = where in (Where.SOURCE, Where.TARGET)
            if is_open and where.value != _side(disk, outcome).value:
                connection.close([disk.exchange])

    def _open_all(
        self, connection: GuestConnection, pause: Pause, outcomes: messages.Outcomes
    ) -> tuple[str, ...]:
        for disk, outcome in _with_outcomes(pause, outcomes):
            if outcome.image is None:
                raise GuestError("The manager has not said what its disks open.")
            connection.open(disk.exchange, _side(disk, outcome), _location(outcome.image))
            fault_point("agent.after", "open")
        connection.resume([disk.exchange for disk in pause.disks])
        return self._redefined(connection, pause, outcomes)

    def _redefined(
        self, connection: GuestConnection, pause: Pause, outcomes: messages.Outcomes
    ) -> tuple[str, ...]:
        notes = []
        for disk, outcome in _with_outcomes(pause, outcomes):
            if outcome.image is None or outcome.image == disk.source:
                continue
            try:
                left = connection.redefine(disk.exchange, _location(outcome.image))
            except GuestError as error:
                left = f"The definition of the guest {pause.guest} could not be changed: {error}"
            if left:
                notes.append(left)
        return tuple(notes)

    def _tell(self, pause: Pause, seconds: float, notes: tuple[str, ...]) -> None:
        done = messages.Resumed(pause.token, pause.guest, pause.migrations, seconds, notes)
        for _ in range(_TOLD):
            try:
                self._manager.ask(done, _ASK)
                return
            except Unanswered as error:
                log.warning("%s", error)
                self._sleep(1.0)
        log.error("the manager was not told that the guest %s runs again", pause.guest)


def _location(spec: ImageSpec) -> ImageLocation:
    return ImageLocation(spec.pool, spec.namespace, spec.image)


def _disk(guest: Guest, location: ImageLocation) -> GuestDisk:
    for disk in guest.disks:
        if disk.location == location:
            return disk
    raise Declined(f"{location} is not open in {guest.called} any more.")


def _with_outcomes(
    pause: Pause, outcomes: messages.Outcomes
) -> list[tuple[PausedDisk, messages.DiskOutcome]]:
    by_migration = {outcome.migration: outcome for outcome in outcomes.disks}
    return [(disk, by_migration[disk.migration]) for disk in pause.disks]


def _side(disk: PausedDisk, outcome: messages.DiskOutcome) -> Side:
    """The side of the exchange: on the way back its source is the target of the migration."""
    return Side.TARGET if outcome.moved is not disk.back else Side.SOURCE
