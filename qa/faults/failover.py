"""Failovers in the middle of a copy: whatever happens to the active manager, the copy continues."""

import signal
import time
from typing import Callable

from qa.devcluster.modules import MODULE
from qa.faults import checks, journey, managers, records
from qa.faults.bench import Bench
from qa.faults.cases import Case
from qa.faults.images import VARIANTS, Sample, make_sample, removed_at_end
from qa.faults.results import Result
from qa.workload.images import MIB
from rbdmigrate.cluster.fence import listed
from rbdmigrate.model.migration import Migration
from rbdmigrate.model.states import ActKind, State

_TAKEOVER_TIMEOUT = 60.0
_WORKERS_GONE = 5.0  # seconds within which a manager's workers end with it
_COPY = {"size": 64 * MIB, "order": 12, "pace": 1}  # 16384 small objects, one after another


class Watch:
    """A case in the middle of its copy, with the observations so far."""

    def __init__(self, bench: Bench, sample: Sample, result: Result) -> None:
        self.bench = bench
        self.sample = sample
        self.result = result
        self.begun = time.monotonic()
        self.former = self.copying()

    def copying(self) -> Migration:
        """Return the record as soon as a copy is running."""
        found: list[Migration] = []

        def there() -> bool:
            migration = records.record_of(self.bench, self.sample)
            intent = migration.intent if migration is not None else None
            if migration is not None and intent is not None and intent.act is ActKind.EXECUTE:
                found.append(migration)
            return bool(found)

        self.bench.cluster.wait_for(there, 30, "the copy to begin", 0.02)
        return found[-1]

    def note(self, what: str) -> None:
        """Note the time since the fault."""
        seconds = time.monotonic() - self.begun
        self.result.met += f"{', ' if self.result.met else ''}{what} after {seconds:.1f} s"

    def taken_over(self, *, fenced: bool = True) -> None:
        """Wait until another worker copies; by then the former one has to be ``fenced``."""
        assert self.former.intent is not None
        former = self.former.intent.actor

        def other() -> bool:
            migration = records.record_of(self.bench, self.sample)
            if migration is None or migration.state is not State.EXECUTING:
                return migration is None  # it is over already
            return migration.intent is not None and migration.intent.actor.pid != former.pid

        if not journey.wait(other, _TAKEOVER_TIMEOUT):
            self.result.findings.append("no worker took over the copy")
            return
        self.note("another worker copies")
        if not fenced:
            return
        # For a minute, or for a day where the worker was there still when it was fenced.
        fenced_clients = listed(self.bench.client)
        for address in former.addresses:
            if address not in fenced_clients:
                self.result.findings.append(f"the former worker {address} is not fenced")

    def workers_gone(self) -> None:
        """Wait until the former workers have ended, which has to be at once."""
        assert self.former.intent is not None
        pid = self.former.intent.actor.pid

        def gone() -> bool:
            return all(process.pid != pid for process, _ in managers.workers(self.bench.cluster))

        if journey.wait(gone, _WORKERS_GONE):
            self.note("the worker was gone")
        else:
            self.result.findings.append(f"the worker, pid {pid}, lives after {_WORKERS_GONE:g} s")


def cases() -> "list[Case]":
    """Return all failovers."""
    return [
        Case("failover: SIGKILL of the active manager", _runner(_killed), quick=True),
        Case("failover: SIGSTOP of the active manager, SIGCONT later", _runner(_stopped)),
        Case("failover: ceph mgr fail", _runner(_failed)),
        Case("failover: SIGTERM of the active manager, started again", _runner(_terminated)),
        Case("failover: module disabled and enabled", _runner(_disabled)),
    ]


def _runner(fault: Callable[[Watch], None]) -> Callable[[Bench, str], Result]:
    return lambda bench, name: run(bench, name, fault)


def run(bench: Bench, name: str, fault: Callable[[Watch], None]) -> Result:
    """Start a copy, cause the fault in the middle of it, wait for the goal, check."""
    managers.wait_for_all(bench.cluster)
    result = Result(name)
    sample = make_sample(bench, VARIANTS["pool"], **_COPY)
    with removed_at_end(bench, sample):
        thread = journey.begin(bench, sample, "committed")
        watch = Watch(bench, sample, result)
        time.sleep(0.7)
        migration = records.record_of(bench, sample)
        result.reached = migration is not None and migration.state is State.EXECUTING
        watch.begun = time.monotonic()
        fault(watch)
        if not journey.wait(lambda: journey.ended(bench, [sample]), journey.GOAL_TIMEOUT):
            result.findings += journey.tell(bench, [sample])
        result.seconds = time.monotonic() - watch.begun
        managers.start_dead(bench.cluster)
        managers.wait_for_all(bench.cluster)
        if not result.findings:
            result.findings += checks.findings(bench, [sample], State.COMMITTED)
            result.findings += managers.stray_workers(bench.cluster)
        thread.join(20)
    return result


def _killed(watch: Watch) -> None:
    watch.bench.cluster.mgr_kill()
    watch.workers_gone()
    watch.taken_over()


def _stopped(watch: Watch) -> None:
    cluster = watch.bench.cluster
    slow = cluster.active_mgr()
    assert slow is not None
    pid = cluster.mgr_pid(slow)
    cluster.mgr_signal(slow, signal.SIGSTOP)
    try:
        watch.taken_over()
        owner = records.owner(watch.bench, *watch.sample.target[:2])
    finally:
        cluster.mgr_signal(slow, signal.SIGCONT)
    watch.workers_gone()
    until = time.monotonic() + 4
    while time.monotonic() < until:
        migration = records.record_of(watch.bench, watch.sample)
        intent = migration.intent if migration is not None else None
        if intent is not None and intent.actor.manager == slow:
            watch.result.findings.append(f"mgr.{slow} wrote the record after it was replaced")
            break
        time.sleep(0.05)
    if records.owner(watch.bench, *watch.sample.target[:2]) != owner:
        watch.result.findings.append("the store's owner changed when the slow manager came back")
    if cluster.daemons.find(f"mgr.{slow}") is None:
        watch.note(f"mgr.{slow} (pid {pid}) has ended")


def _failed(watch: Watch) -> None:
    watch.bench.cluster.mgr_fail(wait=False)
    watch.workers_gone()
    watch.taken_over()


def _terminated(watch: Watch) -> None:
    cluster = watch.bench.cluster
    name = cluster.active_mgr()
    assert name is not None
    cluster.mgr_signal(name, signal.SIGTERM)
    watch.workers_gone()
    managers.start_dead(cluster)
    watch.taken_over()


def _disabled(watch: Watch) -> None:
    cluster = watch.bench.cluster
    cluster.ceph("mgr", "module", "disable", MODULE)
    try:
        watch.workers_gone()
        time.sleep(2)
        before = _frozen(watch)
        time.sleep(2)
        if _frozen(watch) != before or not before:
            watch.result.findings.append("a record was written, or was lost, with nobody active")
        if managers.workers(cluster):
            watch.result.findings.append("a worker runs while the module is disabled")
    finally:
        cluster.ceph("mgr", "module", "enable", MODULE, "--force")
    watch.taken_over(fenced=False)  # its worker was reaped in an orderly way long ago


def _frozen(watch: Watch) -> str:
    migration = records.record_of(watch.bench, watch.sample)
    return repr(migration) if migration else ""
