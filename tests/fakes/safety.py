"""Random runs of everything that can happen to two disks, judged by the rules of safety.

The rules:

- no source is removed without the verification and the soak time that the strictest of the accepted
  requests asked for, unless an administrator forced the commit after that;
- an abort that was accepted never becomes a commit;
- no abort loses a write, and none loses a snapshot, a resize or a discard of a client unless it
  was forced after that had happened;
- a request that is refused changes nothing;
- whoever is killed, whenever: the next manager carries on, and no disk is lost.

A run is a list of steps: the name of a method of :class:`Run` and its arguments.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from errno import ETIMEDOUT
from typing import Any, NamedTuple, Optional

from rbdmigrate.control.lifecycle.requests import Changes
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.migration import Goal, Method, State
from rbdmigrate.model.plan import Definition, Listed
from rbdmigrate.model.policy import Policy
from rbdmigrate.model.verification import Verify

from . import errors, rbd_module
from .cluster import BLOCK, Fault
from .judge import Disk, InFlight, Judge
from .world import ManagerLost, World, block, spec

DISKS = ("a", "b")
DAY = 86400.0
_ASKING = ("abort", "change", "commit", "prepare")
_BUSY = ("abort", "change", "commit", "pause", "verify")


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


def _begins_anew(m: Any) -> bool:
    """Whether the same request once more is as if it had not been made before."""
    return m.state is State.FAILED and m.prepared_at is None


class Run:
    """Two disks, ``hdd/a`` and ``hdd/b``, that are to become ``nvme/a`` and ``nvme/b``."""

    def __init__(self, seed: int) -> None:
        self.world = World(seed)
        self.judge = Judge(self.world)
        self.open: dict[str, Any] = {}
        self._writes = 0
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
            getattr(self, step.name)(**dict(step.arguments))
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
        for image in self.open.values():
            image.close()
        self.world.forget_kills()
        self.world.set(max_steps=2)
        self._failover()
        if not self.world.settle(quiet=20.0):  # longer than anything waits for another attempt
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
            again = record is not None and not _begins_anew(record)
            return Request(
                kind,
                disk,
                lambda: self.world.prepare(source, target, **options),
                lambda ident: self._wished(ident, again=again, **options),
            )
        arguments: tuple[Any, ...] = ()
        given = dict(options)
        if kind == "verify":
            arguments = (given.pop("mode"),)

        def act() -> Any:
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
            elif kind == "verify":
                asked.change(verify=arguments[0])
            elif kind == "change":
                asked.change(**options)

        return Request(kind, disk, act, tell, bool(options.get("force")))

    def _wished(self, ident: str, goal: Goal, verify: Verify, soak: float, *, again: bool) -> None:
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
            asked.commit, asked.verify, asked.soak = True, Verify.NONE, 0.0
            asked.commit_forced = asked.commit_forced or request.force

    def prepare(self, disk: str, goal: Goal, verify: Verify, soak: float) -> None:
        self._ask(self._request("prepare", disk, goal=goal, verify=verify, soak=soak))

    def execute(self, disk: str) -> None:
        self._ask(self._request("execute", disk))

    def commit(self, disk: str, force: bool) -> None:
        self._ask(self._request("commit", disk, force=force))

    def abort(self, disk: str, force: bool) -> None:
        self._ask(self._request("abort", disk, force=force))

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
            "change": {"verify": Verify.FULL, "soak": 7 * DAY},
            "verify": {"mode": Verify.FULL},
        }
        self._ask(
            *(self._request(kind, disk, **dict(options.get(kind, {}))) for kind in (one, other))
        )

    def refused(self, disk: str, kind: str, force: bool) -> None:
        """A request when all is at rest: when it is refused nothing may have changed."""
        self.world.cluster.faults = []
        if not self.world.settle(quiet=20.0):  # a write that timed out is done again by then
            return
        options = {"commit": {"force": force}, "abort": {"force": force}, "prepare": {
            "goal": Goal.COMMITTED, "verify": Verify.NONE, "soak": 0.0},
            "verify": {"mode": Verify.FULL}}  # fmt: skip
        request = self._request(kind, disk, **options.get(kind, {}))
        known = self.world.record(f"nvme/{disk}")
        before = self.world.cluster.snapshot()
        (answer,) = self._ask(request)
        record = self.world.record(f"nvme/{disk}")
        if not isinstance(answer, MigrationError) or self.world.cluster.snapshot() == before:
            return
        failed = record is not None and record.state is State.FAILED
        adopted = record is not None and record.adopted and known is None
        if not failed and not adopted:
            raise Broken(f"{request.name} was refused ({answer}) and changed something")

    # -- plans ---------------------------------------------------------------------------------

    def plan_start(self, name: str, goal: Goal, verify: Verify, soak: float) -> None:
        images = tuple(Listed(spec(f"hdd/{disk}"), spec(f"nvme/{disk}")) for disk in DISKS)
        definition = Definition(
            name,
            images=images,
            policy=Policy(goal=goal, verify=verify, soak=soak),
            method=Method.LIVE,
        )

        def start() -> None:
            plans = self.world.engine.plans
            plans.create(definition)
            self.judge.plans.setdefault(name, (goal, verify, soak))
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

    # -- plain rbd and clients -----------------------------------------------------------------

    def plain_rbd(self, disk: str, command: str) -> None:
        images = [f"hdd/{disk}"] if command == "prepare" else []
        try:
            self.world.client("rbd").rbd(command, *images, f"nvme/{disk}")
        except (errors.RbdError, errors.Error):
            return  # refused

    def _usable(self, disk: str) -> bool:
        """Whether a client may open the disk: no prepare and no abort is under way."""
        state = self.judge.disks[disk]
        if state.source is None:
            return self._header(state).link is None
        record = self.judge.record_of(state.source)
        if record is None:
            return True
        return record["prepared_at"] is not None and record["state"] != State.ABORTING.value

    def _header(self, disk: Disk) -> Any:
        pool = self.world.cluster.pool_named(disk.pool)
        return pool.objects[("", f"rbd_header.{disk.ident}")].header

    def client_opens(self, disk: str) -> None:
        state = self.judge.disks[disk]
        if disk in self.open or not self._usable(disk):
            return
        ioctx = self.world.client().ioctx(f"{state.pool}/{disk}")
        ident = state.ident
        try:
            image = rbd_module.Image(ioctx, image_id=ident)
        except (errors.RbdError, errors.Error):
            return
        if state.ident != ident or not self._usable(disk):
            image.close()  # it came too late
            return
        self.open[disk] = image

    def client_closes(self, disk: str) -> None:
        if disk in self.open:
            self.open.pop(disk).close()

    def client_writes(self, disk: str, number: int) -> None:
        state = self.judge.disks[disk]
        if disk in self.open and number * BLOCK < state.size:
            self._writes += 1
            data = block(b"write %d" % self._writes)
            if not self._done(lambda: self.open[disk].write(data, number * BLOCK)):
                return
            state.head[number] = data
            self.judge.client_did(state, "write")

    def client_discards(self, disk: str, number: int) -> None:
        state = self.judge.disks[disk]
        if disk in self.open and number in state.head:
            if not self._done(lambda: self.open[disk].discard(number * BLOCK, BLOCK)):
                return
            del state.head[number]
            self.judge.client_did(state, "discard")

    @staticmethod
    def _done(act: Callable[[], Any]) -> bool:
        """Whether a client could do something."""
        try:
            act()
        except (errors.RbdError, errors.Error):
            return False
        return True

    def _with_image(self, disk: str, act: Callable[[Any], None]) -> bool:
        """As `rbd snap create` and others do it: open, act, close, beside a client or not."""
        state = self.judge.disks[disk]
        if not self._usable(disk):
            return False
        ioctx = self.world.client("rbd").ioctx(f"{state.pool}/{disk}")
        ident = state.ident
        try:
            with rbd_module.Image(ioctx, image_id=ident) as image:
                if state.ident != ident or not self._usable(disk):
                    return False
                act(image)
        except (errors.RbdError, errors.Error):
            return False
        return True

    def snap_create(self, disk: str) -> None:
        state = self.judge.disks[disk]
        self._writes += 1
        name = f"snap{self._writes}"
        if self._with_image(disk, lambda image: image.create_snap(name)):
            state.snapshots[name] = dict(state.head)
            self.judge.client_did(state, "snap_create")

    def snap_remove(self, disk: str) -> None:
        state = self.judge.disks[disk]
        name = min(state.snapshots, default="")
        if name and self._with_image(disk, lambda image: image.remove_snap(name)):
            del state.snapshots[name]
            self.judge.client_did(state, "snap_rm")

    def resize(self, disk: str, size: int) -> None:
        state = self.judge.disks[disk]
        if size * BLOCK == state.size:
            return
        if self._with_image(disk, lambda image: image.resize(size * BLOCK)):
            state.size = size * BLOCK
            state.head = {n: data for n, data in state.head.items() if n < size}
            self.judge.client_did(state, "resize")

    # -- the cluster and time ------------------------------------------------------------------

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
        self.world.leap(days * DAY)


_GOALS = (Goal.PREPARED, Goal.EXECUTED, Goal.COMMITTED)
_VERIFIES = (Verify.NONE, Verify.FULL)
_SOAKS = (0.0, 0.0, 7 * DAY)
_BOTH = (False, True)

Choices = dict[str, Sequence[Any]]
STEPS: dict[str, tuple[int, Choices]] = {
    "prepare": (8, {"disk": DISKS, "goal": _GOALS, "verify": _VERIFIES, "soak": _SOAKS}),
    "execute": (4, {"disk": DISKS}),
    "commit": (3, {"disk": DISKS, "force": _BOTH}),
    "abort": (5, {"disk": DISKS, "force": (False, False, True)}),
    "steer": (3, {"disk": DISKS, "kind": ("pause", "resume", "retry")}),
    "change": (
        3,
        {
            "disk": DISKS,
            "goal": (None, *_GOALS),
            "verify": (None, *_VERIFIES),
            "soak": (None, *_SOAKS),
        },
    ),
    "verify": (1, {"disk": DISKS}),
    "two_at_once": (3, {"disk": DISKS, "one": _BUSY, "other": _BUSY, "force": _BOTH}),
    "refused": (
        2,
        {
            "disk": DISKS,
            "kind": ("abort", "commit", "execute", "pause", "prepare", "retry", "verify"),
            "force": _BOTH,
        },
    ),
    "plan_start": (
        3,
        {"name": ("p", "q"), "goal": _GOALS, "verify": _VERIFIES, "soak": _SOAKS},
    ),
    "plan_cancel": (1, {"name": ("p", "q"), "force": _BOTH}),
    "plain_rbd": (2, {"disk": DISKS, "command": ("abort", "commit", "execute", "prepare")}),
    "client_opens": (4, {"disk": DISKS}),
    "client_closes": (3, {"disk": DISKS}),
    "client_writes": (4, {"disk": DISKS, "number": range(4)}),
    "client_discards": (2, {"disk": DISKS, "number": range(4)}),
    "snap_create": (3, {"disk": DISKS}),
    "snap_remove": (1, {"disk": DISKS}),
    "resize": (1, {"disk": DISKS, "size": range(2, 7)}),
    "kill_worker": (2, {"operations": range(60)}),
    "kill_manager": (2, {"operations": range(60)}),
    "failover": (1, {}),
    "timeouts": (1, {"times": (1, 2, 4), "applied": _BOTH}),
    "freeze": (1, {}),
    "thaw": (1, {}),
    "swap_names": (1, {"pool": ("hdd", "nvme")}),
    "limit": (2, {"steps": (0, 2)}),
    "time_passes": (4, {"seconds": (0.05, 0.5, 5.0)}),
    "days_pass": (1, {"days": (1, 8)}),
}
"""What can happen, how often compared with the others, and what the arguments can be."""

NAMES = tuple(name for name, (weight, _) in STEPS.items() for _ in range(weight))


def random_steps(chance: random.Random, count: int) -> list[Step]:
    """Steps of a random run."""
    found = []
    for _ in range(count):
        name = chance.choice(NAMES)
        choices = STEPS[name][1]
        found.append(Step(name, tuple((key, chance.choice(of)) for key, of in choices.items())))
    return found


def carry_out(seed: int, steps: Sequence[Step]) -> None:
    """A whole run. Raises Broken, or whatever goes wrong in the code under test."""
    with Run(seed) as run:
        for step in steps:
            run.take(step)
        run.end()


def outcome(seed: int, steps: Sequence[Step]) -> str:
    """What is wrong with a run, in one line; empty when nothing is."""
    try:
        carry_out(seed, steps)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def shortest(seed: int, steps: Sequence[Step], alike: Callable[[str], bool]) -> list[Step]:
    """The steps without those that can be left out, for an outcome that ``alike`` accepts."""
    kept = list(steps)
    size = max(1, len(kept) // 2)
    while size:
        at = 0
        while at < len(kept):
            fewer = kept[:at] + kept[at + size :]
            if alike(outcome(seed, fewer)):
                kept = fewer
            else:
                at += size
        size //= 2
    return kept
