"""What a slot does with a job: confirm, write the intent, act, write what came of it."""

from __future__ import annotations

import logging
import random
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from errno import E2BIG, EAGAIN, EBUSY, EIO, ENOMEM, ESTALE, ETIMEDOUT
from typing import Any, Optional

import rados

from ...cluster import headers, surgery
from ...cluster.fence import Blocklist
from ...cluster.observe import ends_of, observe
from ...cluster.pools import open_by_id
from ...cluster.processes import identity_of
from ...cluster.worker_process import JobTooLong, WorkerLost
from ...control.lifecycle.abort_guard import guard_abort_again
from ...control.lifecycle.aborting import abort_refused, copied_by_us_alone
from ...control.lifecycle.circuit_breaker import CircuitBreaker
from ...control.lifecycle.confirm import Outdated, while_decided
from ...control.lifecycle.crashes import after_crash, after_success
from ...control.lifecycle.decision import Act, absorb, decide, failed, retry_later
from ...control.lifecycle.failures import (
    FailureReason,
    backoff,
    not_started,
)
from ...control.lifecycle.processes import is_gone
from ...control.lifecycle.schedule import READING
from ...control.lifecycle.situation import Situation, diagnose
from ...control.objects.copy_cost import Throughput
from ...control.objects.trimming import waiting
from ...model.codec import from_plain
from ...model.errors import MigrationError, PoolMissing
from ...model.migration import Actor, Migration, Op, Place, State
from ...model.untrimmed import Untrimmed
from ..pace.lock_owner import LockOwnerPace, holds_lock
from ..pace.plan_limits import PlanPace
from ..pace.throttle import Throttle
from ..records.registry import Registry, TrackedMigration
from ..settings import Settings
from . import clones
from .abort_guard import GUARDED, blind, find_target
from .act_records import with_bytes, with_change, with_intent, with_target
from .post_copy import PostCopy, arguments
from .verification import on_checkpoint, settled, verify_arguments
from .worker_events import explained, lost_reason, on_progress, on_sign_of_life
from .worker_slot import Job, Slot

log = logging.getLogger(__name__)

_FRESH = 1.0  # seconds for which a look counts
_QUICK_RETRIES = 3  # attempts without a wait after an act that met a changed image
_CHECKED = frozenset({Op.PREPARE, Op.EXECUTE, Op.COMMIT})  # librbd looks at the state itself


