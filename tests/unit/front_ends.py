"""What front ends have around them, for tests: an engine that only notes, a manager's options."""

import threading

from rbdmigrate.control.browse import numbers
from rbdmigrate.model.report import Live, report
from rbdmigrate.model.spec import parse_image_spec
from tests.unit.builders import migration

CHECKED = {
    "source": "rbd/a",
    "target": "ssd/b",
    "ok": True,
    "bytes_to_copy": None,
    "bytes_free": None,
    "findings": [],
}


class FakeEngine:
    """Notes what it is asked, and answers with reports or with ``refusal``."""

    def __init__(self, reports=(), refusal=None):
        self.calls = []
        self.ended = threading.Event()
        self.reports = list(reports) or [report(migration(), Live())]
        self.refusal = refusal

    def spec(self, text, what):
        return parse_image_spec(text, "rbd", what)

    def list(self, ended=False):
        return self.reports

    def cluster_rate(self):
        return None

    def summary(self):
        return numbers([], None, None)

    def throughput(self):
        return [{"at": "2026-11-23T06:22:26Z", "rate": 5, "limit": None}]

    def browse(self, query):
        return len(self.reports), self.reports[query.offset : query.offset + query.limit]

    def history(self, since=None):
        return self.reports

    def conditions(self):
        return {"gates": [], "guard": None}

    def __getattr__(self, name):
        def call(*args, **named):
            self.calls.append((name, args, named))
            if self.refusal:
                raise self.refusal
            return CHECKED if name == "check" else self.reports[0]

        return call


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
