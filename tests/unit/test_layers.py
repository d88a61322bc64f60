"""The packages of ``doc/design/architecture.rst``: which may import which, and no import cycles."""

import ast
import graphlib
from functools import cache
from pathlib import Path

import pytest

from qa.packages.page import PAGE, first_sentence, packages, render

REPOSITORY = Path(__file__).parents[2]
LIBRARY = REPOSITORY / "src" / "rbdmigrate"
AGENT = REPOSITORY / "src" / "rbdmigrate_agent"
FRONT_END = REPOSITORY / "mgr_module" / "rbd_migration"

MAY_USE = {
    "model": set(),
    "control": {"model"},
    "sources": {"model"},
    "checks": {"model", "sources"},
    "cluster": {"model"},
    "worker": {"cluster", "control", "model", "sources"},
    "engine": {"checks", "cluster", "control", "model", "sources"},
}
ENGINE = ("hooks", "records", "pace", "reconcile", "requests", "plans", "cutover")
"""The packages of the engine, from the bottom up: each imports only those before it."""

FOR_ALL = {"", "faults", "trace"}  # the version, points for fault tests, spans
MANAGERS = {"mgr_module", "mgr_util", "cherrypy", "prettytable"}


def module_of(path, top):
    parts = path.relative_to(top).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def statements(path):
    """The import statements of a file."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return [node for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom))]


def imports(path, top):
    """The modules of the same tree that a file names: relative imports, as dotted names."""
    package = path.relative_to(top).parent.parts
    for node in statements(path):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            name = ".".join((*base, *(node.module or "").split("."))).strip(".")
            for alias in node.names:
                inside = f"{name}.{alias.name}".strip(".")
                yield inside if exists(inside, top) else name


def exists(name, top):
    path = top.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or path.is_dir()


def outside(path):
    """What a file imports by absolute names: the first part of each."""
    for node in statements(path):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0]


def test_every_package_is_in_the_table():
    packages = {path.name for path in LIBRARY.iterdir() if (path / "__init__.py").is_file()}
    assert packages == set(MAY_USE)


@pytest.mark.parametrize("package", MAY_USE)
def test_a_package_imports_only_those_below_it(package):
    allowed = MAY_USE[package] | {package}
    across = [
        f"{path.relative_to(LIBRARY)} imports {name}"
        for path in sorted((LIBRARY / package).rglob("*.py"))
        for name in imports(path, LIBRARY)
        if name.partition(".")[0] not in allowed | FOR_ALL and name not in allowed
    ]
    assert across == []


def test_the_library_knows_no_manager():
    assert [
        f"{path.relative_to(LIBRARY)} imports {name}"
        for path in sorted(LIBRARY.rglob("*.py"))
        for name in outside(path)
        if name in MANAGERS
    ] == []


@pytest.mark.parametrize("package", ["control", "model", "sources", "checks"])
def test_what_is_decided_without_ceph_does_not_import_it(package):
    found = {name for path in (LIBRARY / package).rglob("*.py") for name in outside(path)}
    assert found & {"rados", "rbd"} == set()


def test_the_agents_guests_know_neither_ceph_nor_the_rest_of_the_agent():
    files = sorted((AGENT / "guests").rglob("*.py"))
    assert [
        f"{path.name} imports {name}"
        for path in files
        for name in imports(path, AGENT)
        if not name.startswith("guests")
    ] == []
    absolute = {
        node.module
        for path in files
        for node in statements(path)
        if isinstance(node, ast.ImportFrom) and not node.level and node.module
    }
    ours = {name for name in absolute if name.startswith("rbd")}
    assert {name.rpartition(".")[0] for name in ours} == {"rbdmigrate.model"}
    assert {name for path in files for name in outside(path)} & {"rados", "rbd"} == set()


@pytest.mark.parametrize("top", [LIBRARY, AGENT, FRONT_END], ids=["library", "agent", "front-end"])
def test_nothing_is_imported_in_a_circle(top):
    graph = {}
    for path in sorted(top.rglob("*.py")):
        if path.name != "__init__.py":  # a face only hands names on
            graph[module_of(path, top)] = set(imports(path, top))
    graphlib.TopologicalSorter(graph).prepare()  # or CycleError, which names the circle


def test_every_package_of_the_engine_is_in_the_order():
    found = {path.parent.name for path in (LIBRARY / "engine").glob("*/__init__.py")}
    assert found == set(ENGINE)


@pytest.mark.parametrize("package", ENGINE)
def test_a_package_of_the_engine_imports_only_those_before_it(package):
    above = {*ENGINE[ENGINE.index(package) + 1 :], "engine", "planning"}
    upward = [
        f"{path.relative_to(LIBRARY)} imports {name}"
        for path in sorted((LIBRARY / "engine" / package).rglob("*.py"))
        for name in imports(path, LIBRARY)
        if name.startswith("engine.") and name.split(".")[1] in above
    ]
    assert upward == []


def test_the_page_of_packages_is_what_the_code_says():
    assert PAGE.read_text() == render(), "run ./run qa packages"


def test_every_file_and_package_says_what_it_is():
    files = [path for package in packages() for path in package.glob("*.py")]
    assert [path for path in files if not first_sentence(path)] == []
