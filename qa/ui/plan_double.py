"""Plans of the test double: reports and checks as the API gives them, with no engine behind.

Plan files are read, images chosen and waves counted by the project's own code; what becomes of an
image hangs on its name: ``used`` waits, ``broken`` fails, ``clone`` has a warning.
"""

import itertools
import time
from collections.abc import Iterable
from errno import EBUSY, EEXIST, EINVAL, ENOENT
from typing import Any

from rbdmigrate.control.plans import waves
from rbdmigrate.control.plans.plan_file import parse_plan
from rbdmigrate.control.plans.progress import shown_state, time_left
from rbdmigrate.control.plans.selection import choose
from rbdmigrate.control.plans.waves import ENDED, Phase
from rbdmigrate.model.client_warnings import warnings_for_plan
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.plan import Candidate, Definition, Plan, PlanState
from rbdmigrate.model.report import iso
from rbdmigrate.model.states import Method

from .plan_answers import Args, found_of, next_of, problems_of, row_of, timeline_of
from .plan_case import GIB, MIB, Image, PlanCase

_MOVING = (PlanState.STARTING, PlanState.RUNNING, PlanState.PAUSED, PlanState.STOPPED)


class PlansDouble:
    """The plans of the double. ``pools``: the existing images; ``rate``: of a plan's copies."""

    def __init__(self, plans: Iterable[PlanCase] = (), rate: float = 100.0 * MIB) -> None:
        self.plans = {case.definition.name: case for case in plans}
        self.rate = rate
        self.free = 900 * GIB  # of a pool
        self.step = 1000  # images that a check proceeds per request
        names = [f"vm-{n:03d}" for n in range(1, 29)]
        self.pools = {
            "hdd": [Candidate(name, 2 * GIB) for name in (*names, "vm-029-clone", "vm-030-used")]
        }
        self._ids = itertools.count(0x5EED)
        self._moved = time.time()

    def answer(self, route: str, name: str, args: Args) -> Any:
        """Return the body of an answer. Raises MigrationError."""
        self._move(time.time())
        if route == "plan_ls":
            return [self._report(self.plans[name], False) for name in sorted(self.plans)]
        if route in ("plan_create", "plan_apply"):
            return self._report(self._keep(parse_plan(args["file"], "rbd"), route == "plan_apply"))
        case = self.plans.get(name)
        if case is None:
            raise MigrationError(ENOENT, f"There is no plan {name!r}; `ceph rbd migration plan ls` "
                                 "lists all plans.")  # fmt: skip
        if route == "plan_check":
            return self._check(case)
        if route == "plan_skip":
            self._skip(case, args["image"])
        elif route != "plan_show":
            getattr(self, f"_{route[5:]}")(case)
        return self._report(case)

    # -- acting ------------------------------------------------------------------------------

    def _keep(self, definition: Definition, change: bool) -> PlanCase:
        name = definition.name
        known = self.plans.get(name)
        if known is not None and known.definition != definition and not change:
            raise MigrationError(EEXIST, f"There is another plan {name!r}; `ceph rbd migration "
                                 "plan apply` changes it, or give this one another "
                                 "name.")  # fmt: skip
        if known is None or known.state is PlanState.DRAFT or known.state.ended:
            self.plans[name] = PlanCase(definition)
        elif known.definition.moves != definition.moves:
            raise MigrationError(EBUSY, f"The plan {name!r} is {known.state.value}: its images "
                                 "and where they go stay as they are.")  # fmt: skip
        else:
            known.definition = definition
        return self.plans[name]

    def _start(self, case: PlanCase) -> None:
        case.images = self._chosen(case.definition)
        case.state, case.started = PlanState.RUNNING, time.time()
        self._begin(case)

    def _pause(self, case: PlanCase) -> None:
        self._to(case, PlanState.PAUSED, "there is nothing to pause")

    def _resume(self, case: PlanCase) -> None:
        case.forgiven = case.count(Phase.FAILED)
        self._to(case, PlanState.RUNNING, "there is nothing to resume")

    def _retry(self, case: PlanCase) -> None:
        for image in case.images:
            if image.phase is Phase.FAILED:
                image.phase, image.message, image.copied = Phase.QUEUED, "", 0
        case.forgiven = 0
        if case.state in (PlanState.STOPPED, PlanState.DONE):
            case.state, case.ended = PlanState.RUNNING, None

    def _skip(self, case: PlanCase, name: str) -> None:
        found = [image for image in case.images if name in (image.source, image.target)]
        if not found:
            raise MigrationError(ENOENT, f"No image of the plan {case.definition.name!r} is called "
                                 f"{name}; `ceph rbd migration plan show {case.definition.name}` "
                                 "lists its images.")  # fmt: skip
        if found[0].phase not in (Phase.QUEUED, Phase.WAITING):
            raise MigrationError(EINVAL, f"{found[0].source} of the plan {case.definition.name!r} "
                                 f"is {found[0].phase.value}, so it cannot be skipped; `ceph rbd "
                                 f"migration status {found[0].target}` shows its "
                                 "migration.")  # fmt: skip
        found[0].end(Phase.SKIPPED, "It was skipped.")

    def _cancel(self, case: PlanCase) -> None:
        for image in case.images:
            if image.phase not in ENDED:
                image.end(Phase.CANCELLED)
        case.state, case.ended = PlanState.CANCELLED, time.time()

    def _rm(self, case: PlanCase) -> None:
        if case.state in (*_MOVING, PlanState.CANCELLING):
            raise self._refusal(case, "cancel it first")
        del self.plans[case.definition.name]

    def _to(self, case: PlanCase, state: PlanState, otherwise: str) -> None:
        if case.state not in _MOVING:
            raise self._refusal(case, otherwise)
        case.state = state

    def _refusal(self, case: PlanCase, what: str) -> MigrationError:
        text = f"The plan {case.definition.name!r} is {case.state.value}; {what}."
        return MigrationError(EINVAL, text)

    def _chosen(self, definition: Definition) -> "list[Image]":
        """Return the images that a plan selects if it starts now."""
        sizes = {
            f"{pool}/{one.name}": one.size for pool, there in self.pools.items() for one in there
        }
        found = choose(
            definition,
            lambda selector: self.pools.get(selector.pool, []),
            lambda: f"{next(self._ids):012x}",
        )
        return [
            Image(str(one.source), str(one.target), one.ident,
                  sizes.get(str(one.source), 10 * GIB))
            for one in found
        ]  # fmt: skip

    # -- the clock ---------------------------------------------------------------------------

    def _move(self, now: float) -> None:
        passed, self._moved = now - self._moved, now
        for case in self.plans.values():
            if case.state is PlanState.RUNNING:
                self._copy(case, passed)
                self._begin(case)

    def _copy(self, case: PlanCase, passed: float) -> None:
        copying = [image for image in case.images if image.phase is Phase.RUNNING]
        for image in copying:
            image.copied = min(image.size, image.copied + int(self.rate * passed / len(copying)))
            if "broken" in image.source and image.copied > image.size / 2:
                image.end(Phase.FAILED, f"The image {image.source} could not be read.")
            elif image.copied == image.size:
                image.end(Phase.DONE)

    def _begin(self, case: PlanCase) -> None:
        definition = case.definition
        step = waves.next_step(case.phases(), definition.wave, definition.stop_after, case.forgiven)
        for number in step.begin:
            image = case.images[number]
            used = "used" in image.source
            image.phase = Phase.WAITING if used else Phase.RUNNING
            image.message = f"{image.source} is in use by client.4711; stop it." if used else ""
        if step.stop:
            case.state = PlanState.STOPPED
        elif step.done:
            case.state, case.ended = PlanState.DONE, time.time()

    # -- answers -----------------------------------------------------------------------------

    def _report(self, case: PlanCase, items: bool = True) -> Args:
        definition, phases = case.definition, case.phases()
        rows = [row_of(image, n // definition.wave + 1) for n, image in enumerate(case.images)]
        running = case.state is PlanState.RUNNING and Phase.RUNNING in phases
        total = sum(row["bytes_total"] or 0 for row in rows)
        copied = sum(row["bytes_copied"] for row in rows)
        rate = int(self.rate) if running else 0
        sizes = [row["bytes_total"] for row in rows]
        report = {
            "name": definition.name,
            "state": shown_state(Plan(definition, case.state, case.created), phases),
            "goal": definition.policy.goal.value,
            "method": (definition.method or Method.LIVE).value,
            "verify": definition.policy.verify.value,
            "priority": definition.policy.priority,
            "rate_limit": definition.rate,
            "max_copies": definition.max_copies,
            "window": definition.policy.window or None,
            "wave": waves.next_step(phases, definition.wave, 0).wave if rows else 0,
            "waves": waves.waves(len(rows), definition.wave) if rows else 0,
            "wave_size": definition.wave,
            "stop_after_failures": definition.stop_after,
            "wait_seconds": None if definition.wait is None else int(definition.wait),
            "total": len(rows),
            "counts": waves.counts(phases),
            "percent": sum(row["percent"] for row in rows) // len(rows) if rows else 0,
            "bytes_total": total,
            "bytes_copied": copied,
            "rate": rate,
            "eta_seconds": (total - copied) // rate if rate else None,
            "eta_total_seconds": time_left(phases, sizes, copied, rate) if rate else None,
            "seconds": int((case.ended or time.time()) - case.started) if case.started else None,
            "problems": problems_of(case, rows),
            "warnings": [warning.to_plain() for warning in warnings_for_plan(case.state)],
            "created": iso(case.created),
            "started": iso(case.started),
            "ended": iso(case.ended),
            "next": next_of(case),
            "selects": [f"{one.pool}/{one.regex or one.name}" for one in definition.select],
            "pools": sorted({pool for pool, _ in definition.places()}),
        }
        return {**report, "items": rows, "timeline": timeline_of(case)} if items else report

    def _check(self, case: PlanCase) -> Args:
        open_ = [image for image in case.images if image.phase in (Phase.QUEUED, Phase.WAITING)]
        problem = ""
        try:
            images = open_ if case.images else self._chosen(case.definition)
        except MigrationError as error:
            images, problem = [], str(error)
        case.looked = min(len(images), case.looked + self.step)
        seen, done = images[: case.looked], case.looked == len(images)
        if done:
            case.looked = 0  # the next request starts a new check
        definition = case.definition
        found = [found_of(image, self.free) for image in seen]
        moves = [waves.Move(image.target.split("/")[0], image.size) for image in seen]
        pools = [
            {"pool": name, "bytes_needed": need.peak, "bytes_in_all": need.total,
             "bytes_free": self.free, "fits": need.peak <= self.free}
            for name, need in sorted(waves.needs(moves, definition.wave).items())
        ]  # fmt: skip
        total = sum(image.size for image in seen)
        blocked = sum(not one["ok"] for one in found)
        fits = all(pool["fits"] for pool in pools)
        return {
            "plan": definition.name,
            "done": done,
            "checked": len(seen),
            "total": None if problem else len(images),
            "ok": done and not problem and not blocked and fits,
            "blocked": blocked,
            "problem": problem,
            "bytes_to_copy": total,
            "seconds": waves.seconds(total, (definition.rate,)),
            "pools": pools,
            "ended": iso(time.time()) if done else None,
            "items": found,
        }
