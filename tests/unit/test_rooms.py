"""The rooms of ``doc/design/architecture.rst``: who may import whom, and no imports in a circle."""

import ast
import graphlib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
LIBRARY = REPOSITORY / "src" / "rbdmigrate"
FRONT_END = REPOSITORY / "mgr_module" / "rbd_migration"

MAY_USE = {
    "model": set(),
    "control": {"model"},
    "sources": {"model"},
    "checks": {"model", "sources"},
    "cluster": {"model", "worker.protocol"},
    "worker": {"cluster", "control", "model", "sources"},
    "engine": {"checks", "cluster", "control", "model", "sources"},
}
FOR_ALL = {"", "faults"}  # the version, and the points for fault tests
MANAGERS = {"mgr_module", "mgr_util", "cherrypy", "prettytable"}


def module_of(path, top):
    parts = path.relative_to(top).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path, top):
    """The modules of the same tree that a file names: relative imports, as dotted names."""
    package = path.relative_to(top).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
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
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0]


def test_every_room_is_known():
    rooms = {path.name for path in LIBRARY.iterdir() if (path / "__init__.py").is_file()}
    assert rooms == set(MAY_USE)


@pytest.mark.parametrize("room", MAY_USE)
def test_a_room_uses_only_those_below_it(room):
    allowed = MAY_USE[room] | {room}
    across = [
        f"{path.relative_to(LIBRARY)} imports {name}"
        for path in sorted((LIBRARY / room).rglob("*.py"))
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


@pytest.mark.parametrize("room", ["control", "model", "sources", "checks"])
def test_what_is_decided_without_ceph_does_not_import_it(room):
    found = {name for path in (LIBRARY / room).rglob("*.py") for name in outside(path)}
    assert found & {"rados", "rbd"} == set()


@pytest.mark.parametrize("top", [LIBRARY, FRONT_END], ids=["library", "front-end"])
def test_nothing_is_imported_in_a_circle(top):
    graph = {}
    for path in sorted(top.rglob("*.py")):
        if path.name != "__init__.py":  # a face only hands names on
            graph[module_of(path, top)] = set(imports(path, top))
    graphlib.TopologicalSorter(graph).prepare()  # or CycleError, which names the circle
