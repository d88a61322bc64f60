"""What differs between managers of releases 16 to 20: each difference in the form of each release.

Squid's forms (19) are those of Ceph's sources and release notes (doc/releases.rst).
"""

import importlib.util
import logging
import sys
from pathlib import Path
from types import ModuleType

import pytest

COMPAT = Path(__file__).parents[2] / "mgr_module" / "rbd_migration" / "compat.py"
ADDRESSES = "127.0.0.1:0/7"
RELEASES = ("pacific", "reef", "squid", "tentacle")


class CLICommand:
    """All modules of a process share it, up to 19."""


class CLICommandBase:
    """From 20 on each module has to have a class of its own."""

    @classmethod
    def make_registry_subtype(cls, name):
        return type(name, (cls,), {"COMMANDS": {}})


class Pacific:
    """A manager's part of a module: the clients that it fences when another manager takes over."""

    def __init__(self):
        self.fenced = []

    def _ceph_register_client(self, addresses):
        self.fenced.append(addresses)

    def _ceph_unregister_client(self, addresses):
        self.fenced.remove(addresses)


class Reef(Pacific):
    """The same in Squid and Tentacle."""

    def _ceph_register_client(self, name, addresses, replace):
        assert (name, replace) == (None, False)
        self.fenced.append(addresses)

    def _ceph_unregister_client(self, name, addresses):
        assert name is None
        self.fenced.remove(addresses)


@pytest.fixture
def compat(request, monkeypatch):
    """The file as a manager of the release loads it."""
    provided = ModuleType("mgr_module")
    if request.param == "tentacle":
        provided.CLICommandBase = CLICommandBase
    else:
        provided.CLICommand = CLICommand
    monkeypatch.setitem(sys.modules, "mgr_module", provided)
    spec = importlib.util.spec_from_file_location(f"compat_{request.param}", COMPAT)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.mark.parametrize("compat", ["pacific", "reef", "squid"], indirect=True)
def test_the_registry_of_commands_is_the_shared_one_where_there_is_no_other(compat):
    assert compat.command_registry() is CLICommand


@pytest.mark.parametrize("compat", ["tentacle"], indirect=True)
def test_the_registry_of_commands_is_a_class_of_our_own_where_it_is_demanded(compat):
    ours, others = compat.command_registry(), CLICommandBase.make_registry_subtype("Other")
    assert issubclass(ours, CLICommandBase)
    assert ours.COMMANDS == {}
    assert ours.COMMANDS is not others.COMMANDS


@pytest.mark.parametrize(
    ("compat", "module"),
    [(name, Pacific if name == "pacific" else Reef) for name in RELEASES],
    indirect=["compat"],
    ids=RELEASES,
)
def test_a_client_is_registered_to_be_fenced_and_unregistered(compat, module):
    ours = module()
    compat.register_client(ours, ADDRESSES)
    assert ours.fenced == [ADDRESSES]
    compat.unregister_client(ours, ADDRESSES)
    assert ours.fenced == []


@pytest.mark.parametrize("compat", RELEASES, indirect=True)
def test_no_notifications_are_asked_for(compat):
    assert compat.NOTIFY_TYPES == []


class Noted(logging.Handler):
    """A handler of the manager; it has the module's level."""

    def __init__(self, level):
        super().__init__(level)
        self.said = []

    def emit(self, record):
        self.said.append((record.name, record.getMessage()))


@pytest.fixture
def loggers():
    """The loggers of a module of its own name and of the library, as a manager finds them."""
    module, library = logging.getLogger("module_for_a_test"), logging.getLogger("rbdmigrate")
    root = logging.getLogger()
    before = (library.handlers[:], library.propagate, root.level)
    root.setLevel(logging.NOTSET)  # as all managers do
    yield module, library
    library.handlers[:], library.propagate = before[:2]
    root.setLevel(before[2])
    module.handlers.clear()
    module.propagate = True


@pytest.mark.parametrize("compat", ["tentacle"], indirect=True)
def test_what_the_library_logs_follows_the_module_where_only_its_own_loggers_do(compat, loggers):
    module, _ = loggers
    handler = Noted(logging.WARNING)
    module.addHandler(handler)
    module.propagate = False
    for _ in range(2):  # the standby module, then the active one, in one interpreter
        compat.log_library_as(module.name)
    log = logging.getLogger("rbdmigrate.engine.test")
    log.warning("a warning")
    log.info("below the level")
    assert handler.said == [("rbdmigrate.engine.test", "a warning")]
    handler.setLevel(logging.DEBUG)
    logging.getLogger("rbdmigrate.engine.test").debug("the option was changed")
    assert handler.said[1:] == [("rbdmigrate.engine.test", "the option was changed")]


@pytest.mark.parametrize("compat", ["pacific", "reef", "squid"], indirect=True)
def test_the_library_logs_as_every_logger_where_the_root_logger_counts(compat, loggers):
    module, library = loggers
    compat.log_library_as(module.name)
    assert (library.handlers, library.propagate) == ([], True)
