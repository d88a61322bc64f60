"""Checking a plan: preflight of each of its images, in the background. Changes nothing."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from contextlib import closing
from errno import EAGAIN
from functools import partial
from typing import Any, Optional

import rados

from ...checks.clients import ABOUT_KEYS
from ...checks.facts import Facts
from ...cluster.client import error_number
from ...control.plans.waves import Move, needs, seconds
from ...model.errors import MigrationError, errno_text
from ...model.plan import Definition, Item
from ...model.report import iso
from ...model.states import Goal
from ..caller import access
from ..requests.methods import for_check
from ..requests.preflight import Preflight, report
from .create import ItemStarter
from .lookahead import Lookahead

log = logging.getLogger(__name__)

_FRESH = 600.0  # seconds for which a result that nobody has seen is kept
_KEPT = 16  # checks that are kept: one may have 10,000 images with findings
_AT_ONCE = 8  # checks that run


class _Check:
    """A check that runs or has ended. Its fields are written by its thread alone."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.total: Optional[int] = None
        self.found: list[dict[str, Any]] = []
        self.moves: list[Move] = []
        self.free: dict[str, Optional[int]] = {}
        self.problem = ""
        self.ended: Optional[float] = None
        self.shown = False
        self.wanted = True  # its plan is there, and unchanged


class PlanChecks:
    """The checks of plans. ``rate``: the cluster's throttle. Thread-safe."""

    def __init__(
        self,
        *,
        preflight: Preflight,
        starter: ItemStarter,
        select: Callable[[Definition], list[Item]],
        rate: Callable[[], Optional[int]],
    ) -> None:
        self._preflight = preflight
        self._starter = starter
        self._select = select
        self._rate = rate
        self._lock = threading.Condition()
        self._checks: dict[str, _Check] = {}
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self._ahead = Lookahead("look")

    def stop(self) -> None:
        """End the threads; :meth:`join` waits for them."""
        self._stopping.set()
        self._ahead.stop()

    def join(self, timeout: float) -> bool:
        """Wait for the threads' end; False when one is still there."""
        deadline = time.monotonic() + timeout
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(max(0.1, deadline - time.monotonic()))
        return self._ahead.join(timeout) and not any(thread.is_alive() for thread in threads)

    def check(
        self, definition: Definition, frozen: Optional[list[Item]], patience: float
    ) -> dict[str, Any]:
        """What is found so far, after at most ``patience`` seconds.

        ``frozen``: the items, where they are chosen already. One check of a plan runs at a time;
        what it found is shown to whoever asks next, and then a new one begins.
        MigrationError(EAGAIN) when too many checks run.
        """
        with self._lock:
            check = self._checks.get(definition.name)
            if check is None or _stale(check, definition):
                check = self._begin(definition, frozen)
            self._checks[definition.name] = self._checks.pop(definition.name)  # the last one now
            ended = self._lock.wait_for(lambda: check.ended is not None, patience)
            check.shown = ended
            return self._report(check)

    def forget(self, plan: str) -> None:
        """Drop the last check of a plan that is gone or changed; one that runs ends."""
        with self._lock:
            check = self._checks.pop(plan, None)
            if check is not None:
                check.wanted = False

    def _begin(self, definition: Definition, frozen: Optional[list[Item]]) -> _Check:
        """Begin a check. Those that were asked for the longest time ago make room for it."""
        self.forget(definition.name)
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        if len(self._threads) >= _AT_ONCE:
            raise MigrationError(
                EAGAIN,
                f"{len(self._threads)} plans are being checked; try again when one is done.",
            )
        ended = [name for name, check in self._checks.items() if check.ended is not None]
        for name in ended[: max(0, len(self._checks) + 1 - _KEPT)]:
            del self._checks[name]
        check = self._checks[definition.name] = _Check(definition)
        thread = threading.Thread(
            target=self._run, args=(check, frozen), name="rbdmigrate-check", daemon=True
        )
        self._threads.append(thread)
        thread.start()
        return check

    # -- the thread --------------------------------------------------------------------------

    def _run(self, check: _Check, frozen: Optional[list[Item]]) -> None:
        try:
            items = frozen if frozen is not None else self._select(check.definition)
            check.total = len(items)
            look = partial(self._look, check.definition)
            with closing(self._ahead.in_order(look, items)) as looks:
                for item, found in looks:
                    if self._stopping.is_set() or not check.wanted:
                        return
                    self._one(check, item, found)
        except CancelledError:
            return  # this manager gives up its role
        except MigrationError as error:
            check.problem = str(error)
        except rados.Error as error:
            text = errno_text(error_number(error))
            check.problem = f"The cluster did not answer ({text}); look at `ceph health`."
        except Exception:
            log.exception("the check of the plan %s failed", check.definition.name)
            check.problem = "An error in the module; the manager's log has the details."
        finally:
            with self._lock:
                check.ended = time.time()
                self._lock.notify_all()

    def _look(self, definition: Definition, item: Item) -> Facts:
        request = self._starter.request(item, definition)
        return self._preflight.gather(request, order=False, recent=True)

    def _one(self, check: _Check, item: Item, look: Future[Facts]) -> None:
        try:
            facts = look.result()
        except MigrationError as error:
            found = _silent(item, error)
        else:
            facts = for_check(facts, check.definition.policy)
            found = report(facts)
            _count(check, facts)
        with self._lock:
            check.found.append(found)
            self._lock.notify_all()

    # -- the answer --------------------------------------------------------------------------

    def _report(self, check: _Check) -> dict[str, Any]:
        definition = check.definition
        pools = needs(check.moves, definition.wave)
        total = sum(move.bytes for move in check.moves)
        blocked = sum(not found["ok"] for found in check.found)
        short = [
            name
            for name, need in pools.items()
            if (free := check.free.get(name)) is not None and need.peak > free
        ]
        done = check.ended is not None
        return {
            "plan": definition.name,
            "done": done,
            "checked": len(check.found),
            "total": check.total,
            "ok": done and not check.problem and not blocked and not short,
            "blocked": blocked,
            "problem": check.problem,
            "bytes_to_copy": total,
            "seconds": seconds(total, (definition.rate, self._rate())),
            "pools": [
                {
                    "pool": name,
                    "bytes_needed": need.peak,
                    "bytes_in_all": need.total,
                    "bytes_free": check.free.get(name),
                    "fits": name not in short,
                }
                for name, need in sorted(pools.items())
            ],
            "ended": iso(check.ended),
            "items": [_shown(found) for found in check.found],
        }


