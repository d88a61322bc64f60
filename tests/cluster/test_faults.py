"""The quick part of the fault tests, on the session's cluster: managers and workers die."""

from collections.abc import Iterator

import pytest

from qa.devcluster import Cluster
from qa.faults import aftermath, cli
from qa.faults.bench import Bench, benched, reset
from qa.faults.cases import Case
from qa.faults.sends.engine import laboratory

_CASES = cli.choose(quick=True)


@pytest.fixture(scope="module")
def bench(cluster: Cluster) -> Iterator[Bench]:
    """The bench; at the end nothing that expires may be left of all the cases."""
    with benched(cluster) as made:
        yield made
        left = aftermath.look(made)
    assert left.findings == []


@pytest.mark.timeout(300)
@pytest.mark.parametrize("case", _CASES, ids=[case.name for case in _CASES])
def test_survives(bench: Bench, case: Case) -> None:
    if case.laboratory:
        with laboratory(bench):
            result = case.run(bench, case.name)
    else:
        result = case.run(bench, case.name)
    if result.findings:
        reset(bench)
    assert result.findings == []
    if not result.reached:
        pytest.skip(f"not reached: {result.met}")
