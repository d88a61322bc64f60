"""A test double of the API: the same questions and answers, with no cluster behind them.

Copies make progress with the clock. Only what the page needs is kept true: it says nothing about
how the engine decides.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timezone
from errno import EAGAIN, EBUSY, EINVAL, ENOENT, EPERM
from typing import Any, Optional
from urllib.parse import parse_qsl, unquote

from rbdmigrate.control.timetable import Timetable, parse_rate, parse_timetable, rate_at
from rbdmigrate.control.window import parse_window
from rbdmigrate.model.errors import MigrationError, errno_name
from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.migration import Goal, Hold, HoldReason, Migration, Place, State
from rbdmigrate.model.report import Live
from rbdmigrate.model.spec import parse_image_spec
from rbdmigrate.model.units import parse_seconds
from rbdmigrate.model.verification import Outcome, Verification, Verify

from .scenes import GIB, MIB, Item

BASE = "/api/block/migration"
_RATE = 64 * MIB  # of a copy that runs

Answer = "tuple[int, dict[str, str], Any]"
Args = dict[str, Any]


class Double:
    """Answers requests. ``rights``: what the user may; ``key``: the API key that is wanted."""

    def __init__(
        self,
        items: Iterable[Item] = (),
        ended: Iterable[Item] = (),
        *,
        rights: Iterable[str] = ("create", "update"),
        key: Optional[str] = None,
    ) -> None:
        self._lock = threading.RLock()
        self.items = {one.report()["target"]: one for one in items}
        self.ended = list(ended)
        self.rights = set(rights)
        self.key = key
        self.logged_in = True
        self.starting = False  # answers 503
        self.gates: list[dict[str, Any]] = []
        self.guarded: set[str] = set()  # targets whose commit and abort want force
        self.timetable, self.zone, self.window = "off", "UTC", ""
        self.pools: dict[str, Optional[int]] = {}
        self.guard: Optional[float] = None
        self.limits = {"max_copies": 4, "per_source_pool": 0, "per_target_pool": 0,
                       "max_steps": 2, "max_verifies": 2}  # fmt: skip
        self.requests: list[str] = []
        self._moved = time.time()

    def answer(self, method: str, address: str, headers: Any, body: Any) -> Any:
        """Status, headers and body of a request; ``address`` is what follows ``BASE``."""
        path, _, query = address.partition("?")
        with self._lock:
            self.requests.append(f"{method} {address}")
            if not self.logged_in:
                return _refusal(401, EPERM, "Nobody is logged in.")
            if self.key is not None and headers.get("Authorization") != f"Bearer {self.key}":
                status, more, text = _refusal(401, EPERM, "The API key is not known.")
                return status, {**more, "WWW-Authenticate": 'Bearer realm="rbd_migration"'}, text
            if self.starting:
                return _refusal(503, EAGAIN, "rbd_migration is still reading its records; try "
                                "again in a few seconds.")  # fmt: skip
            needed = _right(method, path)
            if needed and needed not in self.rights:
                return _refusal(403, EPERM, f"Access denied: {needed} is not allowed.")
            try:
                self._move(time.time())
                return self._route(method, path, dict(parse_qsl(query)), body or {})
            except MigrationError as error:
                missing = error.errno == ENOENT and path.startswith("/at/")
                return _refusal(404 if missing else 400, error.errno, str(error))

    def _route(self, method: str, path: str, query: "dict[str, str]", body: Args) -> Any:
        words = [unquote(word) for word in path.split("/") if word]
        if not words:
            return self._list(query) if method == "GET" else (201, {}, self._create(body))
        if words[0] == "at":
            found = self._find(words[1])
            if len(words) == 3:
                return 200, {}, self._act(found, words[2], body)
            return 200, {}, self._set(found, body) if method == "PUT" else found.report()
        simple: dict[str, Callable[[], Any]] = {
            "summary": self._summary,
            "check": lambda: self._check(body),
            "throttle": lambda: self._throttle(method, query, body),
            "limit": lambda: self.limits.update(body) or self.limits,
            "window": lambda: self._window(method, body),
            "history": lambda: self._history(query),
        }
        return 200, {}, simple[words[0]]()

    # -- reading -----------------------------------------------------------------------------

    def _list(self, query: "dict[str, str]") -> Any:
        items = list(self.items.values())
        if query.get("ended") == "true":
            items += self.ended
        states = set(query["state"].split(",")) if query.get("state") else None
        text, pool = query.get("search", "").casefold(), query.get("pool")
        found = [
            one
            for one in items
            if (states is None or one.migration.state.value in states)
            and (not text or text in f"{_source(one)} {_target(one)} {one.migration.id}".casefold())
            and (not pool or pool in (one.migration.source.pool, one.migration.target.pool))
        ]
        sort = query.get("sort", "+target")
        key = sort.lstrip("+-")
        found.sort(key=_SORTS[key], reverse=sort.startswith("-"))
        offset, limit = int(query.get("offset", 0)), int(query.get("limit", 50))
        page = [one.report() for one in found[offset : offset + limit]]
        return 200, {"X-Total-Count": str(len(found))}, page

    def _summary(self) -> Any:
        items = list(self.items.values())
        counts = Counter({state.value: 0 for state in State})
        counts.update(one.migration.state.value for one in items)
        holds = Counter(one.live.hold.reason.value for one in items if one.live.hold)
        running = [one for one in items if one.live.rate and one.migration.state is State.EXECUTING]
        rate = sum(one.live.rate or 0 for one in running)
        left = sum(one.live.size - one.live.copied for one in running)
        waiting = [one for one in items if _waits_for_people(one)]
        waiting.sort(key=lambda one: one.migration.state is not State.FAILED)
        return {
            "version": "0.1.0",
            "ceph_release": "20.2.4",
            "permissions": {right: right in self.rights for right in ("create", "update")},
            "counts": dict(counts),
            "holds": dict(holds),
            "total": len(items),
            "copying": sum(one.live.acting for one in items),
            "bytes_total": sum(one.migration.bytes_total or 0 for one in items),
            "bytes_copied": sum(max(one.live.copied, one.migration.bytes_copied) for one in items),
            "rate": int(rate),
            "eta_seconds": int(left / rate) if rate else None,
            "attention": [one.report() for one in waiting[:20]],
            "attention_total": len(waiting),
            "cluster_rate": self._rate_now(),
            "gates": self.gates,
            "guard": self._guard(),
            "limits": self.limits,
        }

    def _history(self, query: "dict[str, str]") -> Any:
        target = query.get("target")
        found = [one.report() for one in self.ended if not target or _target(one) == target]
        found.sort(key=lambda report: str(report["ended"]), reverse=True)
        return found[: int(query.get("limit", 100))]

    def _check(self, body: Args) -> Any:
        source, target = self._wish(body)
        findings = []
        if "used" in source:
            findings.append(_finding("SOURCE_IN_USE", "error", source, f"{source} is in use by "
                            "client.4711 at 10.0.0.5:0/123, holder of the exclusive lock; stop it.",
                            f"rbd status {source}"))  # fmt: skip
        if target in self.items:
            findings.append(_finding("TARGET_EXISTS", "error", target, f"{target} exists.", ""))
        if "clone" in source:
            findings.append(_finding("SOURCE_HAS_CLONES", "warning", source, "Snapshots of the "
                            "source have clones; a commit will need `--force`.", ""))  # fmt: skip
        findings.append(_finding("BYTES_UNKNOWN", "info", source, "How much has to be copied is "
                        "not known: the source is large and has no fast-diff.", ""))  # fmt: skip
        ok = not any(finding["severity"] == "error" for finding in findings)
        return {"source": source, "target": target, "ok": ok, "bytes_to_copy": 40 * GIB,
                "bytes_free": 900 * GIB, "findings": findings}  # fmt: skip

    # -- acting ------------------------------------------------------------------------------

    def _create(self, body: Args) -> Any:
        source, target = self._wish(body)
        check = self._check(body)
        for finding in check["findings"]:
            if finding["severity"] == "error":
                raise MigrationError(EBUSY, finding["message"])
        now = time.time()
        spec = parse_image_spec(target, "rbd", "target")
        origin = parse_image_spec(source, "rbd", "source")
        m = Migration(
            id=f"{int(now * 1000) & 0xFFFFFFFFFFFF:012x}",
            source=Place(origin.pool, origin.namespace, origin.image, 1, "1064d7eb7058"),
            target=Place(spec.pool, spec.namespace, spec.image, 2, "107231934d2e"),
            goal=Goal(body.get("goal", "prepared")),
            state=State.QUEUED,
            created=now,
            layout=LayoutOptions(),
        ).enter(State.QUEUED, now, "asked for")
        m = m.enter(State.PREPARING, now).enter(State.PREPARED, now)
        self.items[target] = Item(replace(m, bytes_total=400 * MIB))
        return self._set(self.items[target], {k: v for k, v in body.items() if k in _SETTABLE})

    def _wish(self, body: Args) -> "tuple[str, str]":
        target = body.get("target") or body.get("source") or ""
        parse_image_spec(target, "rbd", "target")
        if body.get("import_only"):
            return f"{body['source_spec']['type']}/import", target
        source = body.get("source", "")
        parse_image_spec(source, "rbd", "source")
        if "missing" in source:
            raise MigrationError(ENOENT, f"There is no image {source}.")
        return source, target

    def _find(self, target: str) -> Item:
        found = self.items.get(target)
        if found is None:
            found = next((one for one in self.ended if _target(one) == target), None)
        if found is None:
            raise MigrationError(ENOENT, f"There is no migration to {target}.")
        return found

    def _set(self, one: Item, body: Args) -> Any:
        m = one.migration
        if "rate" in body:
            m = replace(m, rate=parse_rate(str(body["rate"]), "rate"))
        if "window" in body:
            text = body["window"]
            m = replace(m, window="" if text == "off" else str(parse_window(text)))
        if "soak" in body:
            m = replace(m, soak=parse_seconds(str(body["soak"]), "soak"))
        m = replace(m, priority=body.get("priority", m.priority),
                    verify=Verify(body.get("verify", m.verify.value)),
                    goal=Goal(body.get("goal", m.goal.value)))  # fmt: skip
        one.migration = m
        return one.report()

    def _act(self, one: Item, action: str, body: Args) -> Any:
        m, now, target = one.migration, time.time(), _target(one)
        if action in ("commit", "abort") and target in self.guarded and not body.get("force"):
            raise MigrationError(
                EPERM,
                f"Clients wrote to {target} since it was prepared, or it cannot be ruled out; "
                "aborting loses snapshots, resizes and discards made on the target, and may lose "
                'writes; add `"force": true` to abort all the same.',
            )
        if action == "commit" and m.executed_at is None:
            raise MigrationError(EAGAIN, f"{target} is {m.state.value}, not executed yet, so "
                                 "committing would lose data.")  # fmt: skip
        if action == "execute":
            one.migration = replace(m, goal=Goal.EXECUTED)
        elif action == "commit":
            m = m.enter(State.COMMITTING, now).enter(State.COMMITTED, now)
            one.migration, one.live = replace(m, goal=Goal.COMMITTED), Live()
        elif action in ("abort", "cancel"):
            m = m.enter(State.ABORTING, now).enter(State.ABORTED, now)
            one.migration, one.live = replace(m, goal=Goal.ABORTED), Live()
        elif action == "pause":
            one.migration = replace(m, paused=True)
            hold = Hold(HoldReason.PAUSED, f"It is paused; `ceph rbd migration resume {target}` "
                        "goes on.")  # fmt: skip
            one.live = replace(one.live, hold=hold, rate=None, eta=None, acting=False)
        elif action == "resume":
            one.migration, one.live = replace(m, paused=False), replace(one.live, hold=None)
        elif action == "retry":
            one.migration = replace(m.enter(State.EXECUTING, now), failure=None, executed_at=None)
            one.live = replace(one.live, hold=None, copied=0, size=m.bytes_total or 0)
        elif action == "verify":
            done = Verification(Verify(body.get("mode", "full")), 1, 1.0, now, 0.1,
                                outcome=Outcome.PASSED, at=now)  # fmt: skip
            m = m.enter(State.VERIFYING, now).enter(State.VERIFIED, now)
            one.migration = replace(m, verification=done, verify=done.mode, goal=Goal.VERIFIED)
        else:
            raise MigrationError(EINVAL, f"{action} is not known.")
        if one.migration.state.ended:
            del self.items[target]
            self.ended.append(one)
        return one.report()

    # -- the pace ----------------------------------------------------------------------------

    def _throttle(self, method: str, query: "dict[str, str]", body: Args) -> Any:
        if method == "DELETE":
            self.pools.pop(query.get("pool", ""), None)
        elif "guard" in body:
            self.guard = None if body["guard"] == "off" else float(body["guard"])
        elif "pool" in body:
            self.pools[body["pool"]] = parse_rate(str(body["rate"]), "rate")
        elif method == "PUT":
            text, zone = body["timetable"], body.get("timezone", self.zone)
            parsed = None if text == "off" else parse_timetable(text, "timetable", zone)
            self.timetable, self.zone = "off" if parsed is None else str(parsed), zone
        return {"timetable": self.timetable, "timezone": self.zone, "rate_now": self._rate_now(),
                "pools": self.pools, "gates": self.gates, "guard": self._guard()}  # fmt: skip

    def _window(self, method: str, body: Args) -> Any:
        if method == "DELETE":
            self.window = ""
        elif method == "PUT":
            self.window = str(parse_window(body["window"], body.get("timezone", "UTC")))
        return {"window": self.window, "timezone": self.zone}

    def _rate_now(self) -> Optional[int]:
        if self.timetable == "off":
            return None
        parsed: Timetable = parse_timetable(self.timetable, "timetable", self.zone)
        return rate_at(parsed, _utc_now())

    def _guard(self) -> Any:
        if self.guard is None:
            return None
        return {"factor": self.guard, "rate": 45 * MIB, "latency_ms": 1.11, "baseline_ms": 0.94,
                "message": "The clients' latency is 1.11 ms, 1.18 times the 0.94 ms without copies "
                f"(allowed: {self.guard:g} times); copies may make 45 MiB/s together."}  # fmt: skip

    # -- the clock ---------------------------------------------------------------------------

    def _move(self, now: float) -> None:
        """Let time pass: what may be copied is copied, what is complete goes on."""
        passed, self._moved = now - self._moved, now
        for one in list(self.items.values()):
            m = one.migration
            if m.state is State.PREPARED and m.goal is not Goal.PREPARED and not _held(one):
                one.migration = m.enter(State.EXECUTING, now)
                one.live = Live(size=m.bytes_total or 0, begun=now)
            elif m.state is State.EXECUTING and not _held(one) and one.live.size:
                self._copy(one, passed, now)

    def _copy(self, one: Item, passed: float, now: float) -> None:
        live = one.live
        rate = live.rate or _RATE
        if one.migration.rate is not None:
            rate = min(rate, float(one.migration.rate)) or 1.0
        copied = min(live.size, live.copied + int(rate * passed))
        left = (live.size - copied) / rate
        one.live = replace(live, copied=copied, rate=rate, eta=left, ends=now + left, acting=True)
        if copied == live.size:
            m = replace(one.migration.enter(State.EXECUTED, now), bytes_copied=copied)
            one.migration, one.live = m, Live()


_SETTABLE = ("rate", "priority", "window", "verify", "soak", "goal")


def _target(one: Item) -> str:
    return str(one.migration.target.spec)


def _source(one: Item) -> str:
    return str(one.migration.source.spec)


_SORTS: "dict[str, Callable[[Item], Any]]" = {
    "target": _target,
    "source": _source,
    "state": lambda one: list(State).index(one.migration.state),
    "goal": lambda one: one.migration.goal.value,
    "percent": lambda one: one.report()["percent"],
    "priority": lambda one: one.migration.priority,
    "rate": lambda one: one.live.rate or 0.0,
    "created": lambda one: one.migration.created,
    "ended": lambda one: one.migration.ended_at or 0.0,
    "bytes_total": lambda one: one.migration.bytes_total or 0,
}


def _held(one: Item) -> bool:
    return one.live.hold is not None or one.migration.paused


def _waits_for_people(one: Item) -> bool:
    m, hold = one.migration, one.live.hold
    if m.state is State.FAILED or (hold is not None and hold.reason is HoldReason.OPERATOR):
        return True
    return m.state in (State.EXECUTED, State.VERIFIED) and m.goal.value == m.state.value


def _right(method: str, path: str) -> str:
    if method == "GET" or path == "/check":
        return ""
    return "create" if method == "POST" and not path else "update"


def _refusal(status: int, errno: int, sentence: str) -> Any:
    body = {"detail": sentence, "code": errno_name(errno), "component": "rbd_migration"}
    return status, {}, body


def _finding(code: str, severity: str, about: str, message: str, remedy: str) -> Args:
    return {
        "code": code,
        "severity": severity,
        "object": about,
        "message": message,
        "remedy": remedy,
    }


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)
