"""A random run: two disks, the requests of administrators, and what else happens.

:mod:`~tests.fakes.safety` has the rules, and which steps there are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from errno import EBUSY, ETIMEDOUT
from typing import Any, NamedTuple, Optional

from rbdmigrate.control.lifecycle.requests import Changes
from rbdmigrate.model.cutover import CutoverMode, CutoverPolicy
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.plan import Definition, Listed
from rbdmigrate.model.policy import Policy
from rbdmigrate.model.states import Goal, Method, State
from rbdmigrate.model.verification import Verify

from . import errors
from .cluster import Fault
from .judge import InFlight, Judge
from .safety_guests import Guests
from .safety_hooks import Hooks
from .world import ManagerLost, World, spec

DISKS = ("a", "b")
DAY = 86400.0
_ASKING = ("abort", "change", "commit", "cutover", "prepare")


class Broken(AssertionError):
    """A rule of safety was broken."""


class Step(NamedTuple):
    """A step of a run; ``arguments`` as pairs."""

    name: str
    arguments: tuple[tuple[str, Any], ...]

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={_shown(value)}" for name, value in self.arguments)
        return f"{self.name}({given})"


def _shown(value: Any) -> str:
    return str(getattr(value, "value", repr(value)))


@dataclass(frozen=True)
class Request:
    """A request of an administrator. ``tell`` notes what it asks for, once it is accepted."""

    name: str
    disk: str
    act: Callable[[], Any]
    tell: Callable[[str], None]
    force: bool = False


def _begins_again(m: Any) -> bool:
    """Whether the same request once more is as if it had not been made before."""
    return m.state is State.FAILED and m.prepared_at is None


class Run:
    """Two disks, ``hdd/a`` and ``hdd/b``, that are to become ``nvme/a`` and ``nvme/b``."""

    def __init__(self, seed: int) -> None:
        self.world = World(seed)
        self.judge = Judge(self.world)
        self.guests = Guests(self.world, self.judge)
        self.hooks = Hooks(self.world, self.judge)
        self._alone = True  # one request at a time is made
        self._frozen: list[Any] = []
        self._unsure: list[tuple[Request, str]] = []  # their write timed out

    def __enter__(self) -> Run:
        self.world.__enter__()
        for name in DISKS:
            self.world.create_image(f"hdd/{name}", {0: b"first", 1: b"second"}, objects=4)
            self.judge.add_disk(name, "hdd")
        return self

    def __exit__(self, *error: Any) -> None:
        self.world.__exit__(*error)

    def _failover(self, *, kill: bool = True) -> None:
        """Another manager finds a change in a record that was not answered in time, or not."""
        for request, ident in self._unsure:
            self._unanswered(request, ident)
        self._unsure = []
        self.world.failover(kill=kill)

    def take(self, step: Step) -> None:
        """Do a step. Raises Broken."""
        with contextlib.suppress(ManagerLost):
            owners = (self, self.guests, self.hooks)
            who = next((each for each in owners if hasattr(each, step.name)), self)
            getattr(who, step.name)(**dict(step.arguments))
        self.judge.note_plans()
        self.judge.note_aborts()
        if not self.world.manager.process.alive:
            self._failover()
        self._check(self.judge.wrong)
        self._check(self.world.engine.problems())

    def end(self) -> None:
        """Everybody stops, and all comes to rest: nothing was lost. Raises Broken."""
        self.world.cluster.faults = []
        self.thaw()
        self.guests.close()
        self.hooks.agree()
        self.world.forget_kills()
        self.world.set(max_steps=2)
        self._failover()
        if not self.world.wait_until_quiet(20.0):  # longer than anything waits for another attempt
            raise Broken("it does not come to rest")
        self.judge.note_aborts()
        self._check(self.judge.wrong)
        self._check(self.world.engine.problems())
        self._check(self.judge.contents())
        self._check(self.world.engine.garbage())
        for record in self.world.records().values():
            if record["step"] is not None:
                raise Broken(f"{record['id']}: {record['step']['op']} does not come to an end")

    @staticmethod
    def _check(wrong: Sequence[str]) -> None:
        if wrong:
            raise Broken("; ".join(wrong))

    # -- requests ------------------------------------------------------------------------------

    def _request(self, kind: str, disk: str, **options: Any) -> Request:
        source, target = f"hdd/{disk}", f"nvme/{disk}"
        began = self.world.simulation.now
        if kind == "prepare":
            record = self.world.record(target)
            again = record is not None and not _begins_again(record)
            return Request(
                kind,
                disk,
                lambda: self.world.prepare(source, target, **options),
                lambda ident: self._asked(ident, again=again, **options),
            )
        arguments: tuple[Any, ...] = ()
        given = dict(options)
        if kind == "verify":
            arguments = (given.pop("mode"),)

        def act() -> Any:
            if kind == "cutover":
                return self.world.engine.migrations.cutover(spec(target), given["policy"])
            if kind == "change":
                return self.world.engine.migrations.change(spec(target), Changes(**given))
            return getattr(self.world.engine.migrations, kind)(spec(target), *arguments, **given)

        def tell(ident: str) -> None:
            asked = self.judge.of(ident)
            if kind == "abort":
                self.judge.abort_accepted(ident, force=options["force"], began=began)
            elif kind == "commit":
                asked.commit = asked.soak_ended = True
                asked.commit_forced = options["force"]
            elif kind == "cutover":
                asked.cut_over = True
            elif kind == "verify":
                asked.change(verify=arguments[0])
            elif kind == "change":
                asked.change(**options)

        return Request(kind, disk, act, tell, bool(options.get("force")))

    def _asked(
        self, ident: str, goal: Goal, verify: Verify, soak: float, *, again: bool, **_: Any
    ) -> None:
        if not again:
            self.judge.asked.pop(ident, None)
        asked = self.judge.of(ident)
        asked.want(goal, verify, soak)

    def _carry_out(self, request: Request) -> Any:
        """The report of a request that is accepted, or why it is not."""
        self.judge.note_plans()
        before = self.world.record(f"nvme/{request.disk}")
        try:
            with self._in_flight(request.name, request.disk, force=request.force):
                report = request.act()
        except MigrationError as error:
            after = self.world.record(f"nvme/{request.disk}")
            known = before is not None and after is not None and before.id == after.id
            if error.errno == ETIMEDOUT and known:
                self._unsure.append((request, after.id))
            failed_before = known and before is not None and before.state is State.FAILED
            if after is not None and after.state is State.FAILED and not failed_before:
                request.tell(after.id)  # it was accepted, and failed
            return error
        request.tell(report["id"])
        record = self.world.record(f"nvme/{request.disk}")
        if self._alone and request.name != "abort" and record is not None:
            # An abort that must not begin is taken back; who goes on after that wants no abort.
            asked = self.judge.of(record.id)
            asked.aborted = asked.aborted and record.goal is Goal.ABORTED
        return report

    @contextlib.contextmanager
    def _in_flight(self, kind: str, disk: str, *, force: bool) -> Iterator[None]:
        request = InFlight(kind, disk, self.world.simulation.now, force)
        self.judge.in_flight.append(request)
        try:
            yield
        finally:
            self.judge.in_flight.remove(request)

    def _ask(self, *requests: Request) -> list[Any]:
        """The answers to requests at the same time. Raises ManagerLost."""
        self._alone = len(requests) == 1
        try:
            if len(requests) == 1:
                return [self.world.call(lambda: self._carry_out(requests[0]))]
            answers = self.world.together(*(lambda r=r: self._carry_out(r) for r in requests))
            for answer in answers:
                if isinstance(answer, Exception) and not isinstance(answer, MigrationError):
                    raise answer
        except ManagerLost:
            for request in requests:
                record = self.world.record(f"nvme/{request.disk}")
                if record is not None and request.name in _ASKING:
                    self._unanswered(request, record.id)
            raise
        return answers

    def _unanswered(self, request: Request, ident: str) -> None:
        """Nobody knows whether it was accepted: either is right."""
        asked = self.judge.of(ident)
        if request.name == "abort":
            asked.may_abort = True
            asked.abort_forced = self.world.simulation.now if request.force else asked.abort_forced
        else:
            asked.cut_over = True
            asked.commit, asked.verify, asked.soak = True, Verify.NONE, 0.0
            asked.commit_forced = asked.commit_forced or request.force

    def prepare(
        self, disk: str, goal: Goal, verify: Verify, soak: float, method: Method = Method.LIVE,
        cutover: CutoverMode = CutoverMode.REFUSE, refresh: float = 0.0,
    ) -> None:  # fmt: skip
        """``refresh``: seconds between two reverse rounds, by the method warm."""
        more: dict[str, Any] = {}
        if method is not Method.LIVE:
            more = {"method": method, "cutover": CutoverPolicy(cutover), "refresh_source": refresh}
        self._ask(self._request("prepare", disk, goal=goal, verify=verify, soak=soak, **more))

    def cutover(self, disk: str, mode: Optional[CutoverMode]) -> None:
        policy = None if mode is None else CutoverPolicy(mode)
        self._ask(self._request("cutover", disk, policy=policy))

    def execute(self, disk: str) -> None:
        self._ask(self._request("execute", disk))

    def commit(self, disk: str, force: bool) -> None:
        self._ask(self._request("commit", disk, force=force))

    def abort(self, disk: str, force: bool, hooks: bool = False) -> None:
        policy = CutoverPolicy(CutoverMode.HOOK) if hooks else None
        self._ask(self._request("abort", disk, force=force, policy=policy))

    def steer(self, disk: str, kind: str) -> None:
        self._ask(self._request(kind, disk))

    def change(
        self, disk: str, goal: Optional[Goal], verify: Optional[Verify], soak: Optional[float]
    ) -> None:
        self._ask(self._request("change", disk, goal=goal, verify=verify, soak=soak))

    def verify(self, disk: str) -> None:
        self._ask(self._request("verify", disk, mode=Verify.FULL))

    def two_at_once(self, disk: str, one: str, other: str, force: bool) -> None:
        options: dict[str, dict[str, Any]] = {
            "commit": {"force": force},
            "abort": {"force": False},
            "cutover": {"policy": None},
            "change": {"verify": Verify.FULL, "soak": 7 * DAY},
            "verify": {"mode": Verify.FULL},
        }
        self._ask(
            *(self._request(kind, disk, **dict(options.get(kind, {}))) for kind in (one, other))
        )

    def refused(self, disk: str, kind: str, force: bool) -> None:
        """A request when all is at rest: when it is refused nothing may have changed."""
        self.world.cluster.faults = []
        if not self.world.wait_until_quiet(20.0):  # a write that timed out is done again by then
            return
        options = {"commit": {"force": force}, "abort": {"force": force}, "prepare": {
            "goal": Goal.COMMITTED, "verify": Verify.NONE, "soak": 0.0},
            "verify": {"mode": Verify.FULL}}  # fmt: skip
        request = self._request(kind, disk, **options.get(kind, {}))
        known = self.world.record(f"nvme/{disk}")
        rounds = self._rounds()
        before = self.world.cluster.snapshot()
        (answer,) = self._ask(request)
        record = self.world.record(f"nvme/{disk}")
        if self.world.workers_busy() or self._rounds() != rounds:
            return  # a copy was refreshed at the same time
        if not isinstance(answer, MigrationError) or self.world.cluster.snapshot() == before:
            return
        if kind == "abort" and self._only_paused(known, record, before):
            return
        if known is not None and known.cut_over_at is not None and answer.errno == EBUSY:
            return  # a client had the target open on the way back, which was begun and undone
        failed = record is not None and record.state is State.FAILED
        adopted = record is not None and record.adopted and known is None
        if not failed and not adopted:
            raise Broken(f"{request.name} was refused ({answer}) and changed something")

    def _only_paused(self, known: Any, record: Any, before: dict[str, Any]) -> bool:
        """Whether an abort that the worker refused left all as it was, and the migration paused.

        That is what it is for: what somebody wanted to end does not go on by itself.
        """
        if known is None or record is None or record.abort is None or not record.abort.refusal:
            return False
        told = {"hold": record.hold, "abort": record.abort, "timeline": record.timeline}
        if replace(known, paused=True, **told) != record:
            return False
        key = f"migration.{record.id}"
        for stored in (before, after := self.world.cluster.snapshot()):
            for _, omap, _ in (found for found in stored.values() if isinstance(found, tuple)):
                omap.pop(key, None)
        return bool(before == after)

    def _rounds(self) -> list[Any]:
        return [record["rounds"] for record in self.world.records().values()]

    # -- plans ---------------------------------------------------------------------------------

    def plan_start(
        self, name: str, goal: Goal, verify: Verify, soak: float, method: Method = Method.LIVE
    ) -> None:
        images = tuple(Listed(spec(f"hdd/{disk}"), spec(f"nvme/{disk}")) for disk in DISKS)
        definition = Definition(
            name,
            images=images,
            policy=Policy(goal=goal, verify=verify, soak=soak),
            method=method,
        )

        def start() -> None:
            plans = self.world.engine.plans
            plans.create(definition)
            self.judge.plans[name] = (goal, verify, soak)
            plans.begin(name)

        self._plan(start)

    def plan_cancel(self, name: str, force: bool) -> None:
        began = self.world.simulation.now

        def cancel() -> None:
            with self._in_flight("abort", "", force=force):
                self.world.engine.plans.cancel(name, force=force)

        try:
            self._plan(cancel)
        finally:  # also if the answer was lost
            for ident, record in self.world.records().items():
                if record["plan"] == name:
                    asked = self.judge.of(ident)
                    asked.may_abort = True
                    asked.abort_forced = began if force else asked.abort_forced

    def _plan(self, act: Callable[[], None]) -> None:
        def request() -> None:
            try:
                act()
            except MigrationError:
                return  # refused

        self.world.call(request)

    # -- plain rbd, the cluster and time ------------------------------------------------------

    def plain_rbd(self, disk: str, command: str) -> None:
        images = [f"hdd/{disk}"] if command == "prepare" else []
        try:
            self.world.client("rbd").rbd(command, *images, f"nvme/{disk}")
        except (errors.RbdError, errors.Error):
            return  # refused

    def kill_worker(self, operations: int) -> None:
        self.world.kill_worker_after(operations)

    def kill_manager(self, operations: int) -> None:
        self.world.kill_manager_after(operations)

    def failover(self) -> None:
        self._failover()

    def timeouts(self, times: int, applied: bool) -> None:
        """Writes of records are not answered in time; some are done all the same."""
        self.world.cluster.faults = [
            Fault(
                lambda client, pool, oid, write: write and oid == "rbd_migration",
                errors.timed_out,
                times=times,
                after=applied,
                delay=15.0,
            )
        ]

    def freeze(self) -> None:
        """The manager's host stops, another manager takes over; until :meth:`thaw`."""
        self._frozen.append(self.world.manager)
        self._failover(kill=False)

    def thaw(self) -> None:
        """Hosts that stood still go on, as if no time had passed."""
        while self._frozen:
            self.world.simulation.thaw(self._frozen.pop().process)
        self.world.run(1.0)

    def swap_names(self, pool: str) -> None:
        """`rbd mv` of both images of a pool, so that each has the name of the other."""
        if self.world.names(pool) != list(DISKS):
            return
        guest = self.world.client("rbd")
        self.judge.renamed = True
        try:
            for one, other in (("a", "x"), ("b", "a"), ("x", "b")):
                guest.rbd("mv", f"{pool}/{one}", f"{pool}/{other}")
        except (errors.RbdError, errors.Error):
            return  # one of them was gone meanwhile

    def limit(self, steps: int) -> None:
        self.world.set(max_steps=steps)

    def time_passes(self, seconds: float) -> None:
        self.world.run(seconds)

    def days_pass(self, days: int) -> None:
        self.world.jump_ahead(days * DAY)
