"""A matcher for regular expressions in time linear in the length of the name. Pure.

An expression is built from *positions*: places where it takes one character. The matcher reads a
name once, and knows after each character which positions may come next (Glushkov's automaton; a
set of positions is the bits of an ``int``). So a name of ``n`` characters costs at most ``n``
times the number of positions for every expression: there is no backtracking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

Test = Callable[[str], bool]
_REMEMBERED = 4096  # steps that a matcher caches


class Part(NamedTuple):
    """A part of an expression: the positions it may begin and end with (bits).

    ``empty``: it also matches no character at all.
    """

    first: int = 0
    last: int = 0
    empty: bool = True


class TooManyPositions(Exception):
    """The expression takes more positions than it may have."""


class Builder:
    """Puts an expression together from its parts, then makes a :class:`Matcher` of the whole."""

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._tests: list[Test] = []
        self._follow: list[int] = []

    @property
    def positions(self) -> int:
        """The number of positions so far."""
        return len(self._tests)

    def character(self, test: Test) -> Part:
        """One character for which ``test`` holds. Raises TooManyPositions."""
        if len(self._tests) >= self._most:
            raise TooManyPositions
        bit = 1 << len(self._tests)
        self._tests.append(test)
        self._follow.append(0)
        return Part(bit, bit, empty=False)

    def sequence(self, one: Part, then: Part) -> Part:
        """``one`` and ``then`` one after the other."""
        self._link(one.last, then.first)
        return Part(
            one.first | (then.first if one.empty else 0),
            then.last | (one.last if then.empty else 0),
            one.empty and then.empty,
        )

    def either(self, one: Part, other: Part) -> Part:
        """``one`` or ``other``."""
        return Part(one.first | other.first, one.last | other.last, one.empty or other.empty)

    def optional(self, part: Part) -> Part:
        """``part`` or nothing."""
        return part._replace(empty=True)

    def repeated(self, part: Part) -> Part:
        """``part`` once or more."""
        self._link(part.last, part.first)
        return part

    def matcher(self, whole: Part) -> Matcher:
        """The matcher of the expression ``whole``."""
        return Matcher(tuple(self._tests), tuple(self._follow), whole)

    def _link(self, ends: int, begins: int) -> None:
        for number in _bits(ends):
            self._follow[number] |= begins


class Matcher:
    """Matches whole names. Thread-safe: a lost cache entry is computed again."""

    def __init__(self, tests: tuple[Test, ...], follow: tuple[int, ...], whole: Part) -> None:
        self._tests = tests
        self._follow = follow
        self._whole = whole
        self._steps: dict[tuple[int, str], tuple[int, int]] = {}

    @property
    def positions(self) -> int:
        """The number of positions: the most work that a character can cost."""
        return len(self._tests)

    def fits(self, name: str) -> bool:
        """Whether the expression matches the whole name."""
        taken, following = 0, self._whole.first
        for character in name:
            if not following:
                return False
            taken, following = self._step(following, character)
        return bool(taken & self._whole.last) if name else self._whole.empty

    def _step(self, following: int, character: str) -> tuple[int, int]:
        """The positions of ``following`` that take the character, and the positions after those."""
        known = self._steps.get((following, character))
        if known is not None:
            return known
        taken = after = 0
        for number in _bits(following):
            if self._tests[number](character):
                taken |= 1 << number
                after |= self._follow[number]
        if len(self._steps) >= _REMEMBERED:
            self._steps.clear()
        self._steps[following, character] = taken, after
        return taken, after


def _bits(mask: int) -> Iterator[int]:
    """The numbers of the bits that are set."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest
