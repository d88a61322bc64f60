"""What came of the tour."""

from collections.abc import Mapping
from dataclasses import dataclass

from qa.demo.compare import Comparison
from qa.demo.journal import Latencies


@dataclass(frozen=True)
class Result:
    """All that the summary tells."""

    size: int
    source_bytes: int  # that existed before the migration, head and snapshots together
    target_bytes: int  # the same afterwards, with what the client wrote
    seconds: Mapping[str, float]  # step -> duration
    client: Latencies
    worst_while: str  # what went on when the client's slowest write began
    comparison: Comparison
    problems: tuple[str, ...]  # what else is not as it should be, one sentence each

    @property
    def exit_code(self) -> int:
        return 1 if self.comparison.bytes_differ or self.problems else 0
