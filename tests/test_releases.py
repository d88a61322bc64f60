"""The parts of the other releases that need neither a chroot nor Ceph."""

from pathlib import Path

import pytest

from qa.releases import catalogue, cli
from qa.releases.catalogue import INSIDE, KNOWN
from qa.releases.enter import inside
from qa.releases.page import page
from qa.releases.results import Result, Results, load, merged, read_report, save, table
from qa.releases.root import Root, RootError

REPORT = """<testsuites><testsuite>
<testcase classname="tests.cluster.test_a" name="test_one" time="1.5"/>
<testcase classname="tests.cluster.test_a" name="test_two"><failure message="x"/></testcase>
<testcase classname="tests.cluster.test_a" name="test_three"><skipped message="why"/></testcase>
<testcase classname="tests.cluster.test_b" name="test_one"><error/></testcase>
<testcase classname="tests.cluster.test_b" name="test_two"><properties>
<property name="pause_seconds" value="0.41"/></properties></testcase>
</testsuite></testsuites>"""

DAY = "2026-11-28"
MEASURED = Result("passed", 1, day=DAY, measured="pause_seconds 0.41")
PASSED, FAILED, SKIPPED = Result("passed", 1), Result("failed", 1), Result("skipped", 0, "no nbd")


def test_a_report_tells_what_became_of_each_test() -> None:
    assert read_report(REPORT, DAY) == {
        "test_a::test_one": Result("passed", 1.5, day=DAY),
        "test_a::test_two": Result("failed", 0, day=DAY),
        "test_a::test_three": Result("skipped", 0, "why", day=DAY),
        "test_b::test_one": Result("failed", 0, day=DAY),
        "test_b::test_two": Result("passed", 0, day=DAY, measured="pause_seconds 0.41"),
    }


def test_the_table_has_a_column_for_each_release_their_sums_and_why_tests_were_skipped() -> None:
    found = {
        "pacific": Results("16.2.15", {"a::x": PASSED, "a::y": SKIPPED}),
        "tentacle": Results("20.2.4", {"a::x": FAILED, "b::z": MEASURED}),
    }
    head, first, second, _, *others = table(found).splitlines()
    assert head.split() == ["test", "pacific", "tentacle"]
    assert first.split() == ["a::x", "passed", "failed"]
    assert second.split() == ["a::y", "skipped", "-"]
    assert others == [
        "passed on pacific (16.2.15): 1/2, 1 skipped",
        "passed on tentacle (20.2.4): 1/2, 1 failed",
        "skipped on pacific: a::y: no nbd",
        "measured on tentacle: b::z: pause_seconds 0.41",
    ]


def test_the_page_has_sums_and_days_by_file_and_why_tests_were_skipped() -> None:
    later = Result("passed", 1, day="2026-12-01")
    found = {
        "pacific": Results("16.2.15", {"b::y": SKIPPED, "a::x": later, "b::z": MEASURED}),
        "tentacle": Results(
            "20.2.4", {"a::x[1]": later, "a::x[2]": Result("failed", 1, day="2026-11-28")}
        ),
    }
    assert page(found).splitlines() == [
        ".. list-table::",
        "   :header-rows: 1",
        "",
        "   * - tests",
        "     - pacific (16.2.15)",
        "     - tentacle (20.2.4)",
        "   * - ``a``",
        "     - 1/1; 2026-12-01",
        "     - 1/2, 1 failed; 2026-11-28 to 2026-12-01",
        "   * - ``b``",
        "     - 1/2, 1 skipped; 2026-11-28 to unknown day",
        "     - not run",
        "   * - all",
        "     - 2/3, 1 skipped",
        "     - 1/2, 1 failed",
        "",
        "Skipped:",
        "",
        "- pacific: ``b::y``: no nbd",
        "",
        "Measured:",
        "",
        "- pacific: ``b::z``: pause_seconds 0.41",
    ]


@pytest.mark.parametrize(
    ("result", "good"),
    [
        (PASSED, True),
        (SKIPPED, True),
        (FAILED, False),
        (Result("skipped", 0, "unconditional skip"), False),
        (Result("skipped", 0), False),
    ],
)
def test_a_test_that_is_skipped_without_a_reason_is_no_success(
    result: Result, good: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "_run", lambda *_: Results("20.2.4", {"a::x": PASSED, "a::y": result}))
    file = tmp_path / "page.rst"
    assert cli.main(["--only", "tentacle", "--page", str(file)]) == (0 if good else 1)
    assert "20.2.4" in file.read_text()


