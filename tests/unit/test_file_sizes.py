"""Files and functions of the product stay short enough to be read at once."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = [path for folder in ("src", "mgr_module") for path in (ROOT / folder).rglob("*.py")]
LINES_OF_A_FILE = 350
LINES_OF_A_FUNCTION = 62
LONGER = {
    "make_plan_service": "makes and connects the components of plans, and decides nothing",
}


def functions(path: Path) -> Iterator["tuple[str, int]"]:
    """The name and the number of lines of each function in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


def test_no_file_is_long() -> None:
    assert len(FILES) > 400
    lines = {str(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {path: n for path, n in lines.items() if n > LINES_OF_A_FILE} == {}


def test_no_function_is_long_without_a_reason() -> None:
    found = {name: n for path in FILES for name, n in functions(path) if n > LINES_OF_A_FUNCTION}
    assert found.keys() == LONGER.keys(), found
