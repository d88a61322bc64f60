"""The result of the tour."""

from collections.abc import Mapping
from dataclasses import dataclass

from qa.demo.compare import Comparison
from qa.demo.journal import Latencies


@dataclass(frozen=True)
class Result:
    """The data of the summary."""

    size: int
    source_bytes: int  # allocated before the migration, head and snapshots together
    target_bytes: int  # the same afterwards, including the client's writes
    seconds: Mapping[str, float]  # step -> duration
    client: Latencies
    worst_while: str  # the step during which the client's slowest write began
    comparison: Comparison
    problems: tuple[str, ...]  # other problems, one sentence each

    @property
    def exit_code(self) -> int:
        return 1 if self.comparison.bytes_differ or self.problems else 0
