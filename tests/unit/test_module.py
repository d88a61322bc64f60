"""The manager module between its start and its stop, without a manager around it."""

import json
import sys
import threading
from errno import EACCES, ENOENT
from types import ModuleType

import pytest

STANDING_IN = ("mgr_module", "rados")  # what only a manager, and a host with Ceph, has


class Manager:
    """As much of the manager's side as the module needs before its engine runs."""

    module_name = "rbd_migration"
    version = "ceph version 16.2.15 (abc) pacific (stable)"

    def get_module_option(self, name):
        return {o["name"]: o["default"] for o in self.MODULE_OPTIONS}[name]

    get_localized_module_option = get_module_option

    def get_mgr_id(self):
        return "x"

    def get_ceph_conf_path(self):
        return "/etc/ceph/ceph.conf"

    def get_ceph_option(self, name):
        return ""

    def get(self, name):
        return {"epoch": 1}

    def remote(self, *args):
        """Nobody is told anything."""

    set_health_checks = set_uri = remote

    def shutdown(self):
        pass


class CommandResult:
    """As the manager's: ``ev`` is set when the monitors answered."""

    def __init__(self):
        self.ev = threading.Event()
        self.r, self.outb = 0, ""


class SlowEngine:
    """An engine that takes its time to start: a pool does not answer."""

    starting, go_on, stopped = (threading.Event() for _ in range(3))

    def __init__(self, host):
        self.ended = threading.Event()

    def start(self):
        self.starting.set()
        assert self.go_on.wait(10)

    def list(self, states):
        return []

    problems = silent_pools = garbage = lambda self: []

    def stop(self):
        self.stopped.set()
        return True


@pytest.fixture
def module(front_end, monkeypatch):
    for name in STANDING_IN:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    manager = sys.modules["mgr_module"]
    manager.MgrModule, manager.CLICommand, manager.Option = Manager, object(), dict
    manager.CommandResult = CommandResult
    monkeypatch.delitem(sys.modules, "rbdmigrate.cluster.client", raising=False)
    found = front_end("module", Engine=SlowEngine, Host=lambda **named: named)
    yield found.Module()
    sys.modules.pop("rbdmigrate.cluster.client", None)


def test_a_stop_while_the_engine_starts_is_not_lost(module):
    serving = threading.Thread(target=module.serve, daemon=True)
    serving.start()
    assert SlowEngine.starting.wait(10)
    module.shutdown()
    SlowEngine.go_on.set()
    serving.join(20)
    assert not serving.is_alive()
    assert SlowEngine.stopped.is_set()


ANSWERS = [(0, "secret", "secret"), (-ENOENT, "", None)]


@pytest.mark.parametrize(("code", "text", "value"), ANSWERS)
def test_a_value_of_the_dashboard_is_read_from_the_monitors(module, code, text, value):
    def send_command(result, kind, name, command, tag):
        assert json.loads(command)["key"] == "mgr/dashboard/jwt_secret"
        result.r, result.outb = code, text
        result.ev.set()

    module.send_command = send_command
    assert module._dashboard_value("jwt_secret") == value


def test_monitors_that_do_not_answer_are_not_waited_for_without_end(module, monkeypatch):
    monkeypatch.setitem(module._dashboard_value.__func__.__globals__, "_MON_PATIENCE", 0.05)
    module.send_command = lambda *args: None
    with pytest.raises(TimeoutError, match="did not answer"):
        module._dashboard_value("jwt_secret")


def test_what_the_monitors_refuse_is_an_error_and_no_missing_value(module):
    def send_command(result, *args):
        result.r = -EACCES
        result.ev.set()

    module.send_command = send_command
    with pytest.raises(OSError, match="denied"):
        module._dashboard_value("jwt_secret")
