"""Patterns over image names: globs, and regular expressions that cannot run for ever.

Python's ``re`` tries every way to match, and the whole manager waits meanwhile. So expressions
that have exponentially many ways, or more than a few hundred thousand, are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from errno import EINVAL
from fnmatch import fnmatchcase
from typing import Any

from ..model.errors import MigrationError

try:
    from re import _constants as _codes  # type: ignore[attr-defined]
    from re import _parser  # type: ignore[attr-defined]
except ImportError:  # before Python 3.11
    import sre_constants as _codes
    import sre_parse as _parser

MAX_PATTERN = 200  # characters
_MOST_REPEATS = 3  # each multiplies the ways to match a name by its length
_REPEATS = (_codes.MAX_REPEAT, _codes.MIN_REPEAT)


def fits_glob(name: str, patterns: Iterable[str]) -> bool:
    """Whether one of the globs fits the whole name; upper and lower case differ."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def compile_pattern(text: str, what: str) -> re.Pattern[str]:
    """The regular expression ``text``. MigrationError(EINVAL), naming it ``what``."""
    if len(text) > MAX_PATTERN:
        raise MigrationError(EINVAL, f"{what} is longer than {MAX_PATTERN} characters.")
    try:
        tree: Any = _parser.parse(text)
        compiled = re.compile(text)
    except (re.error, RecursionError, OverflowError, ValueError) as error:
        problem = str(error).encode("ascii", "backslashreplace").decode()
        raise MigrationError(
            EINVAL, f"{what} is no regular expression: {problem[:80]}; try `name` with * instead."
        ) from None
    if _repeats(tree, inside=False) > _MOST_REPEATS:
        raise MigrationError(
            EINVAL,
            f"{what} could take for ever: repeats within repeats, references and more than "
            f"{_MOST_REPEATS} repeats are not offered; write it simpler, or use `name` with *.",
        )
    return compiled


def _repeats(tree: Any, *, inside: bool) -> int:
    """How many repeats there are; very many where something in a repeat is ambiguous."""
    count = 0
    for code, value in tree:
        if code in _REPEATS:
            low, high, body = value
            count += 1 if high - low else 0
            count += _repeats(body, inside=True)
            if inside or (high > MAX_PATTERN and low > MAX_PATTERN):
                return _MOST_REPEATS + 1
        elif code is _codes.SUBPATTERN:
            count += _repeats(value[-1], inside=inside)
        elif code is _codes.BRANCH:
            if inside:
                return _MOST_REPEATS + 1
            count += max(_repeats(branch, inside=False) for branch in value[1])
        elif code not in (_codes.LITERAL, _codes.NOT_LITERAL, _codes.ANY, _codes.IN, _codes.AT):
            return _MOST_REPEATS + 1
    return count
