"""What front ends have around them, for tests: an engine that only notes, a manager's options."""

from rbdmigrate.model.report import Live, report
from rbdmigrate.model.spec import parse_image_spec
from tests.unit.builders import migration


class FakeEngine:
    """Notes what it is asked, and answers with reports or with ``refusal``."""

    def __init__(self, reports=(), refusal=None):
        self.calls = []
        self.reports = list(reports) or [report(migration(), Live())]
        self.refusal = refusal

    def spec(self, text, what):
        return parse_image_spec(text, "rbd", what)

    def list(self, ended=False):
        return self.reports

    def cluster_rate(self):
        return None

    def conditions(self):
        return {"gates": [], "guard": None}

    def __getattr__(self, name):
        def call(*args, **named):
            self.calls.append((name, args, named))
            if self.refusal:
                raise self.refusal
            return self.reports[0]

        return call


class FakeModule:
    """Keeps the values of options as text, as the manager does."""

    def __init__(self, options):
        self.values = {option["name"]: option["default"] for option in options}

    def get_module_option(self, name):
        return self.values[name]

    def set_module_option(self, name, value):
        self.values[name] = value
