"""What front ends have around them, for tests: an engine that only notes, a manager's options."""

import contextlib
import json
import threading
from errno import ENOENT
from types import SimpleNamespace

from rbdmigrate.control.access import Access
from rbdmigrate.control.metrics.totals import Totals
from rbdmigrate.control.query import ListResult, totals
from rbdmigrate.model.agent_messages import Orders
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.hook_report import HookRow, LateAnswer
from rbdmigrate.model.plan import Definition, PlanComparison, Rule, Selector
from rbdmigrate.model.report import Live, report
from rbdmigrate.model.spec import parse_image_spec
from tests.unit.builders import migration

CHECKED = {
    "source": "rbd/a",
    "target": "ssd/b",
    "ok": True,
    "method": "live",
    "methods": [
        {"method": "warm", "ok": True, "recommended": True, "code": "", "reason": "Good."},
        {"method": "live", "ok": False, "recommended": False, "code": "X", "reason": "Bad."},
    ],
    "bytes_to_copy": None,
    "bytes_free": None,
    "findings": [],
}


PLAN_ITEM = {
    "source": "rbd/a",
    "target": "ssd/b",
    "method": "live",
    "migration": "m1",
    "wave": 1,
    "phase": "running",
    "postponed": False,
    "state": "executing",
    "percent": 40,
    "bytes_total": 100,
    "bytes_copied": 40,
    "message": "",
}
PLAN = {
    "name": "move",
    "state": "running",
    "goal": "committed",
    "method": "live",
    "verify": "none",
    "priority": 0,
    "rate_limit": None,
    "max_copies": 0,
    "window": None,
    "wave": 1,
    "waves": 1,
    "wave_size": 20,
    "stop_after_failures": 3,
    "wait_seconds": None,
    "total": 1,
    "counts": {
        "queued": 0, "waiting": 0, "running": 1, "paused": 0, "done": 0, "failed": 0,
        "cancelled": 0, "skipped": 0,
    },
    "percent": 40,
    "bytes_total": 100,
    "bytes_copied": 40,
    "rate": 5,
    "eta_seconds": 12,
    "eta_total_seconds": 30,
    "seconds": 90,
    "problems": [],
    "created": "2026-11-23T06:22:26Z",
    "started": "2026-11-23T06:22:27Z",
    "ended": None,
    "next": "It goes on by itself, wave by wave.",
    "warnings": [],
    "selects": ["rbd/*"],
    "pools": ["rbd", "ssd"],
    "items": [PLAN_ITEM],
    "timeline": [
        {"at": "2026-11-23T06:22:26Z", "state": "draft", "message": "created", "by": "ann"},
    ],
}  # fmt: skip
PLAN_CHECK = {
    "plan": "move",
    "done": True,
    "checked": 1,
    "total": 1,
    "ok": True,
    "blocked": 0,
    "problem": "",
    "bytes_to_copy": 100,
    "seconds": None,
    "pools": [
        {
            "pool": "ssd",
            "bytes_needed": 100,
            "bytes_in_all": 100,
            "bytes_free": None,
            "fits": True,
        }
    ],
    "ended": "2026-11-23T06:22:26Z",
    "items": [CHECKED],
}


class FakeAgents:
    """Notes what it is asked about agents. ``reports``: what they reported."""

    def __init__(self, engine):
        self._engine = engine
        self.reports = []

    def hosts(self):
        return self.reports

    def forget(self, host):
        self._engine.calls.append(("forget", (host,), {}))

    def answer(self, host, request):
        self._engine.calls.append(("answer", (host, request), {}))
        return Orders(30.0)


HOOK = HookRow(
    name="one",
    url="https://hooks.example.com/",
    events=("before_cutover",),
    pool=None,
    timeout_seconds=10.0,
    own_ca=False,
    created="2026-11-23T06:22:26Z",
    waiting=0,
    failing=False,
    lost=0,
    last_at=None,
    last_event=None,
    last_failure=None,
)


class FakeHooks:
    """Notes what it is asked about hooks. There is one."""

    def __init__(self, engine):
        self._engine = engine

    def shown(self):
        return [HOOK]

    def failing(self):
        return []

    def done(self, name, target, veto):
        self._engine.calls.append(("hook done", (name, target, veto), {}))
        return LateAnswer(name, str(target), "before_commit", veto)

    def __getattr__(self, name):
        def call(hook, *args, **named):
            self._engine.calls.append((f"hook {name}", (hook, *args), named))
            if name != "add" and hook != "one":
                raise MigrationError(ENOENT, f"There is no hook {hook!r}.")
            return HOOK

        return call


class FakeMeasures:
    """Measures of an engine that has done nothing."""

    def __init__(self):
        self.totals = Totals()
        self.is_ready = True

    def count(self, *samples):
        self.totals.add(samples)

    def ready(self):
        return self.is_ready

    def counters(self):
        return self.totals.exposition()

    def gauges(self):
        return SimpleNamespace(
            plans={"done": 1},
            warnings={"FAILED": 2},
            agents={"lost": 1},
            hooks={"failing": 1},
            oldest_waiting=3.5,
        )


