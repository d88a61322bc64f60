"""Patterns over image names: globs, and regular expressions that cannot block the manager.

Python's ``re`` tries every way to match, and no other thread of the manager runs meanwhile: an
expression of 200 characters can take hours. So ``re`` only reads expressions here, and tests
single characters; :mod:`.automaton` matches, in a time that is bounded for every expression.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from errno import EINVAL
from fnmatch import translate
from typing import Any

from ...model.errors import MigrationError
from .automaton import Builder, Matcher, Part, Test, TooManyPositions

try:
    from re import _compiler, _parser  # type: ignore[attr-defined]
    from re import _constants as _codes  # type: ignore[attr-defined]
except ImportError:  # before Python 3.11
    import sre_compile as _compiler
    import sre_constants as _codes
    import sre_parse as _parser

MAX_PATTERN = 200  # characters
MAX_POSITIONS = 500  # characters that an expression takes, with all its repeats written out
_REPEATS = (_codes.MAX_REPEAT, _codes.MIN_REPEAT)  # greedy or not, they match the same names
_CHARACTERS = (_codes.LITERAL, _codes.NOT_LITERAL, _codes.ANY, _codes.IN)
_BEGIN = (_codes.AT_BEGINNING, _codes.AT_BEGINNING_STRING)
_END = (_codes.AT_END, _codes.AT_END_STRING)
_NOTHING = Part()


class Globs:
    """Case-sensitive globs, which Python translates into fast expressions."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._fits = [re.compile(translate(pattern)).match for pattern in patterns]

    def fit(self, name: str) -> bool:
        """Whether one of them fits the whole name."""
        return any(fits(name) is not None for fits in self._fits)


def compile_pattern(text: str, what: str) -> Matcher:
    """Return a matcher of the regular expression ``text``. MigrationError(EINVAL) calls it
    ``what``.
    """
    if len(text) > MAX_PATTERN:
        raise _refuse(what, f"is longer than {MAX_PATTERN} characters")
    try:
        tree: Any = _parser.parse(text)
        return _Translation(tree, what).matcher()
    except TooManyPositions:
        raise _refuse(
            what,
            f"takes more than {MAX_POSITIONS} characters with its repeats written out",
            "give smaller numbers in {}, or use * and +",
        ) from None
    except (re.error, RecursionError, OverflowError, ValueError) as error:
        problem = str(error).encode("ascii", "backslashreplace").decode()
        raise _refuse(what, f"is not a regular expression: {problem[:80]}") from None


def _refuse(what: str, problem: str, form: str = "try `name` with * instead") -> MigrationError:
    return MigrationError(EINVAL, f"{what} {problem}; {form}.")


class _Translation:
    """Builds the automaton of an expression that ``re`` has read."""

    def __init__(self, tree: Any, what: str) -> None:
        self._tree = tree
        self._what = what
        self._builder = Builder(most=MAX_POSITIONS)
        self._tests: dict[str, Test] = {}

    def matcher(self) -> Matcher:
        """The matcher of the whole. Raises MigrationError, TooManyPositions."""
        return self._builder.matcher(self._sequence(self._tree, begins=True, ends=True))

    def _sequence(self, tree: Any, *, begins: bool, ends: bool) -> Part:
        """Add a sequence. ``begins``, ``ends``: the whole name begins, ends with it."""
        items = list(tree)
        whole = _NOTHING
        for number, (code, value) in enumerate(items):
            first = begins and all(c is _codes.AT for c, _ in items[:number])
            last = ends and all(c is _codes.AT for c, _ in items[number + 1 :])
            whole = self._builder.sequence(whole, self._item(code, value, first, last))
        return whole

    def _item(self, code: Any, value: Any, begins: bool, ends: bool) -> Part:
        if code in _CHARACTERS:
            return self._builder.character(self._test(code, value))
        if code is _codes.BRANCH:
            branches = [self._sequence(b, begins=begins, ends=ends) for b in value[1]]
            whole = branches[0]
            for branch in branches[1:]:
                whole = self._builder.either(whole, branch)
            return whole
        if code is _codes.SUBPATTERN:
            _, more_flags, fewer_flags, body = value
            if more_flags or fewer_flags:
                raise _refuse(self._what, "has flags for a part of it", "put (?i) at its beginning")
            return self._sequence(body, begins=begins, ends=ends)
        if code in _REPEATS:
            return self._repeat(*value)
        if code is _codes.AT and ((begins and value in _BEGIN) or (ends and value in _END)):
            return _NOTHING  # whole names are matched anyway
        if code is _codes.AT:
            raise _refuse(
                self._what,
                "has ^, $, \\b or \\B in the middle",
                "leave it out: the expression has to fit the whole name",
            )
        raise _refuse(
            self._what,
            "has a look-around, a reference to a group, or a possessive or atomic repeat",
            "write it without, use `exclude`, or `name` with *",
        )

    def _repeat(self, low: int, high: int, body: Any) -> Part:
        """``body`` from ``low`` to ``high`` times, written out."""
        if not high:
            return _NOTHING
        before = self._builder.positions
        once = self._sequence(body, begins=False, ends=False)
        if self._builder.positions == before:
            return once  # nothing, however often
        endless = high is _codes.MAXREPEAT
        whole, times = _NOTHING, 0
        while True:
            times += 1
            if endless and times >= low:
                return self._builder.sequence(whole, self._loop(once, low))
            part = once if times <= low else self._builder.optional(once)
            whole = self._builder.sequence(whole, part)
            if times == high:
                return whole
            once = self._sequence(body, begins=False, ends=False)

    def _loop(self, part: Part, low: int) -> Part:
        again = self._builder.repeated(part)
        return again if low else self._builder.optional(again)

    def _test(self, code: Any, value: Any) -> Test:
        """A test of single characters by ``re`` itself, flags included."""
        key = repr((code, value))
        if key not in self._tests:
            state = self._tree.state
            compiled = _compiler.compile(self._tree.__class__(state, [(code, value)]))
            self._tests[key] = lambda character: compiled.match(character) is not None
        return self._tests[key]
