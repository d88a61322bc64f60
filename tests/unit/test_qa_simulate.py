"""The simulation of many migrations: its phases end, and count what they do."""

from qa.simulate.cli import shown
from tests.fakes import many_records
from tests.fakes.many import run


def test_each_phase_is_measured():
    phases = {phase.name: phase for phase in run(3)}
    assert next(iter(phases)) == "begin all"
    assert list(phases)[-1] == "copy and commit all"
    for busy in ("begin all", "copy and commit all"):
        assert all(count >= 3 for count in phases[busy].operations), phases[busy]
    for idle in ("a page of 50", "summary", "ls as JSON", "ls as JSON again"):
        assert phases[idle].operations == (0, 0, 0, 0), "lists are made of memory"
    assert phases["failover"].operations[1] >= 1, "the new manager takes the store over"


def test_the_table_has_costs_for_each_image():
    phases = list(run(2))
    lines = shown(phases, 2).splitlines()
    assert [line.split("  ")[0] for line in lines[1:]] == [phase.name for phase in phases]
    assert f"{phases[0].operations[0] / 2:.1f}" in lines[1].split()


def test_lists_and_rounds_are_measured_with_records_alone():
    costs = {cost.name: cost for cost in many_records.run(40)}
    assert {"ls as JSON", "a page by target", "summary", "a round"} <= set(costs)
    assert all(cost.median > 0 for cost in costs.values())