class FakePlans:
    """Notes what it is asked about plans. There is one, called ``move``."""

    def __init__(self, engine):
        self._engine = engine
        self._one = Definition("move", (Selector("rbd"),), Rule("ssd", ""))

    def list(self):
        if not self._engine.caller.sees_plan(self._one):
            return []
        return [{name: value for name, value in PLAN.items() if name != "items"}]

    def __getattr__(self, name):
        def call(*args, **named):
            if args[0] != "move" and isinstance(args[0], str):
                raise MigrationError(ENOENT, f"There is no plan {args[0]!r}.")
            self._engine.caller.require_plan(self._one)
            self._engine.calls.append((f"plan {name}", args, named))
            if self._engine.refusal:
                raise self._engine.refusal
            if name == "compare":
                return PlanComparison("move", "running", False)
            return PLAN_CHECK if name == "check" else PLAN

        return call


class FakeListing:
    """Lists the reports of the engine."""

    def __init__(self, engine):
        self._engine = engine

    def reports(self, ended=False, refresh=False):
        return [r for r in self._engine.reports if self._seen(r)]

    def find(self, query, refresh=False):
        states = {state.value for state in query.states}
        found = [
            r
            for r in self.reports()
            if (not states or r["state"] in states)
            and (
                not query.pool
                or query.pool in (r["source"].split("/")[0], r["target"].split("/")[0])
            )
            and query.plan in ("", r["plan"])
        ]
        return ListResult(
            found[: query.limit or None],
            render=dict,
            brief=dict,
            texts=lambda one: (json.dumps(one),),
        )

    def summary(self):
        return totals([], None)

    def browse(self, query):
        reports = self._engine.reports
        return len(reports), reports[query.offset : query.offset + query.limit]

    def history(self, query):
        self._engine.queries.append(query)
        found = self.reports() if query.plan in ("", "move") else []
        return len(found), found[query.offset : query.offset + query.limit]

    def _seen(self, found):
        ends = [parse_image_spec(found[end], "rbd", end) for end in ("source", "target")]
        return all(self._engine.caller.covers(end.pool, end.namespace) for end in ends)


class FakeMigrations:
    """Notes what it is asked, and answers with the reports of the engine or with its refusal."""

    def __init__(self, engine):
        self._engine = engine

    def __getattr__(self, name):
        def call(*args, **named):
            self._engine.calls.append((name, args, named))
            if self._engine.refusal:
                raise self._engine.refusal
            return CHECKED if name.startswith("check") else self._engine.reports[0]

        return call


class FakePlaces:
    """Notes what it is asked about pools and images."""

    def __init__(self, engine):
        self._engine = engine

    def pools(self):
        return [{"pool": "rbd", "namespaces": [""], "answers": True}]

    def images(self, *args):
        self._engine.calls.append(("images", args, {}))
        return {"images": ["a"], "more": False}


class FakeEngine:
    """Notes what it is asked about migrations and plans."""

    def __init__(self, reports=(), refusal=None):
        self.calls = []
        self.queries = []  # of the history
        self.ended = threading.Event()
        self.reports = list(reports) or [report(migration(), Live())]
        self.refusal = refusal
        self.caller = Access()
        self.listing = FakeListing(self)
        self.migrations = self.new_migrations = FakeMigrations(self)
        self.plans = FakePlans(self)
        self.agents = FakeAgents(self)
        self.hooks = FakeHooks(self)
        self.measures = FakeMeasures()
        self.places = FakePlaces(self)

    @contextlib.contextmanager
    def on_behalf_of(self, caller, name=""):
        self.caller = caller
        yield
        self.caller = Access()

    def spec(self, text, what):
        return parse_image_spec(text, "rbd", what)

    def pool_name(self, pool_id):
        return f"pool{pool_id}"

    def cluster_rate(self):
        return None

    def throughput(self, target=None, plan=""):
        self.calls.append(("throughput", (target, plan), {}))
        return [{"at": "2026-11-23T06:22:26Z", "rate": 5, "limit": None, "latency_ms": None}]

    def conditions(self):
        return {"gates": [], "guard": None}


class FakeModule:
    """Keeps the values of options as text, as the manager does, and a store."""

    def __init__(self, options):
        self.values = {option["name"]: option["default"] for option in options}
        self.store = {}

    def get_module_option(self, name):
        return self.values[name]

    get_localized_module_option = get_module_option

    def set_module_option(self, name, value):
        self.values[name] = value

    def get_store(self, name):
        return self.store.get(name)

    get_localized_store = get_store

    def get_store_prefix(self, prefix):
        return {name: value for name, value in self.store.items() if name.startswith(prefix)}

    def set_store(self, name, value):
        self.store.pop(name, None)
        if value is not None:
            self.store[name] = value
