"""All benchmarks, in the order in which they run."""

from dataclasses import dataclass
from typing import Callable

from qa.bench import (
    agents,
    caps,
    change,
    failover,
    fleet,
    formats,
    guest,
    image,
    imports,
    latency,
    plans,
    scale,
    sparse,
    stop,
    two_copies,
    warm,
)
from qa.bench.result import Result
from qa.bench.rig import Rig


@dataclass(frozen=True)
class Benchmark:
    """A benchmark. ``groups``: the groups that it belongs to; ``gateway``: it uses S3."""

    name: str
    run: "Callable[[Rig], Result]"
    groups: "tuple[str, ...]" = ()
    gateway: bool = False


ALL = (
    Benchmark("fleet", fleet.run),
    Benchmark("plans", plans.run),
    Benchmark("image", image.run),
    Benchmark("latency", latency.run, ("pace",)),
    Benchmark("scale", scale.run),
    Benchmark("failover", failover.run),
    Benchmark("stop", stop.run),
    Benchmark("imports", imports.run, gateway=True),
    Benchmark("formats", formats.run),
    Benchmark("caps", caps.run, ("pace",)),
    Benchmark("change", change.run, ("pace",)),
    Benchmark("sparse", sparse.run, ("pace",)),
    Benchmark("two-copies", two_copies.run, ("pace",)),
    Benchmark("warm", warm.run),
    Benchmark("guest", guest.run),
    Benchmark("agents", agents.run),
)


def choose(names: "list[str]") -> "list[Benchmark]":
    """Return the benchmarks with these names or groups; all without a name. Raises KeyError."""
    if not names:
        return list(ALL)
    for name in names:
        if not any(name == each.name or name in each.groups for each in ALL):
            raise KeyError(name)
    return [each for each in ALL if each.name in names or set(each.groups) & set(names)]