def test_results_are_kept_and_added_to(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    assert load(file) == {}
    save(file, {"reef": Results("18.2.7", {"a::x": FAILED, "a::y": SKIPPED})})
    (kept,) = load(file).values()
    again = merged(kept, Results("18.2.7", {"a::x": PASSED}))
    assert again == Results("18.2.7", {"a::x": PASSED, "a::y": SKIPPED})
    newer = Results("18.2.8", {"a::x": PASSED})
    assert merged(kept, newer) == newer
    assert merged(None, newer) == newer


def test_a_release_that_cannot_be_tested_hides_nothing_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(name: str, tests: "list[str]", folder: Path) -> Results:
        if name == "reef":
            raise RootError("no room")
        return Results("20.2.4", {"a::x": PASSED})

    monkeypatch.setattr(cli, "_run", run)
    file = tmp_path / "results.json"
    assert cli.main(["--only", "reef", "--only", "tentacle", "--json", str(file)]) == 1
    said = capsys.readouterr()
    assert "Error: reef: no room" in said.err
    assert "passed on tentacle (20.2.4): 1/1" in said.out
    assert set(load(file)) == {"tentacle"}
    assert cli.main(["--only", "tentacle"]) == 0


@pytest.mark.parametrize("content", ["", "[]", "{", '{"reef": {"a::x": "passed"}}'])
def test_a_file_that_cannot_take_results_is_refused_before_the_tests(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "results.json"
    file.write_text(content)
    assert cli.main(["--json", str(file)]) == 2
    said = f"Error: {file} has no results of this; choose another file.\n"
    assert capsys.readouterr().err == said
    assert file.read_text() == content
    assert cli.main(["--json", str(tmp_path / "none" / "results.json")]) == 2
    assert "No such file or directory" in capsys.readouterr().err


@pytest.mark.parametrize("tests", [[], ["tests/cluster/test_a.py"]])
def test_all_of_a_release_are_the_cluster_tests_and_the_unit_tests(
    tests: "list[str]", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = []

    def in_release(name: str, command: "list[str]", log: Path, timeout: float = 0) -> int:
        commands.append(command)
        log.write_text("ceph version 20.2.4 (0f) tentacle (stable)\nPython 3.14.8\n")
        for word in command:
            if word.startswith("--junitxml="):
                Path(word.partition("=")[2]).write_text(REPORT)
        return 1 if "unit,programs" in command else 0

    monkeypatch.setattr(cli, "_in_release", in_release)
    found = cli._run("tentacle", tests, tmp_path)
    assert found.versions == "20.2.4, Python 3.14.8"
    assert commands[1][:4] == ["./run", "test", "-e", "cluster"]
    assert commands[1][6:] == ["-m", "", *tests]
    assert commands[2:] == ([] if tests else [["./run", "test", "-e", "unit,programs"]])
    unit = found.tests.get("unit tests")
    assert unit is None if tests else unit is not None and unit.outcome == "failed"
    assert found.sums() == ("2/5, 2 failed, 1 skipped" if tests else "2/6, 3 failed, 1 skipped")


@pytest.mark.parametrize(("code", "outcome"), [(0, "passed"), (1, "failed")])
def test_any_command_of_run_has_a_line_in_the_table(
    code: int,
    outcome: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    commands = []

    def in_release(name: str, command: "list[str]", log: Path, timeout: float = 0) -> int:
        commands.append(command)
        log.write_text("ceph version 20.2.4 (0f) tentacle (stable)\nPython 3.14.8\n")
        return code if command[0] == "./run" else 0

    monkeypatch.setattr(cli, "_in_release", in_release)
    asked = ["--only", "tentacle", "--run", "--", "qa", "soak", "--minutes", "15"]
    assert cli.main(asked) == code
    assert commands[-1] == ["./run", "qa", "soak", "--minutes", "15"]
    _, line, *_ = capsys.readouterr().out.splitlines()
    assert line.split() == ["qa", "soak", "--minutes", "15", outcome]


def test_the_unit_tests_can_be_run_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def in_release(name: str, command: "list[str]", log: Path, timeout: float = 0) -> int:
        log.write_text("ceph version 20.2.4 (0f) tentacle (stable)\nPython 3.14.8\n")
        return 0

    monkeypatch.setattr(cli, "_in_release", in_release)
    asked = ["--only", "tentacle", "--run", "--", "test", "-e", "unit,programs"]
    assert cli.main(asked) == 0
    _, line, *_ = capsys.readouterr().out.splitlines()
    assert line.split() == ["unit", "tests", "passed"]


def test_what_a_command_said_is_shown_also_when_it_is_interrupted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def in_release(name: str, command: "list[str]", log: Path, timeout: float = 0) -> int:
        log.write_text("ceph version 20.2.4 (0f) tentacle (stable)\nPython 3.14.8\n")
        if command[0] == "./run":
            log.write_text("passed  the first of many\n")
            raise KeyboardInterrupt
        return 0

    monkeypatch.setattr(cli, "_in_release", in_release)
    assert cli.main(["--only", "tentacle", "--run", "--", "qa", "faults"]) == 130
    said = capsys.readouterr().err
    assert "the first of many" in said
    assert said.endswith("Interrupted.\n")


def test_a_command_of_run_has_to_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--run"])
    assert "comes a command of ./run" in capsys.readouterr().err


def test_a_command_runs_in_mounts_of_its_own() -> None:
    root = Root(KNOWN["tentacle"])
    command = root.command(["ceph", "--version"], [("/from", "/to")])
    assert command[:2] == ["unshare", "--mount"]
    assert command[-2:] == ["ceph", "--version"]
    assert f'mount --bind "/from" "{root.path}/to"' in command[4]


def test_inside_a_chroot_its_release_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue.here.cache_clear()
    monkeypatch.setenv(INSIDE, "tentacle")
    assert catalogue.here() == "tentacle"
    catalogue.here.cache_clear()


def test_an_unknown_release_is_refused() -> None:
    with pytest.raises(RootError, match="choose from pacific, reef, tentacle"):
        inside("nautilus", ["true"])
