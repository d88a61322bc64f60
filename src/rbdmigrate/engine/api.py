"""The one API that every front end calls. Thread-safe; takes and returns plain data."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Container
from dataclasses import replace
from errno import EAGAIN, EINVAL, EPERM
from itertools import chain
from typing import Any, Optional

from ..checks.facts import Wish
from ..cluster.client import connect
from ..cluster.observe import observe
from ..cluster.pools import pool_name
from ..cluster.store import Owner
from ..control.browse import Query, Row, numbers, page
from ..control.guard import guard_abort
from ..control.situation import Situation, diagnose
from ..control.verification import at_least
from ..model.codec import to_plain
from ..model.errors import MigrationError
from ..model.layout import LayoutOptions
from ..model.migration import Goal, Migration, Op, State
from ..model.policy import Policy
from ..model.report import Live, iso, report
from ..model.source_spec import SourceSpec
from ..model.spec import ImageSpec, parse_image_spec
from ..model.verification import Verify
from . import preflight, verifying
from .acts import Acts, arguments, target_version
from .admission import admit
from .answers import Answers
from .conditions import Conditions
from .finder import Finder, awake, refuse_aborting
from .host import Host
from .inquiry import Inquiry
from .loading import Loader
from .loop import Loop
from .preflight import Preflight
from .registry import Registry, Tracked
from .secrets import Secrets
from .throttle import Throttle
from .view import live_hold, render, row, view

log = logging.getLogger(__name__)

# A manager's client must not wait for ever for a pool that is down: a command would hang with it.
_TIMEOUTS = {"rados_osd_op_timeout": "15", "rados_mon_op_timeout": "15"}
_STOP_TIMEOUT = 15.0
_LOAD_PATIENCE = 5.0  # seconds in which healthy pools are read before commands are answered

Report = dict[str, Any]
Reports = list[Report]  # within Engine, list is a method


class Engine:
    """Carries out migrations and answers for them. One engine runs in the active manager."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._client = connect(host.identity, _TIMEOUTS)
        host.on_client(self._client.get_addrs())
        instance = f"{host.manager}.{secrets.token_hex(4)}"
        self._registry = Registry(self._client, Owner(host.generation, instance), host.settings)
        self._conditions = Conditions(host.surroundings, self._registry, host.settings)
        self._throttle = Throttle(host.settings, self._conditions)
        self._acts = Acts(self._client, self._registry, host.manager, host.settings, self._throttle)
        self._loader = Loader(self._client, self._registry, self._fenced)
        self._secrets = Secrets(self._client)
        self._loop = Loop(
            self._client,
            host.identity,
            self._registry,
            self._loader,
            self._acts,
            self._throttle,
            self._conditions,
            self._secrets,
            host.settings,
            self._fenced,
        )
        self._inquiry = Inquiry(host.identity)
        self._preflight = Preflight(
            self._client,
            host.identity.name,
            lambda op, args, least: self._inquiry.ask(op, args, max(least, self._patience())),
            self._acts.blocklist.fenced,
            host.settings,
        )
        self._finder = Finder(self._client, self._registry, self._loader, self._answers)
        self.ended = threading.Event()
        self.ended_reason = ""

    # -- life --------------------------------------------------------------------------------

    def start(self) -> None:
        """Read the records and begin; pools that do not answer are read when they do."""
        self._loader.start(_LOAD_PATIENCE)
        self._conditions.start()
        self._loop.start()

    def stop(self) -> bool:
        """Kill the workers, end the threads; False when a thread does not end. State is kept."""
        self.ended.set()
        self._inquiry.stop()
        self._loader.stop()
        self._conditions.stop()
        clean = self._loop.stop(_STOP_TIMEOUT)  # the workers first
        clean &= self._inquiry.join(_STOP_TIMEOUT)
        clean &= self._loader.join(_STOP_TIMEOUT)
        clean &= self._conditions.join(_STOP_TIMEOUT)
        if clean:
            self._client.shutdown()
        return clean

    def _fenced(self, reason: str) -> None:
        """This manager may write no more: whoever runs the engine stops it."""
        if not self.ended.is_set():
            log.error("the engine stops: %s", reason)
            self.ended_reason = reason
            self.ended.set()

    def problems(self) -> list[str]:
        """What is wrong with the engine itself, one sentence each; empty when all is well."""
        trouble = self._conditions.trouble
        return [*self._loop.problems(), *([trouble] if trouble else [])]

    def silent_pools(self) -> list[str]:
        """Pools that do not answer, one sentence each."""
        return [
            f"The pool {name} does not answer; its migrations are not known yet."
            for name in self._loader.unread()
        ]

    def garbage(self) -> list[str]:
        """Records that cannot be read, one sentence each."""
        return [
            f"{g.store}: key {g.key} of the object rbd_migration: {g.reason}"
            for g in self._registry.garbage
        ]

    # -- reading -----------------------------------------------------------------------------

    def list(
        self, *, ended: bool = False, states: Optional[Container[State]] = None
    ) -> list[Report]:
        """All migrations under way, the oldest first; with ``ended`` also those of the history.

        ``states``: only those under way that are in one of these.
        """
        tracked = self._registry.all()
        if states is not None:
            tracked = [t for t in tracked if t.migration.state in states]
        reports = [view(t) for t in tracked]
        if ended:
            reports += [report(m, Live()) for m in self._registry.history(self._loader.pools())]
        return reports

    def browse(self, query: Query) -> tuple[int, Reports]:
        """How many migrations ``query`` finds, and the page of them that it asks for."""
        ended = self._registry.history(self._loader.pools()) if query.ended else []
        rows = chain(map(row, self._registry.all()), (Row(m, m) for m in ended))
        return page(rows, query, render)

    def summary(self) -> dict[str, Any]:
        """All migrations under way in numbers."""
        return numbers(map(row, self._registry.all()), live_hold, render)

    def throughput(self) -> Reports:
        """Bytes per second of all copies over the last hour, and the throttle, the oldest first."""
        return [
            {"at": iso(point.at), "rate": int(point.rate), "limit": point.limit}
            for point in self._throttle.trend()
        ]

    def history(self, *, since: Optional[float] = None) -> Reports:
        """Ended migrations, the latest first. ``since``: only those that ended since this time."""
        ended = self._registry.history(self._loader.pools())
        if since is not None:
            ended = [m for m in ended if (m.ended_at or 0.0) >= since]
        return [report(m, Live()) for m in ended]

    def get(self, target: ImageSpec) -> Report:
        """The migration to ``target``, the last ended one when none is under way.

        One that plain ``rbd migration prepare`` made is taken over. MigrationError(ENOENT).
        """
        with self._answers(target):
            tracked = self._finder.find(target)
            return view(tracked) if tracked else report(self._finder.ended(target), Live())

    def spec(self, text: str, what: str = "target") -> ImageSpec:
        """The image spec of a user's text, with ``rbd_default_pool`` where it names no pool."""
        default = self._client.conf_get("rbd_default_pool") or "rbd"
        return parse_image_spec(text, default, what)

    def check(
        self, source: ImageSpec, target: Optional[ImageSpec], layout: LayoutOptions
    ) -> dict[str, Any]:
        """What preflight finds about such a migration; changes nothing (``target`` None: in place).

        Raises MigrationError when the cluster does not answer.
        """
        return self._check(Wish(source, target or source, layout))

    def check_import(
        self,
        spec: SourceSpec,
        target: ImageSpec,
        layout: LayoutOptions,
        *,
        inline: bool = False,
        logged: bool = False,
    ) -> dict[str, Any]:
        """The same for an import; see :meth:`prepare_import`."""
        wish = self._import_wish(spec, target, layout)
        return self._check(replace(wish, inline=inline, logged=logged))

    # -- acting ------------------------------------------------------------------------------

    def prepare(
        self,
        source: ImageSpec,
        target: Optional[ImageSpec],
        layout: LayoutOptions,
        policy: Policy = Policy(),  # noqa: B008 - frozen
    ) -> Report:
        """Begin a migration. The same request twice is one migration.

        ``target`` None: in place. Raises MigrationError for every refusal, having changed nothing.
        """
        goal_spec = target or source
        self._finder.require_read(goal_spec)
        with self._finder.admission, self._answers(goal_spec):
            tracked = self._finder.repeated(source, goal_spec, layout, policy.goal)
            if tracked is None:
                facts = self._preflight.gather(Wish(source, goal_spec, layout))
                tracked = self._registry.create(admit(facts, policy))
            else:
                self._registry.update(tracked, lambda m: verifying.stricter(m, policy.verify))
        self._loop.wake(tracked)
        return self._prepared(tracked)

    def prepare_import(
        self,
        spec: SourceSpec,
        target: ImageSpec,
        layout: LayoutOptions,
        policy: Policy = Policy(),  # noqa: B008 - frozen
        *,
        inline: bool = False,
        logged: bool = False,
    ) -> Report:
        """Begin to import a source from outside. The same request twice is one migration.

        ``inline``: librbd keeps the source's secrets in the target's header, where whoever may
        read the image sees them. ``logged``: they came by a way that is written into a log.
        Raises MigrationError for every refusal, having changed nothing.
        """
        self._finder.require_read(target)
        with self._finder.admission, self._answers(target):
            wish = self._import_wish(spec, target, layout)
            wish = replace(wish, inline=inline, logged=logged)
            tracked = self._finder.imported(wish, policy.goal)
            if tracked is None:
                m = admit(self._preflight.gather(wish), policy)
                with self._secrets.stored(m, spec):
                    tracked = self._registry.create(m)
            else:
                self._secrets.renew(tracked.migration, spec)
                self._registry.update(tracked, lambda m: verifying.stricter(m, policy.verify))
        self._loop.wake(tracked)
        return self._prepared(tracked)

    def _prepared(self, tracked: Tracked) -> Report:
        try:
            return self._await(tracked, _PREPARED)
        except MigrationError:
            self._forget_refused(tracked)
            raise

    def execute(self, target: ImageSpec) -> Report:
        """Copy in the background; answers at once."""
        tracked = self._finder.require(target)
        refuse_aborting(tracked)
        m = tracked.migration
        if m.state is State.FAILED and m.failure is not None:
            raise MigrationError(
                EINVAL,
                f"It failed before: {m.failure.message} Mend the cause, then "
                f"`ceph rbd migration retry {target}`.",
            )
        if m.goal is Goal.PREPARED:
            self._change(tracked, lambda m: replace(m, goal=Goal.EXECUTED))
        return view(tracked)

    def commit(self, target: ImageSpec, *, force: bool = False) -> Report:
        """Finish: cut the target loose and remove the source."""
        tracked = self._finder.require(target)
        refuse_aborting(tracked)
        m = tracked.migration
        executed = m.state in _EXECUTED
        if not executed and not (m.state is State.FAILED and m.executed_at is not None):
            raise MigrationError(
                EAGAIN,
                f"{target} is {m.state.value}, not executed yet, so committing would lose data; "
                f"run `ceph rbd migration execute {target}` and wait until it is executed.",
            )
        if not force:
            verifying.refuse_unverified(m)
            self._inquiry.ask("check_commit", arguments(m), self._patience())
        self._change(tracked, lambda m: verifying.to_commit(awake(m), force=force))
        if force:
            self._loop.interrupt(tracked, "committed without waiting")
        return self._await(tracked, frozenset({State.COMMITTED}))

    def abort(self, target: ImageSpec, *, force: bool = False) -> Report:
        """Go back: stop the copy, remove the target and give the source back.

        Refused without ``force`` when clients may have written to the target.
        """
        tracked = self._finder.require(target)
        if tracked.migration.state is State.COMMITTING:
            raise MigrationError(
                EINVAL, f"{target} is being committed; there is no way back any more."
            )
        self._guard_abort(tracked, force=force)
        self._change(tracked, lambda m: replace(awake(m), goal=Goal.ABORTED))
        self._loop.interrupt(tracked, "aborted")
        return self._await(tracked, frozenset({State.ABORTED}))

    def pause(self, target: ImageSpec, *, force: bool = False) -> Report:
        """Stop the copy where it is and start no further act; clients' writes flow on.

        A copy that a client makes itself, as holder of the exclusive lock, goes on, unless
        ``force`` takes the lock from it; then writes that it is at fail with EROFS.
        """
        tracked = self._finder.require(target)
        refuse_aborting(tracked)
        with self._answers(target):
            self._acts.peek(tracked)
        self._change(tracked, lambda m: replace(m, paused=True))
        if tracked.copied_by and not force:
            return view(tracked)
        tracked.take_lock = force
        self._loop.interrupt(tracked, "paused")
        self._registry.wait(lambda: not tracked.busy, self._host.settings().command_wait)
        return view(tracked)

    def resume(self, target: ImageSpec) -> Report:
        """Go on where a pause stopped."""
        tracked = self._finder.require(target)
        tracked.uncontrolled = ""
        self._change(tracked, lambda m: replace(m, paused=False))
        return view(tracked)

    def retry(self, target: ImageSpec) -> Report:
        """Try a failed migration again, and one that waits for its next attempt at once."""
        tracked = self._finder.require(target)
        m = tracked.migration
        if m.state is not State.FAILED and m.hold is None:
            raise MigrationError(
                EINVAL, f"The migration to {target} has not failed, it is {m.state.value}."
            )
        self._acts.forgive(m)
        self._change(tracked, lambda m: verifying.again(awake(m)))
        return view(tracked)

    def verify(self, target: ImageSpec, mode: Verify) -> Report:
        """Compare source and target in the background, from the beginning; answers at once."""
        tracked = self._finder.require(target)
        refuse_aborting(tracked)
        verifying.require_executed(tracked.migration)
        self._change(tracked, lambda m: verifying.asked_to_verify(awake(m), mode))
        self._loop.interrupt(tracked, "verified anew")
        return view(tracked)

    def change(
        self,
        target: ImageSpec,
        *,
        rate: Optional[int] = None,
        change_rate: bool = False,
        priority: Optional[int] = None,
        goal: Optional[Goal] = None,
        window: Optional[str] = None,
        verify: Optional[Verify] = None,
        soak: Optional[float] = None,
    ) -> Report:
        """Change what was asked of a migration under way; None leaves a thing as it is.

        ``rate`` (bytes per second, None: no limit) counts when ``change_rate`` is set. ``window``
        is a text that ``control.window`` reads; empty is always. ``soak``: seconds.
        """
        tracked = self._finder.require(target)
        refuse_aborting(tracked)

        def change(m: Migration) -> Migration:
            m = replace(m, rate=rate) if change_rate else m
            m = replace(m, priority=priority) if priority is not None else m
            m = replace(m, window=window) if window is not None else m
            m = replace(m, verify=verify) if verify is not None else m
            m = replace(m, soak=soak) if soak is not None else m
            m = replace(m, goal=goal) if goal is not None else m
            return replace(m, verify=at_least(m.goal, m.verify))

        self._change(tracked, change)
        m = tracked.migration
        if m.verification is not None and m.verification.mode is not m.verify:
            self._loop.interrupt(tracked, "another verification is wanted")
        return view(tracked)

    def cluster_rate(self) -> Optional[int]:
        """The cluster's throttle in force now, in bytes per second; None is no limit."""
        return self._throttle.cluster_rate()

    def conditions(self) -> dict[str, Any]:
        """The health gates that are not open, and the latency guard (None: it is off)."""
        return self._conditions.to_plain()

    # -- within ------------------------------------------------------------------------------

    def _check(self, wish: Wish) -> dict[str, Any]:
        with self._answers(wish.target):
            return preflight.check(self._preflight, wish)

    def _import_wish(self, spec: SourceSpec, target: ImageSpec, layout: LayoutOptions) -> Wish:
        """A native source is called by its place, any other by its label."""
        source = ImageSpec("", "", spec.label())
        if spec.format == "native" and spec.cluster_name is None:
            pool = spec.pool_name or pool_name(self._client, spec.pool_id or 0)
            image = spec.label().rpartition("/")[2]
            source = ImageSpec(pool, spec.pool_namespace or "", image)
        return Wish(source, target, layout, spec)

    def _forget_refused(self, tracked: Tracked) -> None:
        """A prepare that was refused changed nothing, so nothing is to be remembered of it."""
        m = tracked.migration
        with self._answers(m.target.spec):
            situation = diagnose(m, observe(self._client, m))
            if m.imported is not None and situation is Situation.HALF_PREPARED:
                self._change(tracked, lambda m: replace(awake(m), goal=Goal.ABORTED))
            if situation is not Situation.UNTOUCHED or m.prepared_at is not None:
                return
            if m.imported is not None:
                if self._registry.claim(tracked, 5.0):
                    self._secrets.forget(m)
                    self._registry.drop(tracked)
            elif m.point and verifying.has_point(self._client, m):
                self._change(tracked, lambda m: replace(awake(m), goal=Goal.ABORTED))
            elif self._registry.claim(tracked, 5.0):
                self._registry.drop(tracked)

    def _examine(self, m: Migration) -> dict[str, Any]:
        """Who has the target open, and its features.

        An import that is not executed is not opened: librbd would open its source too, which may
        be gone, or worse.
        """
        blind = m.imported is not None and not m.imported.native and m.executed_at is None
        args = {
            "image": to_plain(m.target),
            "fenced": self._acts.blocklist.fenced(),
            "blind": blind,
        }
        return self._inquiry.ask("examine", args, self._patience())

    def _guard_abort(self, tracked: Tracked, *, force: bool) -> None:
        m = tracked.migration
        if m.prepared_at is None or not m.target.image_id:
            return
        with self._answers(m.target.spec):
            situation = diagnose(m, observe(self._client, m))
        if situation not in _ABORTABLE:
            if situation is Situation.SOURCE_LOST and not force:
                raise MigrationError(
                    EPERM,
                    f"The source of {m.target.spec} is gone; add --force to keep what was copied "
                    "of it as an ordinary, incomplete image.",
                )
            return
        found = self._examine(m)
        ours = m.step.actor.clients if m.step is not None else ()
        others = [user for user in found["users"] if user["client"] not in ours]
        if m.step is not None and m.step.op is Op.EXECUTE:
            version = m.target_version  # our own copy writes the header all the time
        else:
            version = target_version(self._client, m)
        guard_abort(m, others, version, locks=found["locks"], force=force)

    def _patience(self) -> float:
        return max(10.0, self._host.settings().command_wait)

    def _change(self, tracked: Tracked, change: Callable[[Migration], Migration]) -> None:
        with self._answers(tracked.migration.target.spec):
            self._registry.update(tracked, change)
        self._loop.wake(tracked)

    def _await(self, tracked: Tracked, wanted: frozenset[State]) -> Report:
        """Wait for the outcome of a short act; raises what made it fail, if that was soon."""

        def settled() -> bool:
            m = tracked.migration
            return m.state in wanted or m.state is State.FAILED or m.failure is not None

        self._registry.wait(settled, self._host.settings().command_wait)
        failure = tracked.migration.failure
        if tracked.migration.state is State.FAILED and failure is not None:
            raise MigrationError(failure.errno, failure.message)
        return view(tracked)

    def _answers(self, target: ImageSpec) -> Answers:
        return Answers(target, self.ended.is_set(), self._fenced)


_ABORTABLE = (Situation.PREPARED, Situation.EXECUTING, Situation.EXECUTED)
_EXECUTED = (State.EXECUTED, State.VERIFYING, State.VERIFIED, State.COMMITTING)
_PREPARED = frozenset(State) - {State.QUEUED, State.PREPARING}


__all__ = ["Engine", "Host", "Report"]
