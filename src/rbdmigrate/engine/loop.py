"""The loop: looks at migrations, decides, and gives the acts to slots within the limits."""

from __future__ import annotations

import heapq
import logging
import queue
import threading
import time
from collections.abc import Callable
from errno import ELOOP
from typing import Optional

import rados

from ..cluster.client import Identity
from ..cluster.observe import observe
from ..control.lifecycle import Act, End, Fail, absorb, decide, failed, is_ours
from ..control.schedule import COMPARING, COPYING, PACED, Limits, Running, Waiting, choose, places
from ..control.situation import HALF_DONE, Situation, diagnose
from ..control.verification import soaks_until
from ..model.errors import MigrationError
from ..model.migration import Migration, Op
from .acts import Acts, source_key
from .conditions import Conditions
from .holder import copies_on
from .holding import Holding
from .loading import Loader
from .registry import Registry, StoreFenced, Tracked
from .secrets import Secrets
from .settings import Settings
from .slots import Job, Slot
from .source_watch import SourceWatch
from .throttle import Throttle

log = logging.getLogger(__name__)

TICK = 1.0  # seconds between two rounds when nothing wakes the loop
_OBSERVERS = 4
_QUEUED_LOOKS = 32  # handed to the observers at once: what comes up meanwhile waits no longer
_LOOKS_AT_REST = 20.0  # looks a second at migrations at rest, however many there are
_IDLE = 2.0  # times as long as a round took the loop rests after it
_TROUBLED_LOOKS = 2  # of these at most so many wait for pools that did not answer lately
_TROUBLE_WAIT = 5.0  # seconds until a migration whose pool did not answer is looked at again
_IN_VAIN = 3  # times that an act may go well and be decided on again
_PEEK = 2.0  # seconds between two looks at a running copy from outside
_ABANDONED = 120.0  # seconds after which an act of somebody else counts as cut off for good
_RELOAD = 15.0  # seconds between two attempts to read stores that did not answer

_URGENT = -1.0  # due before all others
_RESTING = "Its source failed to answer several times; one migration at a time tries it again."

_Look = tuple[Tracked, Optional[Callable[[Tracked], None]]]


