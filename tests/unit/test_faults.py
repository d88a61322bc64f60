"""Fault points: a file arms one, it kills its process once, and without a folder there are none."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "src"
PROGRAM = """
import sys
from rbdmigrate.faults import fault_point
for passed in sys.argv[1:]:
    name, _, detail = passed.partition(":")
    fault_point(name, detail)
    print(passed, flush=True)
"""


def passes(folder, *points: str):
    """A process passes ``points`` (NAME or NAME:DETAIL): its exit code, and how many it passed."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
    environment.pop("RBD_MIGRATION_FAULT_DIR", None)
    if folder is not None:
        environment["RBD_MIGRATION_FAULT_DIR"] = str(folder)
    command = [sys.executable, "-S", "-c", PROGRAM, *points]
    run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    return run.returncode, len(run.stdout.split())


DIES = [
    ("1", ["p", "p"], 0),
    ("", ["p", "p"], 0),
    ("3\n", ["p", "p", "p", "p"], 2),
    ("2", ["q", "p", "q", "p"], 3),
    ("1 executed", ["p", "p:prepared", "p:executed"], 2),
    ("2 executed", ["p:executed", "p:prepared", "p:executed"], 2),
]
LIVES = [
    ("4", ["p", "p", "p"]),
    ("1", ["q", "pp"]),
    ("1 executed", ["p", "p:prepared", "p:exec"]),
    ("2 executed", ["p:executed", "p:prepared", "p"]),
]


@pytest.mark.parametrize(("text", "points", "passed"), DIES)
def test_an_armed_point_kills_at_the_nth_pass_that_fits_and_disarms_itself(
    tmp_path, text, points, passed
):
    (tmp_path / "p").write_text(text)
    assert passes(tmp_path, *points) == (-signal.SIGKILL, passed)
    assert not (tmp_path / "p").exists()
    assert passes(tmp_path, *points) == (0, len(points))


@pytest.mark.parametrize(("text", "points"), LIVES)
def test_a_point_stays_armed_until_it_is_passed_often_enough(tmp_path, text, points):
    (tmp_path / "p").write_text(text)
    assert passes(tmp_path, *points) == (0, len(points))
    assert (tmp_path / "p").read_text() == text


def test_a_point_armed_while_the_process_runs_counts_from_then_on(tmp_path):
    arm = f"open({str(tmp_path / 'p')!r}, 'w').write('1')"
    program = PROGRAM.replace("    name,", f"    if passed == 'arm': {arm}\n    name,")
    environment = {
        **os.environ,
        "PYTHONPATH": str(SOURCES),
        "RBD_MIGRATION_FAULT_DIR": str(tmp_path),
    }
    command = [sys.executable, "-S", "-c", program, "p", "p", "arm", "p", "p"]
    run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    assert (run.returncode, run.stdout.split()) == (-signal.SIGKILL, ["p", "p", "arm"])


def test_without_a_folder_in_the_environment_there_are_no_points(tmp_path):
    (tmp_path / "p").write_text("1")
    assert passes(None, "p") == (0, 1)
    assert passes(tmp_path / "missing", "p") == (0, 1)


def test_a_process_waits_at_a_point_until_the_test_lets_it_on(tmp_path):
    (tmp_path / "p.wait").write_text("executed")
    environment = {
        **os.environ,
        "PYTHONPATH": str(SOURCES),
        "RBD_MIGRATION_FAULT_DIR": str(tmp_path),
    }
    command = [sys.executable, "-S", "-c", PROGRAM, "q", "p:prepared", "p:executed", "p"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert [process.stdout.readline().strip() for _ in range(2)] == ["q", "p:prepared"]
        deadline = time.monotonic() + 20
        while not (tmp_path / "p.reached").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert process.poll() is None
        (tmp_path / "p.wait").unlink()
        assert process.stdout.read().split() == ["p:executed", "p"]
