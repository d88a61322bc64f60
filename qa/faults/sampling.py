"""A random choice of cases for a limited time."""

import random
import time
from collections.abc import Iterator, Sequence
from typing import Callable

from qa.faults.cases import Case


def sample(
    cases: Sequence[Case],
    seconds: float,
    chance: random.Random,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Case]:
    """Yield cases in random order until ``seconds`` have passed.

    Those of the managers' module come first, since it takes time to disable and enable that; each
    kind has as much of the time as it has of the cases, and the second what the first leaves.
    """
    begun, given = clock(), 0
    for in_laboratory in (False, True):
        kind = [case for case in cases if case.laboratory is in_laboratory]
        chance.shuffle(kind)
        given += len(kind)
        for case in kind:
            if clock() - begun >= seconds * given / len(cases):
                break
            yield case
