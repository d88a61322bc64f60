"""What a case is."""

from dataclasses import dataclass
from typing import Callable

from qa.faults.bench import Bench
from qa.faults.results import Result


@dataclass(frozen=True)
class Case:
    """A named fault and how to bring it about.

    ``quick``: one of the few that stand for all. ``laboratory``: it needs the engine in a process
    of our own, while the managers' module is disabled (``Bench.lab``).
    """

    name: str
    run: Callable[[Bench, str], Result]
    quick: bool = False
    laboratory: bool = False
