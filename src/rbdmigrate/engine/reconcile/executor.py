"""What a slot does with a job: confirm, write the intent, act, write the outcome."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from errno import E2BIG, EAGAIN, EIO, ENOMEM, ETIMEDOUT
from typing import Optional

import rados

from ...cluster import headers
from ...cluster.fence import Blocklist
from ...cluster.observe import observe
from ...cluster.pools import open_by_id
from ...cluster.worker_process import JobTooLong, WorkerLost, WorkerProcess
from ...control.lifecycle.abort_guard import guard_abort_again
from ...control.lifecycle.confirm import Outdated, while_decided
from ...control.lifecycle.crashes import after_crash
from ...control.lifecycle.cutover import waits_for_clients
from ...control.lifecycle.decide import decide
from ...control.lifecycle.decision import RunAct
from ...control.lifecycle.failures import (
    FailureReason,
    not_started,
)
from ...control.lifecycle.observed import with_observation
from ...control.lifecycle.situation import Situation, diagnose
from ...control.metrics.counting import Sample
from ...control.objects.copy_cost import Throughput
from ...model.errors import MigrationError
from ...model.jobs.acts import ActOn
from ...model.jobs.answers import Armed, Copied, CopiedBack, CutOverDone, NotTrimmed, Synchronized
from ...model.jobs.protocol import Cause, Done, Ending, Failed
from ...model.migration import Actor, Migration
from ...model.states import ActKind, Method
from ...trace import span
from ..pace.lock_owner import LockOwnerPace, holds_lock
from ..pace.plan_limits import PlanPace
from ..pace.throttle import Throttle
from ..records.registry import Registry, TrackedMigration
from ..settings import Settings
from . import clones, worker_jobs
from .abort_guard import GUARDED, blind, find_target, may_be_touched
from .act_failures import ActFailures
from .act_records import actor_of, with_change, with_copy_cut_off, with_intent
from .fencing import Fencing
from .outcomes import with_answer
from .post_copy import PostCopy
from .shut_out import ShutOutWorkers
from .source_breaker import SourceBreaker
from .worker_events import copied_more, listener, lost_reason
from .worker_jobs import ActContext
from .worker_slot import Job, Slot

log = logging.getLogger(__name__)

_FRESH = 1.0  # seconds for which a look counts
# librbd looks at the state itself before these, and our worker does before a cutover.
_CHECKED_ACTS = frozenset({ActKind.PREPARE, ActKind.EXECUTE, ActKind.CUT_OVER, ActKind.COMMIT})


class Executor:
    """Acts on migrations. Its methods run in slot threads and observers."""

    def __init__(
        self,
        *,
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
        self.blocklist = Blocklist()
        self._holder = LockOwnerPace(client, registry)
        self._after_copy = PostCopy(
            client=client, registry=registry, settings=settings, blocklist=self.blocklist
        )
        self._fencing = Fencing(client=client, blocklist=self.blocklist)
        self._shut_out = ShutOutWorkers(client)
        self.breaker = SourceBreaker()
        self._failures = ActFailures(registry=registry, settings=settings, breaker=self.breaker)

    def work(self, slot: Slot, job: Job) -> None:
        """Do ``job``; its failures are recorded. Raises what RADOS and the store raise."""
        tracked = job.tracked
        worker = self._worker(slot, job)
        if worker is None:
            return
        situation = self._still_wanted(tracked, job.act)
        if situation is None or not self._clones_allow(tracked, job.act):
            return
        try:
            allowed_version = self._guard_abort(tracked, job.act, worker.clients)
        except MigrationError as unsafe:
            self._failures.abort_refused(tracked, unsafe.errno, str(unsafe))
            return
        actor = actor_of(worker, self._manager, self._host)
        if self._intent_written(job, situation, actor):
            self._run(slot, job, worker, actor, self._act_on(tracked, job.act, allowed_version))

    def _worker(self, slot: Slot, job: Job) -> Optional[WorkerProcess]:
        """The worker of the slot; None when it cannot be started, which is recorded."""
        tracked = job.tracked
        try:
            with span("worker", tracked.migration.id, job.act.value):
                return slot.worker(job)
        except WorkerLost as error:
            if not job.stop_reason:
                problem = not_started(job.act, str(error), tracked.migration.target.spec)
                self._failures.record(tracked, job.act, EAGAIN, problem, by_source=False)
            return None

    def _clones_allow(self, tracked: TrackedMigration, act: ActKind) -> bool:
        """Whether no clone of the source is in the way of ``act``; else that is recorded."""
        with span("clones", tracked.migration.id, act.value):
            refusal = clones.look_before(self._client, tracked.migration, act)
        if refusal is not None:
            problem = FailureReason(str(refusal), refusal.errno == EAGAIN)
            self._failures.record(tracked, act, refusal.errno, problem)
        return refusal is None

    def _intent_written(self, job: Job, situation: Situation, actor: Actor) -> bool:
        """Write the intent into the record; False when a request decided otherwise meanwhile."""
        tracked, act = job.tracked, job.act
        touched = may_be_touched(self._client, tracked.migration)
        fraction = self._settings().verify_fraction
        if act is not ActKind.COMPLETE_OBJECTS:  # what was shown of the copy before stays shown
            tracked.done = tracked.total = tracked.compared = 0
            tracked.throughput = Throughput()
            tracked.uncontrolled, tracked.may_take_lock = "", False
        tracked.lock_shared = False
        tracked.rate_limit = self._throttle.first_rate(tracked)
        copies = act is ActKind.EXECUTE and tracked.migration.method is not Method.WARM
        ops = self._holder.begin(tracked, actor.clients) if copies else None

        def intent(m: Migration) -> Migration:
            if self._plans.hold(m, act) is not None:
                raise Outdated(f"the plan {m.plan} was paused or cancelled")
            return replace(with_intent(m, act, actor, touched, fraction), holder_ops=ops)

        wanted, abandoned = RunAct(act), tracked.abandoned
        try:
            confirmed = while_decided(wanted, situation, time.time(), intent, abandoned=abandoned)
            with span("intent", tracked.migration.id, act.value):
                self._registry.update(tracked, confirmed)
        except Outdated:  # a request was accepted meanwhile: the next look decides about it
            return False
        tracked.act_begun(act)
        return True

    def _run(
        self, slot: Slot, job: Job, worker: WorkerProcess, actor: Actor, act_on: ActOn
    ) -> None:
        """Have the worker do the act whose intent is in the record."""
        tracked, ident = job.tracked, job.tracked.migration.id
        begun, result = time.monotonic(), "failed"
        try:
            with span("act", ident, job.act.value):
                ending = worker.run(act_on, listener(self._registry, tracked, job.act))
            result = "failed" if isinstance(ending, Failed) else "done"
        except WorkerLost as error:
            result = "interrupted"
            self._interrupted(slot, job, actor, error)
        except JobTooLong as error:
            self._failures.record(
                tracked, job.act, E2BIG, FailureReason(error.message, False), by_source=False
            )
        else:
            if isinstance(ending, Failed) and ending.cause is Cause.LIBRBD:
                slot.discard_worker()  # its client may be the cause; the next act starts one
                if job.act is ActKind.EXECUTE:
                    self._after_copy.complete_objects(slot, tracked)
            if isinstance(ending, Done) and isinstance(ending.answer, Armed):
                slot.armed_until = time.monotonic() + ending.answer.seconds
                tracked.armed = (slot.name, slot.armed_until)
            with span("outcome", ident, job.act.value):
                self._ended(tracked, job.act, ending)
        finally:
            tracked.copied_by = ""
            passed = time.monotonic() - begun
            self._registry.count(Sample("step_duration_seconds", (job.act.value, result), passed))

    def _interrupted(self, slot: Slot, job: Job, actor: Actor, error: WorkerLost) -> None:
        """The worker is gone in the middle of its job, killed by us or not."""
        tracked = job.tracked
        slot.discard_worker()
        version = self._fencing.fence(tracked.migration, actor, reaped=True)
        if job.act is ActKind.EXECUTE:
            self._registry.update(tracked, lambda m: with_copy_cut_off(m, tracked, version))
            self._after_copy.complete_objects(slot, tracked)
        self._holder.restore(tracked)
        if error.gave_up:
            self._registry.update(tracked, lambda m: with_change(m, str(error)))
        if not job.stop_reason:
            self._registry.count(Sample("worker_losses_total"))
            reason = lost_reason(job, error)
            self._registry.update(tracked, lambda m: after_crash(m, job.act, error.signal))
            self._failures.record(tracked, job.act, EIO, reason, by_source=False)
            return
        if job.act is ActKind.EXECUTE and not slot.stopping:
            self._after_copy.stop_holder(slot, tracked)
        if job.failure is not None:
            errno = ETIMEDOUT if job.failure.transient else ENOMEM
            self._failures.record(tracked, job.act, errno, job.failure)
        self._registry.update(tracked, lambda m: replace(m, intent=None))

    def _act_on(
        self, tracked: TrackedMigration, act: ActKind, allowed_version: Optional[int]
    ) -> ActOn:
        """What the worker is told, once the intent is in the record."""
        m, settings = tracked.migration, self._settings()
        context = ActContext(
            rate=tracked.rate_limit,
            trust_maps=settings.verify_trust_maps,
            fenced=self.blocklist.fenced(),
            allowed_version=allowed_version,
            blind=blind(m),
            arm=tracked.arm and waits_for_clients(m),
        )
        return ActOn(
            worker_jobs.ends_of(m, settings.import_policy), worker_jobs.act_of(act, m, context)
        )

    def _ended(self, tracked: TrackedMigration, act: ActKind, ending: Ending) -> None:
        """The worker did its job, or says why not."""
        self._holder.restore(tracked)
        if isinstance(ending, Failed):
            self._failures.of_job(tracked, act, ending)
            return
        answer = ending.answer
        if isinstance(answer, Copied):
            self._registry.count(*copied_more(tracked, answer.bytes_total))
            tracked.copied = tracked.size = answer.bytes_total
        m = self._registry.update(tracked, lambda m: with_answer(m, act, answer, time.time()))
        if isinstance(answer, (Synchronized, Armed, CopiedBack, CutOverDone)):
            tracked.copied = tracked.size = m.bytes_copied
        if isinstance(answer, CopiedBack):  # less is left to be copied back
            tracked.way_back, tracked.measured_at = None, float("-inf")
        if isinstance(answer, NotTrimmed):
            log.warning("%s: %s", tracked.migration.id, answer.untrimmed.reason)
            return
        tracked.act_done(act)
        self.breaker.succeeded(tracked.migration)

    def recover(self, tracked: TrackedMigration) -> None:
        """The outcome of an act is not known: fence who did it, then forget the intent."""
        intent = tracked.migration.intent
        if intent is None:
            self._holder.restore(tracked)
            return
        log.info("%s: fencing the former worker %s", tracked.migration.id, intent.actor.addresses)
        self._fencing.fence(tracked.migration, intent.actor, reaped=False)
        # The version of the target's header that is recorded stays: a copy has changed it since, so
        # that nothing proves any more that the target is untouched.
        self._registry.update(tracked, lambda m: replace(m, intent=None))
        self._holder.restore(tracked)

    def look_at_copy(self, tracked: TrackedMigration) -> None:
        """Look at a running act from outside: is its worker shut out, and who copies really?"""
        self._shut_out.look(tracked)
        migration = tracked.migration
        intent, target = migration.intent, migration.target
        if intent is None or intent.act is not ActKind.EXECUTE or not target.image_id:
            return
        if migration.method is Method.WARM:
            return  # only our worker copies
        with open_by_id(self._client, target.pool_id, target.namespace) as ioctx:
            holder = headers.lock_holder(ioctx, target.image_id)
            if holder is None or holder.client in intent.actor.clients:
                tracked.copied_by = ""
                return
            tracked.copied_by = holds_lock(holder)
        if not migration.touched:
            self._registry.update(tracked, lambda m: replace(m, touched=True))

    def _still_wanted(self, tracked: TrackedMigration, act: ActKind) -> Optional[Situation]:
        """The situation in which ``act`` is still to be done; None when it is not wanted any more.

        The job may have waited long for its slot. The record takes over the images' names of now. A
        look of a moment ago counts for acts that are refused where they do not fit: the record took
        over its names already.
        """
        at, situation = tracked.seen or (0.0, None)
        if situation is None or act not in _CHECKED_ACTS or time.monotonic() - at > _FRESH:
            situation = self._look(tracked)
        decision = decide(tracked.migration, situation, time.time(), abandoned=tracked.abandoned)
        return situation if decision == RunAct(act) else None

    def _look(self, tracked: TrackedMigration) -> Situation:
        """Observe both ends and bring the record up to date."""
        now = time.time()
        with span("observe", tracked.migration.id):
            seen = observe(self._client, tracked.migration)
        situation = diagnose(tracked.migration, seen)
        self._registry.update(tracked, lambda m: with_observation(m, situation, seen, now))
        tracked.seen = (time.monotonic(), situation)
        return situation

    def _guard_abort(
        self, tracked: TrackedMigration, act: ActKind, own_clients: tuple[int, ...]
    ) -> Optional[int]:
        """Decide once more whether an abort is safe: clients may have come since it was asked for.

        Returns the version of the target's header, which the worker has to find unchanged; None
        where nothing is to be guarded. Raises MigrationError when the abort must not begin.
        """
        situation = tracked.seen[1] if tracked.seen is not None else None
        if act is not ActKind.ABORT or situation not in GUARDED:
            return None
        if tracked.migration.method is Method.WARM:
            return None  # no client uses the target before the cutover
        found = find_target(
            self._client,
            tracked.migration,
            situation,
            own_clients=own_clients,
            fenced=self.blocklist.fenced(),
        )
        guard_abort_again(tracked.migration, found)
        return found.version
