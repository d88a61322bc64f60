"""The suites: that they name what there is, and that the jobs are what teuthology makes of them."""

import os
from pathlib import Path

from qa.workunits.cli import named_by_suites
from qa.workunits.suites import PREPARING, SCRIPTS, SUITES, jobs, workunits


def test_every_script_is_in_a_suite_and_can_be_run() -> None:
    scripts = {str(p.relative_to(SCRIPTS)) for p in SCRIPTS.glob("*/*.sh") if p.name != "lib.sh"}
    assert {unit.script for job in jobs(SUITES) for unit in workunits(job)} == scripts
    assert all(os.access(SCRIPTS / script, os.X_OK) for script in scripts)
    # Teuthology runs every executable of a folder that it is told to run.
    assert not os.access(SCRIPTS / "rbd_migration" / "lib.sh", os.X_OK)


def test_a_job_installs_first_and_then_does_one_workload() -> None:
    every = [[unit.script for unit in workunits(job)] for job in jobs(SUITES)]
    assert len(every) == 7
    assert all(scripts[0] in PREPARING and len(scripts) == 2 for scripts in every)
    names = [unit.name for unit in named_by_suites()]
    assert "rbd_migration/import.sh FORMAT=qcow2" in names
    assert "rbd_migration/single.sh" in names


def test_folders_combine_as_their_marks_say(tmp_path: Path) -> None:
    for name in ("%", "a/x.yaml", "a/y.yaml", "b/+", "b/one.yaml", "b/two.yaml", "c/z.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [[path.stem for path in job] for job in jobs(tmp_path)]
    assert found == [["x", "one", "two", "z"], ["y", "one", "two", "z"]]
