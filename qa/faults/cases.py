"""The definition of a case."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable

from qa.faults.results import Result

if TYPE_CHECKING:
    from qa.faults.bench import Bench


@dataclass(frozen=True)
class Case:
    """A named fault and its function. ``quick``: one of the few that represent all.

    ``laboratory``: it needs the engine in a process of its own, while the managers' module is
    disabled (``Bench.lab``).
    """

    name: str
    run: "Callable[[Bench, str], Result]"
    quick: bool = False
    laboratory: bool = False