def _shown(found: dict[str, Any]) -> dict[str, Any]:
    """What is found about an image, as far as the caller may see it."""
    if access().unrestricted:
        return found
    findings = [f for f in found["findings"] if f["code"] not in ABOUT_KEYS]
    return {**found, "findings": findings}


def _stale(check: _Check, definition: Definition) -> bool:
    """Whether a new check has to begin."""
    if check.definition != definition:
        return True
    if check.ended is None:
        return False
    return check.shown or time.time() - check.ended > _FRESH


def _count(check: _Check, facts: Facts) -> None:
    request = facts.request
    size = facts.to_copy or 0
    goes = check.definition.policy.goal is Goal.COMMITTED and request.spec is None
    frees = size if goes else 0
    check.moves.append(Move(request.data_pool, size, request.source.pool, frees))
    pool = facts.pools.get(request.data_pool)
    check.free[request.data_pool] = None if pool is None else pool.max_avail


def _silent(item: Item, error: MigrationError) -> dict[str, Any]:
    """An image about which nothing could be found out."""
    finding = {
        "code": "NOT_CHECKED",
        "severity": "error",
        "object": str(item.source),
        "message": str(error),
        "remedy": "",
    }
    return {
        "source": str(item.source),
        "target": str(item.target),
        "ok": False,
        "method": None,
        "methods": [],
        "bytes_to_copy": None,
        "bytes_free": None,
        "findings": [finding],
    }