class Loop:
    """The engine's threads: the loop itself, the observers and the slots."""

    def __init__(
        self,
        client: rados.Rados,
        identity: Identity,
        registry: Registry,
        loader: Loader,
        acts: Acts,
        throttle: Throttle,
        conditions: Conditions,
        secrets: Secrets,
        settings: Callable[[], Settings],
        on_fenced: Callable[[str], None],
    ) -> None:
        self._client = client
        self._identity = identity
        self._registry = registry
        self._loader = loader
        self._acts = acts
        self._throttle = throttle
        self._conditions = conditions
        self._holding = Holding(settings, throttle, conditions)
        self._watch = SourceWatch(settings)
        self._secrets = secrets
        self._settings = settings
        self._on_fenced = on_fenced
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._looks: queue.Queue[Optional[_Look]] = queue.Queue()
        self._slots: dict[str, list[Slot]] = {"copy": [], "step": [], "verify": []}
        self._reload_at = 0.0
        self.crashed = ""
        self._threads = [threading.Thread(target=self._run, name="rbdmigrate-loop", daemon=True)]
        self._threads += [
            threading.Thread(target=self._observe, name=f"rbdmigrate-observer-{n}", daemon=True)
            for n in range(_OBSERVERS)
        ]

    def start(self) -> None:
        """Start all threads."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float) -> bool:
        """Kill the workers and end all threads; False when one is still there after ``timeout``."""
        self._stopping.set()
        self._wake.set()
        deadline = time.monotonic() + timeout
        slots = [slot for slots in self._slots.values() for slot in slots]
        for slot in slots:
            slot.stop()
        for _ in range(_OBSERVERS):
            self._looks.put(None)
        ended = [slot.join(max(0.1, deadline - time.monotonic())) for slot in slots]
        for thread in self._threads:
            if thread.ident is None:
                continue  # never started
            thread.join(max(0.1, deadline - time.monotonic()))
            ended.append(not thread.is_alive())
        return all(ended)

    def wake(self, tracked: Optional[Tracked] = None) -> None:
        """Look at once: at ``tracked``, or for a place that became free."""
        if tracked is not None:
            tracked.due = _URGENT
            tracked.wanted = None  # what it waits for a slot with may be wanted no more
        self._wake.set()

    def interrupt(self, tracked: Tracked, reason: str) -> bool:
        """Stop the copy or verification of ``tracked`` by killing its worker; False without one.

        Other acts are short and left to end.
        """
        for slot in self._paced():
            job = slot.job
            if job is not None and job.tracked is tracked:
                slot.interrupt(job, reason)
                return True
        return False

    def problems(self) -> list[str]:
        """Threads of ours that ended and must not have."""
        found = [self.crashed] if self.crashed else []
        if not self._stopping.is_set():
            found += [f"{t.name} ended" for t in self._threads if not t.is_alive()]
        for slots in self._slots.values():
            found += [f"slot {slot.name} ended: {slot.crashed}" for slot in slots if slot.crashed]
        return found

    # -- the loop's thread -------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            begun = time.monotonic()
            try:
                self._round()
            except StoreFenced as error:
                self._on_fenced(str(error))
                return
            except (rados.Error, MigrationError) as error:
                log.warning("the cluster does not answer: %s", error)
            except Exception as error:
                self.crashed = f"the loop failed: {type(error).__name__}: {error}"
                log.exception("the loop failed; it goes on")
            # With thousands of migrations a round takes long: the manager has other things to do.
            self._stopping.wait(min(TICK, _IDLE * (time.monotonic() - begun)))
            self._wake.wait(TICK)

    def _round(self) -> None:
        now = time.monotonic()
        if now >= self._reload_at:
            self._reload_at = now + _RELOAD
            self._loader.look()
            if not self._loader.unread():
                self._secrets.sweep(lambda: {t.migration.id for t in self._registry.all()})
        self._acts.blocklist.clean(self._client)
        settings = self._settings()
        waiting: dict[str, tuple[Tracked, Op]] = {}
        due: list[Tracked] = []
        every = self._registry.all()
        for tracked in every:
            if tracked.busy:
                if tracked.migration.step is not None and tracked.peek_due <= now:
                    tracked.peek_due = now + _PEEK
                    self._looks.put((tracked, self._acts.peek))
                continue
            if tracked.wanted is not None:
                waiting[tracked.migration.id] = (tracked, tracked.wanted)
            elif tracked.due <= now:
                due.append(tracked)
        troubled = sum(t.busy and t.troubled for t in every)
        due = _without_trouble(due, _TROUBLED_LOOKS - troubled)
        self._look_at(due, now + max(settings.recheck, len(every) / _LOOKS_AT_REST))
        self._watch.look(slot for slots in self._slots.values() for slot in slots)
        self._pace()
        self._assign(waiting)
        log.debug(
            "a round: %d migrations, %d due, %d waiting, %.1f ms",
            len(every),
            len(due),
            len(waiting),
            1000 * (time.monotonic() - now),
        )

    def _look_at(self, due: list[Tracked], again: float) -> None:
        """Hand the most urgent of ``due`` to the observers; they are due ``again`` at that time."""
        room = max(0, _QUEUED_LOOKS - self._looks.qsize())
        for tracked in heapq.nsmallest(room, due, key=_urgency):
            # Before the look: whoever wants another look meanwhile is not overruled.
            tracked.due = again
            tracked.busy = True
            self._looks.put((tracked, None))

    def _pace(self) -> None:
        """Tell every running copy its rate; stop those that are to stand still."""
        copies = [(slot, slot.job) for slot in self._paced() if slot.job is not None]
        rates = self._throttle.share(job.tracked for _, job in copies if job is not None)
        guard = self._conditions.guard_message()
        for slot, job in copies:
            if job is None:
                continue
            tracked = job.tracked
            m = tracked.migration
            held = self._holding.hold(m, begins=False)
            if tracked.copied_by:  # it goes on whatever we do: stay with it
                stays = held is not None or m.paused
                slow = [copies_on(tracked.copied_by, tracked)] if stays else []
            elif held is not None or m.paused:
                tracked.held = held
                slot.interrupt(job, held.message if held else "paused")
                continue
            else:
                slow = list(self._conditions.verdict(m).messages)
            tracked.slowed = (*slow, guard) if guard else tuple(slow)
            rate = rates[tracked.migration.id]
            if rate != tracked.rate_limit:
                tracked.rate_limit = rate
                slot.set_rate(rate)

    def _assign(self, waiting: dict[str, tuple[Tracked, Op]]) -> None:
        jobs = [slot.job for slots in self._slots.values() for slot in slots]
        settings = self._settings()
        trying = {source_key(job.tracked.migration) for job in jobs if job is not None}
        running = [_running(job) for job in jobs if job is not None]
        limits = Limits(
            settings.max_copies,
            settings.max_steps,
            settings.per_source_pool,
            settings.per_target_pool,
            settings.max_verifies,
            settings.per_source_host,
        )
        free = places(running, limits)  # thousands may wait: only those that have a chance count
        able = []
        for tracked, op in waiting.values():
            rests = self._acts.source_rests(tracked.migration, op, trying)
            tracked.note = _RESTING if rests else ""
            copies = op in PACED
            tracked.held = self._holding.hold(tracked.migration, begins=True) if copies else None
            if not rests and tracked.held is None and free.any_for(op):
                able.append(_waiting(tracked.migration, op))
        for item in choose(able, running, limits):
            tracked, op = waiting[item.ident]
            tracked.busy = True
            tracked.wanted = None
            job = Job(tracked, op)
            kind = "copy" if op in COPYING else "verify" if op in COMPARING else "step"
            if not any(slot.assign(job) for slot in self._slots[kind]):
                self._new_slot(kind).assign(job)

    def _paced(self) -> list[Slot]:  # the throttle holds for them, and they can be interrupted
        return [*self._slots["copy"], *self._slots["verify"]]

    def _new_slot(self, kind: str) -> Slot:
        slots = self._slots[kind]
        slot = Slot(f"{kind}-{len(slots)}", self._identity, self._work, self._wake.set)
        slots.append(slot)
        return slot

    # -- the observers' threads --------------------------------------------------------------

    def _observe(self) -> None:
        while not self._stopping.is_set():
            item = self._looks.get()
            if item is None:
                return
            tracked, peek = item
            if peek is None:
                self._guarded(tracked, self._look)
            else:
                self._peek(tracked, peek)

    def _peek(self, tracked: Tracked, peek: Callable[[Tracked], None]) -> None:
        """Look at a running copy; that it cannot be seen right now does not matter to it."""
        try:
            peek(tracked)
        except StoreFenced as error:
            self._on_fenced(str(error))
        except (rados.Error, MigrationError) as error:
            log.debug("%s: the copy cannot be looked at: %s", tracked.migration.id, error)
        except Exception as error:
            self.crashed = f"{tracked.migration.id}: {type(error).__name__}: {error}"
            log.exception("%s: an error in the module", tracked.migration.id)

    def _work(self, slot: Slot, job: Job) -> None:
        """What a slot does with its job, in the slot's thread."""
        _look_again(job.tracked, 0.0)
        self._guarded(job.tracked, lambda tracked: self._acts.work(slot, job))

    def _guarded(self, tracked: Tracked, act: Callable[[Tracked], None]) -> None:
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
            _look_again(tracked, _TROUBLE_WAIT)
            log.warning("%s: %s", tracked.migration.id, error)
        except Exception as error:
            self.crashed = f"{tracked.migration.id}: {type(error).__name__}: {error}"
            tracked.note = "An error in the module; see the manager's log."
            _look_again(tracked, _TROUBLE_WAIT)
            log.exception("%s: an error in the module", tracked.migration.id)
        finally:
            tracked.busy = False
            with self._registry.changed:
                self._registry.changed.notify_all()
            self._wake.set()

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
            _look_again(tracked, hold.until - now)
        soak = soaks_until(migration)
        if soak is not None and soak > now:
            _look_again(tracked, soak - now)
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
            _look_again(tracked, _TROUBLE_WAIT)

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


def _without_trouble(due: list[Tracked], room: int) -> list[Tracked]:
    """Pools that do not answer must not keep all observers waiting: only ``room`` of theirs."""
    troubled = heapq.nsmallest(max(0, room), (t for t in due if t.troubled), key=_urgency)
    return [t for t in due if not t.troubled] + troubled


def _urgency(tracked: Tracked) -> tuple[bool, bool, float]:
    """Those that somebody waits for, then those whose act was cut off, then the longest due."""
    return tracked.due >= 0, tracked.migration.step is None, tracked.due


def _waiting(migration: Migration, op: Op) -> Waiting:
    return Waiting(
        migration.id,
        op,
        migration.priority,
        migration.created,
        migration.source.pool,
        migration.target.pool,
        _host(migration),
    )


def _running(job: Job) -> Running:
    migration = job.tracked.migration
    return Running(job.op, migration.source.pool, migration.target.pool, _host(migration))


def _host(migration: Migration) -> str:
    return migration.imported.host if migration.imported is not None else ""


def _look_again(tracked: Tracked, seconds: float) -> None:
    """Look at a migration in so many seconds, or sooner if that was wanted already."""
    tracked.due = min(tracked.due, time.monotonic() + seconds)