class Executor:
    """Acts on migrations. Its methods run in slot threads and observers."""

    def __init__(
        self,
        client: rados.Rados,
        registry: Registry,
        manager: str,
        settings: Callable[[], Settings],
        throttle: Throttle,
        plans: PlanPace,
    ) -> None:
        self._throttle = throttle
        self._plans = plans
        self._client = client
        self._registry = registry
        self._manager = manager
        self._host = socket.gethostname()
        self._settings = settings
        self._chance = random.Random()
        self.blocklist = Blocklist()
        self._holder = LockOwnerPace(client, registry)
        self._after_copy = PostCopy(client, registry, settings, self.blocklist)
        self._breaker = CircuitBreaker()
        self._breaker_lock = threading.Lock()

    def work(self, slot: Slot, job: Job) -> None:
        """Do ``job``; its failures are recorded. Raises what RADOS and the store raise."""
        tracked = job.tracked
        try:
            worker = slot.worker(job)
        except WorkerLost as error:
            if not job.stop_reason:
                problem = not_started(job.op, str(error), _target(tracked))
                self._failed(tracked, EAGAIN, problem, by_source=False)
            return
        situation = self._still_wanted(tracked, job.op)
        if situation is None:
            return
        refusal = clones.look_before(self._client, tracked.migration, job.op)
        if refusal is not None:
            problem = FailureReason(str(refusal), refusal.errno == EAGAIN)
            self._failed(tracked, refusal.errno, problem)
            return
        try:
            guarded = self._guard_abort(tracked, job.op, worker.clients)
        except MigrationError as unsafe:
            self._abort_refused(tracked, unsafe.errno, str(unsafe))
            return
        actor = Actor(
            self._manager,
            self._host,
            worker.pid,
            worker.addresses,
            worker.clients,
            worker.process_identity,
        )
        touched = self._touched(tracked.migration)
        fraction = self._settings().verify_fraction
        if job.op is not Op.SETTLE:  # what was shown of the copy before it stays shown
            tracked.done = tracked.total = tracked.compared = 0
            tracked.throughput = Throughput()
            tracked.uncontrolled, tracked.take_lock = "", False
        tracked.lock_shared = False
        tracked.rate_limit = self._throttle.first_rate(tracked)
        ops = self._holder.begin(tracked, worker.clients) if job.op is Op.EXECUTE else None

        def intent(m: Migration) -> Migration:
            if self._plans.hold(m, job.op) is not None:
                raise Outdated(f"the plan {m.plan} was paused or cancelled")
            return replace(with_intent(m, job.op, actor, touched, fraction), holder_ops=ops)

        wanted, abandoned = Act(job.op), tracked.abandoned
        try:
            self._registry.update(
                tracked, while_decided(wanted, situation, time.time(), intent, abandoned=abandoned)
            )
        except Outdated:  # a request was accepted meanwhile: the next look decides about it
            return
        tracked.moved_at = time.monotonic()
        message = {
            "job": job.number,
            "op": job.op.value,
            "args": {
                **arguments(tracked.migration, self._settings().reach),
                **verify_arguments(tracked.migration),
                "rate": tracked.rate_limit,
                "trust_maps": self._settings().verify_trust_maps,
                "around": None,
                "holder_ops": ops,
                "fenced": self.blocklist.fenced(),
                "guarded": guarded,
                "blind": blind(tracked.migration),
            },
        }
        try:
            event = worker.run(message, self._listener(tracked, job.op))
        except WorkerLost as error:
            self._interrupted(slot, job, actor, error)
        except JobTooLong as error:
            self._failed(tracked, E2BIG, FailureReason(error.message, False), by_source=False)
        else:
            if event["event"] != "done" and event["cause"] == "librbd":
                slot.discard_worker()  # its client may be the cause: the next act starts anew
                if job.op is Op.EXECUTE:
                    self._after_copy.settle(slot, tracked)
            self._answered(tracked, job.op, event)
        finally:
            tracked.copied_by = ""

    def _interrupted(self, slot: Slot, job: Job, actor: Actor, error: WorkerLost) -> None:
        """The worker is gone in the middle of its job, killed by us or not."""
        tracked = job.tracked
        slot.discard_worker()
        version = self._fence(tracked.migration, actor, reaped=True)
        if job.op is Op.EXECUTE:
            self._copy_cut_off(tracked, version)
            self._after_copy.settle(slot, tracked)
        self._holder.restore(tracked)
        if error.gave_up:
            self._registry.update(tracked, lambda m: with_change(m, str(error)))
        if not job.stop_reason:
            reason = lost_reason(job, error)
            self._registry.update(tracked, lambda m: after_crash(m, job.op, error.signal))
            self._failed(tracked, EIO, reason, by_source=False)
            return
        if job.op is Op.EXECUTE and not slot.stopping:
            self._after_copy.stop_holder(slot, tracked)
        if job.failure is not None:
            self._failed(tracked, ETIMEDOUT if job.failure.transient else ENOMEM, job.failure)
        self._registry.update(tracked, lambda m: replace(m, step=None))

    def _copy_cut_off(self, tracked: TrackedMigration, version: Optional[int]) -> None:
        """What is known of the target's header after a copy that was cut off.

        ``version`` is that of the write that took the lock from the copy's worker; None where
        that did not hold it. Nobody else had the lock until then, unless the copy was seen to begin
        again. What a client does from then on makes the version another one.
        """

        def change(m: Migration) -> Migration:
            m = with_bytes(m, tracked)
            if tracked.lock_shared:
                return replace(m, touched=True)
            return m if version is None else copied_by_us_alone(m, version)

        self._registry.update(tracked, change)

    def _listener(self, tracked: TrackedMigration, op: Op) -> Callable[[dict[str, Any]], None]:
        if op is Op.VERIFY:
            return on_checkpoint(self._registry, tracked)
        if op is Op.SETTLE:
            return on_sign_of_life(tracked)
        return on_progress(tracked)

    def _answered(self, tracked: TrackedMigration, op: Op, event: dict[str, Any]) -> None:
        """The worker did its job, or says why not."""
        self._holder.restore(tracked)
        if event["event"] != "done":
            if op is Op.ABORT and event["cause"] == "refused" and event["errno"] == EBUSY:
                self._abort_refused(tracked, EBUSY, str(event["message"]))
                return
            problem = explained(op, event, tracked)
            if op in (Op.DROP_POINT, Op.SETTLE):  # nothing else may be done before
                problem = replace(problem, transient=True)
            self._failed(tracked, int(event["errno"]), problem)
            return

        waits_for = event["result"].get("untrimmed")
        if waits_for is not None:
            found = from_plain(Untrimmed, waits_for, "untrimmed")
            self._registry.update(tracked, lambda m: waiting(m, found, time.time()))
            log.warning("%s: %s", tracked.migration.id, found.reason)
            return

        def change(m: Migration) -> Migration:
            if op is Op.SETTLE:  # the attempts to copy are counted on
                return replace(m, step=None, settled=True)
            m = replace(m, step=None, hold=None, failure=None, attempts=0)
            m = after_success(m, op)
            if op is Op.PREPARE:
                m = m.enter(State.PREPARED, time.time())
                m = with_target(m, event["result"])
                why_not = event["result"]["no_point"]
                m = replace(m, no_point=why_not, point="" if why_not else m.point)
            if op is Op.VERIFY:
                m = settled(m, event["result"], time.time())
            if op is Op.DROP_POINT:
                m = replace(m, point="")
            if op is Op.EXECUTE:
                version = event["result"]["version"]
                m = replace(m, copy_checked=True)
                if event["result"]["alone"]:
                    m = copied_by_us_alone(m, version)
                else:
                    m = replace(m, target_version=version, touched=True)
            if "bytes_total" in event["result"]:
                tracked.copied = tracked.size = int(event["result"]["bytes_total"])
                m = with_bytes(m, tracked)
            if m.imported is not None and "changes" in event["result"]:
                m = replace(m, imported=m.imported.changed(map(str, event["result"]["changes"])))
            return m

        self._registry.update(tracked, change)
        tracked.done_op = op
        with self._breaker_lock:
            self._breaker.succeeded(source_key(tracked.migration))

    def recover(self, tracked: TrackedMigration) -> None:
        """A step was begun and its outcome is not known: fence its actor, then forget the step."""
        step = tracked.migration.step
        if step is None:
            self._holder.restore(tracked)
            return
        log.info("%s: fencing the former worker %s", tracked.migration.id, step.actor.addresses)
        self._fence(tracked.migration, step.actor, reaped=False)
        # The version of the target's header that is recorded stays: a copy has changed it since, so
        # that nothing proves any more that the target is untouched.
        self._registry.update(tracked, lambda m: replace(m, step=None))
        self._holder.restore(tracked)

    def peek(self, tracked: TrackedMigration) -> None:
        """Look at a running copy from outside: who holds the lock, and so does the copying?"""
        migration = tracked.migration
        step, target = migration.step, migration.target
        if step is None or step.op is not Op.EXECUTE or not target.image_id:
            return
        with open_by_id(self._client, target.pool_id, target.namespace) as ioctx:
            holder = headers.lock_holder(ioctx, target.image_id)
            if holder is None or holder.client in step.actor.clients:
                tracked.copied_by = ""
                return
            tracked.copied_by = holds_lock(holder)
        if not migration.touched:
            self._registry.update(tracked, lambda m: replace(m, touched=True))

    def forgive(self, m: Migration) -> None:
        """Its source is to be tried again at once: somebody says that it is well."""
        with self._breaker_lock:
            self._breaker.succeeded(source_key(m))

    def source_rests(self, m: Migration, op: Op, trying: set[str]) -> bool:
        """Whether ``m`` has to wait because its source did not answer lately.

        ``trying`` are the sources at which somebody is at work, and is added to: a source that is
        being tried again is tried by one migration at a time.
        """
        if m.imported is not None and op not in READING:
            return False  # going back, and cutting loose, need no source
        key = source_key(m)
        with self._breaker_lock:
            if self._breaker.wait(key, time.monotonic()):
                return True
            if not self._breaker.open(key):
                return False
        rests = key in trying
        trying.add(key)
        return rests

    def _touched(self, m: Migration) -> bool:
        """Whether anybody but us may have written the target's header since our last act on it."""
        if m.touched or not m.target.image_id:
            return m.touched
        return m.target_version is None or self._version(m) != m.target_version

    def _version(self, m: Migration) -> Optional[int]:
        return target_version(self._client, m)

    def _still_wanted(self, tracked: TrackedMigration, op: Op) -> Optional[Situation]:
        """The situation in which ``op`` is still to be done; None when it is not wanted any more.

        The job may have waited long for its slot. The record takes over the images' names of now. A
        look of a moment ago counts for acts that librbd refuses where they do not fit: the record
        took over its names already.
        """
        at, situation = tracked.seen or (0.0, None)
        if situation is None or op not in _CHECKED or time.monotonic() - at > _FRESH:
            situation = self._look(tracked)
        decision = decide(tracked.migration, situation, time.time(), abandoned=tracked.abandoned)
        return situation if decision == Act(op) else None

    def _look(self, tracked: TrackedMigration) -> Situation:
        """Observe both ends and bring the record up to date."""
        now = time.time()
        seen = observe(self._client, tracked.migration)
        situation = diagnose(tracked.migration, seen)
        self._registry.update(tracked, lambda m: absorb(m, situation, seen, now))
        tracked.seen = (time.monotonic(), situation)
        return situation

    def _guard_abort(
        self, tracked: TrackedMigration, op: Op, own_clients: tuple[int, ...]
    ) -> Optional[dict[str, Any]]:
        """Decide once more whether an abort is safe: clients may have come since it was asked for.

        Returns what the worker has to find unchanged, None where nothing is to be guarded. Raises
        MigrationError when the abort must not begin.
        """
        situation = tracked.seen[1] if tracked.seen is not None else None
        if op is not Op.ABORT or situation not in GUARDED:
            return None
        found = find_target(
            self._client,
            tracked.migration,
            situation,
            own_clients=own_clients,
            fenced=self.blocklist.fenced(),
        )
        guard_abort_again(tracked.migration, found)
        return {"version": found.version}

    def _abort_refused(self, tracked: TrackedMigration, errno: int, message: str) -> None:
        """The abort is not begun, and the migration is where it was."""
        now = time.time()
        self._registry.update(tracked, lambda m: abort_refused(m, errno, message, now))
        log.warning("%s: %s", tracked.migration.id, message)

    def _fence(self, migration: Migration, actor: Actor, *, reaped: bool) -> Optional[int]:
        """Shut ``actor`` out and take the exclusive lock from it, so that clients need not wait.

        Returns the version of the target's header by that, None where ``actor`` had no lock on it.
        """
        if reaped or actor_is_gone(actor):
            self.blocklist.fence(self._client, actor.addresses)
        else:
            self.blocklist.fence_unknown(
                self._client, actor.addresses, lambda: actor_is_gone(actor)
            )
        ends = ends_of(self._client, migration)
        versions = {place.image_id: self._release_lock(place, actor) for place in ends}
        return versions.get(migration.target.image_id)

    def _release_lock(self, place: Place, actor: Actor) -> Optional[int]:
        try:
            with open_by_id(self._client, place.pool_id, place.namespace) as ioctx:
                holder = headers.lock_holder(ioctx, place.image_id)
                if holder is not None and holder.client in actor.clients:
                    return surgery.break_lock(ioctx, place.image_id, holder)
        except PoolMissing:
            pass  # the image is gone, and the lock with it
        return None

    def _failed(
        self,
        tracked: TrackedMigration,
        errno: int,
        problem: FailureReason,
        *,
        by_source: bool = True,
    ) -> None:
        """Write that a step failed: to be retried, or for the administrator to look at.

        ``by_source``: source or cluster answered so. What goes wrong on this host is no reason to
        leave the source alone.
        """
        now, settings = time.time(), self._settings()
        if by_source:
            with self._breaker_lock:
                self._breaker.failed(source_key(tracked.migration), errno, time.monotonic())

        def change(m: Migration) -> Migration:
            if not problem.transient:
                return failed(m, errno, problem.message, now)
            wait = backoff(m.attempts + 1, settings.retry_first, settings.retry_cap, self._chance)
            if errno == ESTALE and m.attempts < _QUICK_RETRIES:
                wait = 0.0  # what it was decided on has changed: look again
            return retry_later(m, errno, problem.message, now, wait)

        self._registry.update(tracked, change)
        tracked.done_op = None
        log.warning("%s: %s", tracked.migration.id, problem.message)


def actor_is_gone(actor: Actor) -> bool:
    """Whether the process of ``actor`` is proven to be gone: only its own host can prove that."""
    found = identity_of(actor.pid)
    return found is not None and is_gone(actor.process, found)


def source_key(m: Migration) -> str:
    """What migrations share when they share a source that may not answer: its pool, or its host."""
    if m.imported is not None and not m.imported.native:
        return f"host {m.imported.host}" if m.imported.host else f"source {m.source.image}"
    return f"pool {m.source.pool}"


def target_version(client: rados.Rados, m: Migration) -> Optional[int]:
    """The version of the target's header now; None when there is no target."""
    if not m.target.image_id:
        return None
    try:
        with open_by_id(client, m.target.pool_id, m.target.namespace) as ioctx:
            return headers.version(ioctx, m.target.image_id)
    except PoolMissing:
        return None


def _target(tracked: TrackedMigration) -> Any:
    return tracked.migration.target.spec
