"""How soon a changed rate takes effect, computed from the bytes that arrived afterwards."""

import time

from qa.bench.copies import arrived, discard, prepared, throttled
from qa.bench.result import Figure, Result
from qa.bench.rig import Rig
from qa.workload.images import MIB

_SLOW, _FAST = 10, 60  # MiB/s
_SPAN = 5.0  # seconds from the change to the count
_OBJECT = MIB


def run(rig: Rig) -> Result:
    """Change the rate of one running copy up, down, and up again."""
    changes = 1 if rig.quick else 2 * rig.repeat
    target = prepared(
        rig, int((_SLOW + _FAST) * (_SPAN + 4) * (changes / 2 + 1)) * MIB, object_size=_OBJECT
    )
    samples: dict[str, list[float]] = {"up": [], "down": []}
    with throttled(rig, f"{_SLOW}M"):
        rig.ask("execute", target_image=target)
        rig.wait(target, "executing")
        for number in range(changes):
            time.sleep(3.0)
            old, new = (_SLOW, _FAST) if number % 2 == 0 else (_FAST, _SLOW)
            samples["up" if new > old else "down"].append(_delay(rig, old, new))
    discard(rig, target)
    result = Result(f"seconds until another rate counts, between {_SLOW} and {_FAST} MiB/s")
    medians = result.add({name: taken for name, taken in samples.items() if taken})
    for name, median in medians.items():
        result.figures.append(Figure(f"{name}: in effect after", median, "s", most=2.0))
    return result


def _delay(rig: Rig, old: int, new: int) -> float:
    """Return how many seconds the old rate must have continued, given the bytes that arrived."""
    begin, before = time.monotonic(), arrived(rig)
    rig.ask("throttle set", rate=f"{new}M")
    time.sleep(_SPAN)
    seconds = time.monotonic() - begin
    moved = (arrived(rig) - before) * _OBJECT / MIB
    return max(0.0, (new * seconds - moved) / (new - old))
