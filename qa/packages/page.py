"""Each package with its files, and the first sentence of each file's docstring."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "doc" / "design" / "packages.rst"
TREES = (
    REPOSITORY / "src" / "rbdmigrate",
    REPOSITORY / "src" / "rbdmigrate_agent",
    REPOSITORY / "mgr_module" / "rbd_migration",
)

_HEAD = """\
==================
Packages and files
==================

Which package may import which is in :doc:`architecture`. Each line below is the first sentence of
the file's docstring; ``./run qa packages`` writes this page, and a test compares it with the code.
"""


def render() -> str:
    """Return the whole page as reStructuredText."""
    return _HEAD + "".join(_section(package) for package in packages())


def packages() -> Iterator[Path]:
    """Return the folders of all packages, each tree from its top down."""
    for tree in TREES:
        for start in sorted(tree.rglob("__init__.py")):
            yield start.parent


def first_sentence(path: Path) -> str:
    """Return the first sentence of the docstring of the file ``path``; empty without one."""
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    paragraph = " ".join(text.partition("\n\n")[0].split())
    paragraph = re.sub(r":[a-z]+:`~?\.*([^`]*)`", r"``\1``", paragraph)  # roles need Sphinx
    return re.split(r"(?<=[.?!]) ", paragraph)[0].rstrip(":.") + "." if paragraph else ""


def _section(package: Path) -> str:
    tree = next(tree for tree in TREES if tree in (package, *package.parents))
    title = f"``{package.relative_to(tree.parent)}``"
    files = sorted(path for path in package.glob("*.py") if path.name != "__init__.py")
    lines = [f"\n{title}\n{'=' * len(title)}\n\n{first_sentence(package / '__init__.py')}\n"]
    if files:
        lines.append("\n.. list-table::\n   :widths: 25 75\n\n")
        lines += [f"   * - ``{path.stem}``\n     - {first_sentence(path)}\n" for path in files]
    return "".join(lines)
