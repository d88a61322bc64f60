"""Which cases ``./run qa faults --minutes`` runs."""

import random
from collections.abc import Iterator

import pytest

from qa.faults.cases import Case
from qa.faults.sampling import sample


def never(bench: object, name: str) -> "None":
    raise AssertionError("a case is chosen here, not run")


CASES = [Case(f"case {n}", never, laboratory=n % 4 == 0) for n in range(40)]  # type: ignore[arg-type]


def taken(minutes: float, each: float, seed: int = 1) -> "list[Case]":
    """The cases that begin when each takes ``each`` seconds."""
    now = [0.0]

    def run() -> Iterator[Case]:
        for case in sample(CASES, 60 * minutes, random.Random(seed), lambda: now[0]):
            yield case
            now[0] += each

    return list(run())


def test_each_kind_has_its_share_of_the_time() -> None:
    found = taken(10, each=30)
    assert len(found) == 20
    assert [case.laboratory for case in found] == [False] * 15 + [True] * 5
    assert len(set(found)) == 20


def test_all_are_run_when_there_is_time() -> None:
    found = taken(100, each=1)
    assert sorted(case.name for case in found) == sorted(case.name for case in CASES)


def test_what_the_first_kind_takes_longer_the_second_does_not_get() -> None:
    assert [case.laboratory for case in taken(10, each=500)] == [False, True]
    assert [case.laboratory for case in taken(10, each=700)] == [False]


@pytest.mark.parametrize("seed", range(5))
def test_a_seed_chooses_the_same_cases_again(seed: int) -> None:
    assert taken(5, each=30, seed=seed) == taken(5, each=30, seed=seed)
    assert taken(5, each=30, seed=seed) != taken(5, each=30, seed=seed + 1)
