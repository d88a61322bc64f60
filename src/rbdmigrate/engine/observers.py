"""The observers: look at a migration each, bring its record up to date, and decide what is next."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from errno import ELOOP
from typing import Optional

import rados

from ..cluster.observe import observe
from ..control.lifecycle import Act, End, Fail, absorb, decide, failed, is_ours
from ..control.situation import HALF_DONE, Situation, diagnose
from ..control.verification import soaks_until
from ..model.errors import MigrationError
from ..model.migration import Op
from .acts import Acts
from .registry import Registry, StoreFenced, Tracked
from .secrets import Secrets

log = logging.getLogger(__name__)

_OBSERVERS = 4
_QUEUED_LOOKS = 32  # handed over at once: what comes up meanwhile waits no longer
_TROUBLE_WAIT = 5.0  # seconds until a migration whose pool did not answer is looked at again
_IN_VAIN = 3  # times that an act may go well and be decided on again
_ABANDONED = 120.0  # seconds after which an act of somebody else counts as cut off for good

_Look = tuple[Tracked, Callable[[Tracked], None]]


class Observers:
    """Look at what the loop hands them. ``wake`` tells it that a migration is free again."""

    def __init__(
        self,
        client: rados.Rados,
        registry: Registry,
        acts: Acts,
        secrets: Secrets,
        on_fenced: Callable[[str], None],
        wake: Callable[[], None],
    ) -> None:
        self._client = client
        self._registry = registry
        self._acts = acts
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

    def look(self, tracked: Tracked) -> None:
        """Have somebody look at a migration, which is theirs until then."""
        tracked.looking = True
        self._looks.put((tracked, self._observe))

    def peek(self, tracked: Tracked) -> None:
        """Have somebody look at a running copy from outside."""
        tracked.peeking = True
        self._looks.put((tracked, self._peek))

    # -- the observers' threads --------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            item = self._looks.get()
            if item is None:
                return
            tracked, look = item
            look(tracked)

    def _peek(self, tracked: Tracked) -> None:
        """Look at a running copy; that it cannot be seen right now does not matter to it."""
        try:
            self._acts.peek(tracked)
            tracked.troubled = False
        except StoreFenced as error:
            self._on_fenced(str(error))
        except (rados.Error, MigrationError) as error:
            tracked.troubled = True
            tracked.peek_due = time.monotonic() + _TROUBLE_WAIT
            log.debug("%s: the copy cannot be looked at: %s", tracked.migration.id, error)
        except Exception as error:
            self.crashed = f"{tracked.migration.id}: {type(error).__name__}: {error}"
            log.exception("%s: an error in the module", tracked.migration.id)
        finally:
            tracked.peeking = False

    def _observe(self, tracked: Tracked) -> None:
        def look(tracked: Tracked) -> None:
            try:
                self._look(tracked)
            finally:
                tracked.looking = False

        self.guarded(tracked, look)

    def guarded(self, tracked: Tracked, act: Callable[[Tracked], None]) -> None:
        """Run ``act`` on a busy migration; whatever happens the migration is looked at again."""
        try:
            act(tracked)
        except StoreFenced as error:
            self._on_fenced(str(error))
        except (rados.Error, MigrationError) as error:
            if isinstance(error, rados.ConnectionShutdown):
                self._on_fenced("our RADOS client was blocklisted")
            tracked.note = f"The cluster does not answer: {error}; tried again by itself."
            tracked.troubled = True
            look_again(tracked, _TROUBLE_WAIT)
            log.warning("%s: %s", tracked.migration.id, error)
        except Exception as error:
            self.crashed = f"{tracked.migration.id}: {type(error).__name__}: {error}"
            tracked.note = "An error in the module; see the manager's log."
            look_again(tracked, _TROUBLE_WAIT)
            log.exception("%s: an error in the module", tracked.migration.id)
        finally:
            self._registry.release(tracked)
            self._wake()

    def _look(self, tracked: Tracked) -> None:
        """Observe a migration, bring its record up to date, decide."""
        self._acts.recover(tracked)
        if tracked.migration.state.ended:
            self._end(tracked)  # we were cut off between the two writes of an end
            return
        tracked.note = ""
        now = time.time()
        seen = observe(self._client, tracked.migration)
        situation = diagnose(tracked.migration, seen)
        migration = self._registry.update(tracked, lambda m: absorb(m, situation, seen, now))
        tracked.seen = (time.monotonic(), situation)
        tracked.troubled = False
        tracked.abandoned = self._abandoned(tracked, situation)
        decision = decide(migration, situation, now, abandoned=tracked.abandoned)
        hold = migration.hold
        if hold is not None and hold.until is not None and hold.until > now:
            look_again(tracked, hold.until - now)
        soak = soaks_until(migration)
        if soak is not None and soak > now:
            look_again(tracked, soak - now)
        if isinstance(decision, Act) and self._in_vain(tracked, decision.op):
            decision = Fail(
                ELOOP,
                f"{decision.op.value} went well several times and changed nothing; look at the "
                "manager's log and at both images.",
            )
        if isinstance(decision, Act):
            tracked.wanted = decision.op
            tracked.wanted_since = time.monotonic()
        elif isinstance(decision, End):
            end = decision
            self._registry.update(tracked, lambda m: m.enter(end.state, now, end.message))
            self._end(tracked)
        elif isinstance(decision, Fail):
            fail = decision
            self._registry.update(tracked, lambda m: failed(m, fail.errno, fail.message, now))
        elif situation in HALF_DONE and not is_ours(migration, situation):
            tracked.note = "Another client is at it with plain `rbd migration`, or was; watching."
            look_again(tracked, _TROUBLE_WAIT)

    def _end(self, tracked: Tracked) -> None:
        """It is over: its secrets go first, while the record still names them."""
        self._secrets.forget(tracked.migration)
        self._registry.end(tracked)

    def _in_vain(self, tracked: Tracked, op: Op) -> bool:
        """Whether the same act is decided on again and again although it goes well."""
        tracked.repeats = tracked.repeats + 1 if tracked.done_op is op else 0
        return tracked.repeats >= _IN_VAIN

    def _abandoned(self, tracked: Tracked, situation: Situation) -> bool:
        """Whether a half-done act of somebody else was left for good."""
        now = time.monotonic()
        if situation not in HALF_DONE:
            tracked.half_since = 0.0
            return False
        tracked.half_since = tracked.half_since or now
        return now - tracked.half_since > _ABANDONED


def look_again(tracked: Tracked, seconds: float) -> None:
    """Look at a migration in so many seconds, or sooner if that was wanted already."""
    tracked.due = min(tracked.due, time.monotonic() + seconds)
