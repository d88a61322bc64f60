"""Patterns over image names: they match what Python's ``re`` matches, and never take long."""

import re
import time
import warnings
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.control.plans import automaton
from rbdmigrate.control.plans.patterns import MAX_POSITIONS, Globs, compile_pattern
from rbdmigrate.model.errors import MigrationError

LONGEST = 96  # characters of an image's name


def expressions():
    """Expressions of what is offered, some with much ambiguity."""
    single = st.sampled_from(["a", "b", "-", ".", "[ab]", "[^a]", r"\d", r"\w", "1", "A", r"\."])

    def bigger(inner):
        count = st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "{1,}", "*?", "+?", "??", "{0}"])
        return (
            st.lists(inner, min_size=1, max_size=3).map("".join)
            | st.lists(inner | st.just(""), min_size=2, max_size=3).map(
                lambda parts: f"({'|'.join(parts)})"
            )
            | st.tuples(inner, count).map(lambda pair: f"(?:{pair[0]}){pair[1]}")
        )

    whole = st.recursive(single, bigger, max_leaves=6)
    begins, ends = st.sampled_from(["", "^", "(?i)", r"\A"]), st.sampled_from(["", "$", r"\Z"])
    return st.tuples(begins, whole, ends).map("".join)


@given(expressions(), st.lists(st.text("abA1-.", max_size=7), min_size=1, max_size=8))
def test_an_expression_fits_the_names_that_re_matches_as_a_whole(text, names):
    pattern = compile_pattern(text, "regex")
    assert [pattern.fits(name) for name in names] == [
        re.fullmatch(text, name) is not None for name in names
    ]


@pytest.mark.parametrize(
    ("text", "fits", "fits_not"),
    [
        ("vm-[0-9]+", "vm-17", "vm-"),
        ("^vm-(prod|test)$", "vm-test", "vm-dev"),
        ("^vm|db$", "db", "vmdb"),
        ("(?i)vm.*", "VM-1", "db"),
        (".*", "ä/ß", "a\nb"),
        ("(a|)*", "", "b"),
    ],
)
def test_what_people_write(text, fits, fits_not):
    pattern = compile_pattern(text, "regex")
    assert pattern.fits(fits)
    assert not pattern.fits(fits_not)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (r"(a)\1", "has a look-around, a reference to a group"),
        ("a(?=b)b", "has a look-around"),
        ("(?<!a)b", "has a look-around"),
        (r"a\bb", r"has ^, $, \b or \B in the middle"),
        ("a$b", "in the middle"),
        ("(?i:a)b", "has flags for a part"),
        ("(a{100}){100}", f"takes more than {MAX_POSITIONS} characters"),
        ("[a-z]{1,501}", f"takes more than {MAX_POSITIONS} characters"),
        ("(", "is not a regular expression"),
        ("a{9999999999999}", "is not a regular expression"),
        ("a" * 201, "is longer than 200 characters"),
    ],
)
def test_what_is_not_offered_is_refused_with_a_sentence(text, said):
    with pytest.raises(MigrationError) as refusal:
        compile_pattern(text, "regex")
    assert said in str(refusal.value)


class Counted(automaton.Matcher):
    """Counts the positions that are looked at."""

    looked = 0

    def __init__(self, pattern):
        tests = tuple(map(self._count, pattern._tests))
        super().__init__(tests, pattern._follow, pattern._whole)

    def _count(self, test):
        def counted(character):
            self.looked += 1
            return test(character)

        return counted


SLOW = [
    "(.|)" * 48,
    "(.|.)" * 40,
    "|".join([".*.*.*x"] * 25),
    "(a*)*" * 30 + "!",
    "((((a|b)*)*)*)*!",
    "(.?){500}",
    "(a|a)*" * 30 + "!",
    "(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)!",
]


@pytest.mark.parametrize("text", SLOW)
@pytest.mark.parametrize("name", ["a" * LONGEST, "ab" * (LONGEST // 2), "vm-0001-disk"])
def test_no_expression_looks_at_more_than_its_positions_for_each_character(text, name):
    pattern = Counted(compile_pattern(text, "regex"))
    pattern.fits(name)
    assert pattern.looked <= len(name) * pattern.positions
    assert pattern.positions <= MAX_POSITIONS


@given(
    st.text("ab()[]*+?{},1234|\\^$.-:=!<>P", max_size=200),
    st.text("ab1-", min_size=1, max_size=LONGEST),
)
def test_whatever_is_taken_has_bounded_positions_and_steps(text, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of re, about expressions that it will read differently
        try:
            pattern = Counted(compile_pattern(text, "regex"))
        except MigrationError:
            return
    assert pattern.positions <= MAX_POSITIONS
    pattern.fits(name)
    assert pattern.looked <= len(name) * pattern.positions


@pytest.mark.parametrize("text", [*SLOW, "((){99999}){99999}", "(" * 99 + ")" * 99])
def test_reading_an_expression_and_matching_a_thousand_names_takes_no_seconds(text):
    begin = time.process_time()
    pattern = compile_pattern(text, "regex")
    for number in range(1000):
        pattern.fits(f"vm-{number:04}-" + "ab" * 40)
    assert time.process_time() - begin < 5


def test_what_a_matcher_remembers_is_bounded():
    pattern = compile_pattern("(a|b)*a" + "(a|b)" * 30, "regex")
    for number in range(2000):
        name = f"{number * 0x9E3779B97F4A7C15 & (1 << 80) - 1:080b}".translate({48: "a", 49: "b"})
        assert pattern.fits(name) == (re.fullmatch("[ab]*a[ab]{30}", name) is not None)
    assert len(pattern._steps) <= 4096


@given(st.text("ab*?[]!-", max_size=8), st.text("ab-[", max_size=6))
def test_a_glob_fits_what_fnmatch_says(pattern, name):
    assert Globs([pattern]).fit(name) == fnmatchcase(name, pattern)


def test_many_globs_are_read_once_for_all_names():
    globs = Globs([f"{number}" + "a*" * 40 for number in range(900)])
    begin = time.process_time()
    assert not any(globs.fit("b" * 90 + str(number)) for number in range(2000))
    assert time.process_time() - begin < 5
