"""The texts that the product can produce, read from its source, to find out-of-date ones in pages.

Every string of the source is a template, in which values and other strings are put. A text is known
when templates make it up.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice, product
from pathlib import Path
from typing import Optional

REPOSITORY = Path(__file__).parents[2]
SOURCES = (REPOSITORY / "src" / "rbdmigrate", REPOSITORY / "mgr_module" / "rbd_migration")
_VALUE = None  # stands for a value in the parts of a template
Parts = tuple[Optional[str], ...]
_MOST = 64  # combinations of the alternatives in one expression
_SIZE = r"\d+(?:\.\d+)?(?: [KMGTP]?i?B)?(?:/s)?"
_VALUES = re.compile(
    "|".join(
        (
            r"",
            rf"-?{_SIZE}%?",
            r"(?:\d+(?:d|h|min|m|s) ?)+",  # 1h 20min
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
            r"[0-9a-f]{8,}",
            r"[a-z0-9]+(?:-[a-z0-9]+)+",  # a pool
            r"[\w.+-]+(?:/[\w.+*?-]+){1,2}(?:@[\w.-]+)?",  # an image
            r"(?:/[\w.-]+)+",  # a path
            r"\d+\.\d+\.\d+",  # a version
            r"client\.\d+ at [0-9.:]+/\d+",
            r"\[#*\.*\]",  # a progress bar
        )
    )
)
_BREAKS = re.compile(r"(?<=\.) |, |; |: | \(")


class Sentences:
    """The templates of the product's source. ``names`` are values besides numbers and images."""

    def __init__(self, names: Iterable[str] = (), sources: Iterable[Path] = SOURCES) -> None:
        self._fixed, self._open = _templates(tuple(sources))
        self._names: frozenset[str] = frozenset(names)
        self._seen: dict[str, bool] = {}

    def know(self, text: str) -> bool:
        """Whether the product can have produced the text."""
        if text not in self._seen:
            self._seen[text] = False  # a template that stands for the whole text explains nothing
            self._seen[text] = self._is_value(text) or self._is_made(text) or self._splits(text)
        return self._seen[text]

    def _is_value(self, text: str) -> bool:
        count = re.fullmatch(r"\d+ (\w+)", text)  # 3 done
        if count and count.group(1) in self._fixed:
            return True
        return text in self._names or text in self._fixed or bool(_VALUES.fullmatch(text))

    def _is_made(self, text: str) -> bool:
        for key, pattern in self._open:
            found = pattern.fullmatch(text) if key in text else None
            if found and all(self._fits(value) for value in found.groups()):
                return True
        return False

    def _fits(self, value: str) -> bool:
        """Whether a text can stand in another: known, also without the full stop at its end."""
        return self.know(value) or (" " in value and self.know(f"{value}."))

    def _splits(self, text: str) -> bool:
        """Whether it is two known texts, one after the other, as in a list."""
        for place in _BREAKS.finditer(text):
            begin, end = place.span()
            for tail in (text[end:], text[begin:]):
                if begin and tail != text and self.know(text[:begin]) and self.know(tail):
                    return True
        return False


@lru_cache(maxsize=4)
def _templates(
    sources: tuple[Path, ...],
) -> "tuple[frozenset[str], list[tuple[str, re.Pattern[str]]]]":
    """Return the texts without values, and for each other its longest part and its pattern."""
    parts: set[Parts] = set()
    for source in sources:
        for path in sorted(source.rglob("*.py")):
            parts |= set(_of_file(ast.parse(path.read_text("utf-8"))))
    # What goes on like " and 3 more" is put after something else.
    parts |= {(_VALUE, *one) for one in parts if one and one[0] and one[0][0] in " ,;:("}
    fixed = frozenset(one[0] or "" for one in parts if len(one) == 1)
    found = []
    for one in parts:
        literal = [part for part in one if part is not None]
        if len(one) > 1 and re.search(r"[A-Za-z]|->|[:;,=(\[%.]", "".join(literal)):
            pattern = "".join("(.*?)" if part is None else re.escape(part) for part in one)
            found.append((max(literal, key=len), re.compile(pattern, re.DOTALL)))
    return fixed, sorted(found, key=lambda pair: -len(pair[0]))


def _of_file(tree: ast.AST) -> Iterator[Parts]:
    docs = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if node in docs:
            continue
        if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add):
            yield from (_joined((_VALUE, *tail)) for tail in _parts(node.value))
        elif isinstance(node, (ast.Constant, ast.JoinedStr, ast.BinOp)):
            for one in _parts(node):
                yield from _lines(_joined(one))


def _lines(parts: Parts) -> Iterator[Parts]:
    """Split a template at the ends of its lines."""
    line: list[Optional[str]] = []
    for part in parts:
        pieces = [part] if part is None else part.split("\n")
        for piece in pieces[:-1]:
            yield _joined((*line, piece))
            line = []
        line.append(pieces[-1])
    yield _joined(tuple(line))


def _parts(node: ast.expr) -> list[Parts]:
    """Return what an expression can give: constant parts and values, one row for each branch."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [_of_format(node.value)]
    if isinstance(node, ast.FormattedValue):
        return _parts(node.value)
    if isinstance(node, ast.IfExp):
        return [*_parts(node.body), *_parts(node.orelse)]
    if isinstance(node, ast.JoinedStr):
        rows = [_parts(value) for value in node.values]
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        rows = [_parts(node.left), _parts(node.right)]
    else:
        return [(_VALUE,)]
    made = (tuple(part for piece in one for part in piece) for one in product(*rows))
    return list(islice(made, _MOST))


def _of_format(text: str) -> Parts:
    """Split a text for ``str.format`` at its names."""
    pieces = re.split(r"\{\w+\}", text)
    parts: list[Optional[str]] = [pieces[0]]
    for piece in pieces[1:]:
        parts += [_VALUE, piece]
    return tuple(parts)


def _joined(parts: Parts) -> Parts:
    """Join neighbours: constant parts to one, values to one."""
    joined: list[Optional[str]] = []
    for part in parts:
        if part == "" or (joined and part is None and joined[-1] is None):
            continue
        if joined and part is not None and joined[-1] is not None:
            joined[-1] += part
        else:
            joined.append(part)
    return tuple(joined)
