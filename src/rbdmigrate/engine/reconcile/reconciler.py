"""The observers: look at a migration each, bring its record up to date, and decide what is next."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from errno import ELOOP
from typing import Optional, Union

import rados

from ...cluster.observe import observe
from ...control.lifecycle.confirm import Outdated, while_decided
from ...control.lifecycle.decide import bounded_wait, decide, failed, is_ours
from ...control.lifecycle.decision import Decision, End, Fail, RunAct
from ...control.lifecycle.observed import with_observation
from ...control.lifecycle.reverse import reverse_at
from ...control.lifecycle.situation import HALF_DONE, Situation, diagnose
from ...control.lifecycle.verification import soak_began, soak_ends, soak_left, with_soaked
from ...control.lifecycle.warm import is_refresh_round, names_changed, refresh_at
from ...model.errors import MigrationError
from ...model.migration import Migration
from ...trace import span
from ..records.registry import Registry, StoreFenced, TrackedMigration
from ..records.secrets import Secrets
from ..settings import Settings
from .executor import Executor

log = logging.getLogger(__name__)

_OBSERVERS = 4
_QUEUED_LOOKS = 32  # handed over at once: what comes up meanwhile waits no longer
_TROUBLE_WAIT = 5.0  # seconds until a migration whose pool did not answer is looked at again
_MOST_REPEATS = 3  # times that an act may go well and be decided on again
_ABANDONED = 120.0  # seconds after which an act of somebody else counts as cut off for good
_USED_AGAIN = 30.0  # seconds between two looks whether its images are still open somewhere
_SOAK_STEP = 60.0  # seconds of a soak time that are counted at once, at least

_PLAIN_RBD = (
    "Another client runs plain `rbd migration` on it, or was interrupted; it waits for that."
)

_Look = tuple[TrackedMigration, Callable[[TrackedMigration], None]]


class Reconciler:
    """Look at what the loop hands them. ``wake`` tells it that a migration is free again.

    ``in_use`` tells whether the client that began a half-done act may still work on it, since it
    has the images open; it raises MigrationError when it cannot tell.
    """

    def __init__(
        self,
        *,
        client: rados.Rados,
        registry: Registry,
        executor: Executor,
        secrets: Secrets,
        on_fenced: Callable[[str], None],
        wake: Callable[[], None],
        settings: Callable[[], Settings],
        in_use: Callable[[Migration, Situation], bool],
    ) -> None:
        self._settings = settings
        self._in_use = in_use
        self._client = client
        self._registry = registry
        self._executor = executor
        self._secrets = secrets
        self._on_fenced = on_fenced
        self._wake = wake
        self._stopping = threading.Event()
        self._looks: queue.Queue[Optional[_Look]] = queue.Queue()
        self.crashed = ""
        self.threads = [
            threading.Thread(target=self._run, name=f"rbdmigrate-observer-{n}", daemon=True)
            for n in range(_OBSERVERS)
        ]

    def stop(self) -> None:
        """Have the threads end; they are waited for by whoever started them."""
        self._stopping.set()
        for _ in self.threads:
            self._looks.put(None)

    # -- called by the loop ------------------------------------------------------------------

    def room(self) -> int:
        """How many more looks they take now."""
        return max(0, _QUEUED_LOOKS - self._looks.qsize())

    def look(self, tracked: TrackedMigration) -> None:
        """Have somebody look at a migration, which is theirs until then."""
        tracked.looking = True
        self._looks.put((tracked, self._observe))

    def look_at_copy(self, tracked: TrackedMigration) -> None:
        """Have somebody look at a running copy from outside."""
        tracked.looking_at_copy = True
        self._looks.put((tracked, self._look_at_copy))

    # -- the observers' threads --------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            item = self._looks.get()
            if item is None:
                return
            tracked, look = item
            look(tracked)

    def _look_at_copy(self, tracked: TrackedMigration) -> None:
        """Look at a running copy; that it cannot be seen right now does not matter to it."""
        try:
            self._executor.look_at_copy(tracked)
            tracked.troubled = False
        except StoreFenced as error:
            self._on_fenced(str(error))
        except (rados.Error, MigrationError) as error:
            tracked.troubled = True
            tracked.copy_look_due = time.monotonic() + _TROUBLE_WAIT
            log.debug("%s: the copy cannot be looked at: %s", tracked.migration.id, error)
        except Exception as error:
            self.crashed = f"{tracked.migration.id}: {type(error).__name__}: {error}"
            log.exception("%s: an error in the module", tracked.migration.id)
        finally:
            tracked.looking_at_copy = False

    def _observe(self, tracked: TrackedMigration) -> None:
        self.guarded(tracked, self._look_and_tell)

    def look_now(self, tracked: TrackedMigration, again: float) -> None:
        """Look at a migration that the calling thread has, instead of in the next round.

        It is due ``again`` at that time (monotonic). Raises what RADOS and the store raise.
        """
        tracked.due, tracked.wanted = again, None  # before the look, as in the loop
        tracked.looking = True
        self._look_and_tell(tracked)

    def _look_and_tell(self, tracked: TrackedMigration) -> None:
        try:
            with span("look", tracked.migration.id):
                self._look(tracked)
        finally:
            tracked.looking = False

    def guarded(
        self, tracked: TrackedMigration, function: Callable[[TrackedMigration], None]
    ) -> None:
        """Run ``function`` on a busy migration, which is looked at again whatever happens."""
        try:
            function(tracked)
        except StoreFenced as error:
            self._on_fenced(str(error))
        except (rados.Error, MigrationError) as error:
            if isinstance(error, rados.ConnectionShutdown):
                self._on_fenced("our RADOS client was blocklisted")
            tracked.note = f"The cluster does not answer: {error}; tried again by itself."
            tracked.troubled = True
            _rest(tracked)
            log.warning("%s: %s", tracked.migration.id, error)
        except Exception as error:
            self.crashed = f"{tracked.migration.id}: {type(error).__name__}: {error}"
            tracked.note = "An error in the module; see the manager's log."
            _rest(tracked)
            log.exception("%s: an error in the module", tracked.migration.id)
        finally:
            self._registry.release(tracked)
            self._wake()

    def _look(self, tracked: TrackedMigration) -> None:
        """Observe a migration, bring its record up to date, decide."""
        self._executor.recover(tracked)
        if tracked.migration.state.ended:
            self._end(tracked)  # we were cut off between the two writes of an end
            return
        tracked.note = ""
        now = time.time()
        with span("observe", tracked.migration.id):
            seen = observe(self._client, tracked.migration)
        situation = diagnose(tracked.migration, seen)
        cap = self._settings().retry_cap
        migration = self._registry.update(
            tracked, lambda m: with_observation(bounded_wait(m, now, cap), situation, seen, now)
        )
        migration = self._soak(tracked, migration)
        tracked.seen = (time.monotonic(), situation)
        tracked.troubled = False
        tracked.abandoned = self._abandoned(tracked, situation)
        decided = decide(migration, situation, now, abandoned=tracked.abandoned)
        _look_again_in_time(tracked, migration, now)
        decision = _unless_without_effect(tracked, decided)
        if isinstance(decision, RunAct):
            tracked.wanted = decision.act
            tracked.wanted_since = time.monotonic()
        elif isinstance(decision, (End, Fail)):
            verdict = decision
            change = while_decided(
                decided,
                situation,
                now,
                lambda m: _concluded(m, verdict, now),
                abandoned=tracked.abandoned,
            )
            try:
                self._registry.update(tracked, change)
            except Outdated:  # a request was accepted meanwhile, and has asked for another look
                return
            if isinstance(verdict, End):
                self._end(tracked)
        elif names_message := names_changed(migration, situation, seen):
            tracked.note = names_message
            look_again(tracked, _TROUBLE_WAIT)
        elif situation in HALF_DONE and not is_ours(migration, situation):
            tracked.note = _PLAIN_RBD
            look_again(tracked, _TROUBLE_WAIT)

    def _end(self, tracked: TrackedMigration) -> None:
        """It is over: its secrets go first, while the record still names them."""
        self._secrets.forget(tracked.migration)
        self._registry.end(tracked)

    def _abandoned(self, tracked: TrackedMigration, situation: Situation) -> bool:
        """Whether a half-done act of somebody else was left for good."""
        now = time.monotonic()
        if situation not in HALF_DONE:
            tracked.half_since = 0.0
            return False
        tracked.half_since = tracked.half_since or now
        if now - tracked.half_since <= _ABANDONED:
            return False
        if is_ours(tracked.migration, situation) or not self._in_use(tracked.migration, situation):
            return True
        tracked.half_since = now - _ABANDONED + _USED_AGAIN
        return False

    def _soak(self, tracked: TrackedMigration, m: Migration) -> Migration:
        """Count the soak time that passes while this process looks on, now and then in the record.

        What was not written when the manager is lost is waited for again: a fiftieth of the time.
        """
        now, since = time.monotonic(), soak_began(m)
        mark, tracked.soak_mark = tracked.soak_mark, None
        if since is None:
            return m
        if mark is None or mark[0] != since:
            tracked.soak_mark = (since, now)
            return m
        left, passed = soak_left(m), now - mark[1]
        if not left or passed < min(left, max(_SOAK_STEP, m.soak / 50)):
            tracked.soak_mark = mark
            look_again(tracked, max(0.0, left - passed))
            return m
        tracked.soak_mark = (since, now)
        return self._registry.update(tracked, lambda m: with_soaked(m, passed))


def _look_again_in_time(tracked: TrackedMigration, m: Migration, now: float) -> None:
    """Have it looked at when a hold, its soak time or the time until its next round is over."""
    hold = m.hold
    if hold is not None and hold.until is not None and hold.until > now:
        look_again(tracked, hold.until - now)
    soak = soak_ends(m, now)
    if soak is not None:
        look_again(tracked, soak - now)
    for refresh in (refresh_at(m), reverse_at(m)):
        if refresh is not None and refresh > now:
            look_again(tracked, refresh - now)


def _unless_without_effect(tracked: TrackedMigration, decision: Decision) -> Decision:
    """The decision, or a failure: an act that goes well again and again does not help."""
    if not isinstance(decision, RunAct):
        tracked.repeats_end()  # it was enough
        return decision
    refresh = is_refresh_round(tracked.migration, decision.act)
    if refresh or tracked.repeated(decision.act) < _MOST_REPEATS:
        return decision
    tracked.repeats_end()  # a retry is counted from the beginning
    return Fail(
        ELOOP,
        f"{decision.act.value} succeeded several times without effect; look at the manager's log "
        "and at both images.",
    )


def _concluded(m: Migration, verdict: Union[End, Fail], now: float) -> Migration:
    if isinstance(verdict, End):
        return m.enter(verdict.state, now, verdict.message)
    return failed(m, verdict.errno, verdict.message, now)


def _rest(tracked: TrackedMigration) -> None:
    """Begin nothing after an error, and look at the migration in a while, or when it is wanted."""
    tracked.wanted = None
    if tracked.due >= 0:  # else somebody asked for a look meanwhile
        tracked.due = time.monotonic() + _TROUBLE_WAIT


def look_again(tracked: TrackedMigration, seconds: float) -> None:
    """Look at a migration in so many seconds, or sooner if that was wanted already."""
    tracked.due = min(tracked.due, time.monotonic() + seconds)
