"""The benchmarks at their smallest, on the session's cluster: figures come out, and no more."""

import json
import math
from pathlib import Path

import pytest

from qa.bench import catalogue, cli
from qa.bench.result import Figure
from qa.bench.rounds import in_turn
from qa.devcluster import Cluster
from tests.cluster.commands import Commands


def test_figures_come_out_and_are_written(
    cluster: Cluster,
    migration: Commands,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "figures.json"
    folder = str(cluster.layout.root)
    code = cli.main(["fleet", "sparse", "--quick", "--dir", folder, "--json", str(file)])
    shown = capsys.readouterr().out
    assert code == 0, shown
    found = json.loads(file.read_text(), parse_constant=pytest.fail)
    assert found["broken"] == {}
    assert list(found["benchmarks"]) == ["fleet", "sparse"]
    assert found["machine"]["cores"] > 0
    for name, result in found["benchmarks"].items():
        assert f"\n{name}: {result['title']}" in shown
        assert all(sample > 0 for row in result["rows"] for sample in row["samples"])
        for figure in result["figures"]:
            assert math.isfinite(figure["value"])
            assert figure["what"] in shown
            assert (figure["met"] is None) == (figure["aim"] is None)
    assert len(found["benchmarks"]["fleet"]["rows"]) == 5
    assert migration.under_way() == []


def test_a_name_that_there_is_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fleeet"]) == 2
    said = capsys.readouterr().err
    assert "no benchmark 'fleeet'" in said
    assert "fleet" in said


def test_a_group_stands_for_several() -> None:
    names = [each.name for each in catalogue.choose(["pace", "fleet"])]
    assert {"fleet", "caps", "change", "sparse", "two-copies", "latency"} == set(names)


def test_variants_go_in_turn() -> None:
    calls: list[str] = []

    def variant(name: str) -> float:
        calls.append(name)
        return float(len(calls))

    samples = in_turn({name: lambda name=name: variant(name) for name in "abc"}, 2)
    assert "".join(calls) == "abccba"
    assert samples == {"a": [1, 6], "b": [2, 5], "c": [3, 4]}


@pytest.mark.parametrize(
    ("value", "limits", "verdict"),
    [
        (2.0, {}, ""),
        (2.0, {"least": 2.0}, "met"),
        (1.9, {"least": 2.0}, "MISSED"),
        (1.05, {"most": 1.05}, "met"),
        (1.06, {"most": 1.05}, "MISSED"),
    ],
)
def test_a_figure_says_whether_its_aim_is_met(
    value: float, limits: "dict[str, float]", verdict: str
) -> None:
    assert Figure("x", value, **limits).verdict == verdict
