"""Unit tests: no cluster, no bindings of Ceph, no manager around them."""

import importlib
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings

from tests.unit.front_ends import FakeEngine, FakeModule

settings.register_profile("unit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unit")

_ENGINE = Path(__file__).parents[2] / "src" / "rbdmigrate" / "engine"
_MIB = 1 << 20
_FRONT_END = Path(__file__).parents[2] / "mgr_module" / "rbd_migration"


@cache
def _import_alone(name: str, **of_engine: object) -> ModuleType:
    package = ModuleType("rbd_migration")
    package.__path__ = [str(_FRONT_END)]
    engine = ModuleType("rbdmigrate.engine")
    engine.Engine = object
    vars(engine).update(of_engine)
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "rbd_migration", package)
        patch.setitem(sys.modules, "rbdmigrate.engine", engine)
        engine.__path__ = [str(_ENGINE)]
        engine.Settings = importlib.import_module("rbdmigrate.engine.settings").Settings
        try:
            return importlib.import_module(f"rbd_migration.{name}")
        finally:
            for loaded in sys.modules.keys() - before:
                if loaded.startswith("rbd_migration."):
                    del sys.modules[loaded]


@pytest.fixture(scope="session")
def front_end():
    """Imports a file of the manager module by its name, without the manager and the engine.

    The package's own ``__init__`` needs ceph-mgr and the engine needs librbd; empty modules stand
    in for both while the file is imported; names given besides are in the engine's. Each file is
    imported once, with all that it imports: files that are imported one by one know others of their
    own.
    """
    return _import_alone


@pytest.fixture(scope="session")
def front_end_again():
    """The same, imported again: for a file that keeps what it imports from outside the project."""
    return _import_alone.__wrapped__


@pytest.fixture
def engine():
    """An engine that notes what it is asked."""
    return FakeEngine()


@pytest.fixture
def options(front_end):
    """The module's options, as they are by default."""
    module = front_end("options")
    options = module.Options(FakeModule(module.OPTIONS))
    options.read()
    return options


@pytest.fixture(scope="module")
def commands(front_end):
    pytest.importorskip("prettytable")
    return front_end("cli.commands")


@pytest.fixture
def ask(commands, engine, options):
    """Gives a command, and returns its exit code, output and error."""

    def give(name, inbuf=None, forbidden=(), **args):
        command = {"prefix": f"rbd migration {name}", **args}
        return commands.handle(
            engine, options, command, lambda pool, namespace: pool not in forbidden, inbuf
        )

    return give


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """A raw disk with data, zeros and holes."""
    path = tmp_path_factory.mktemp("base") / "base.raw"
    with open(path, "wb") as file:
        for number in range(0, 12, 3):
            file.seek(number * _MIB)
            file.write(bytes(range(1, 256)) * 2000 + bytes(65536) + bytes([number + 1]) * 65536)
        file.truncate(16 * _MIB)
    return path
