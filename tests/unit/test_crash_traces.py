"""The trace of a test process that a signal ends."""

import subprocess
import sys
from pathlib import Path

import pytest

from qa.devcluster.layout import REPOSITORY

_CONFTEST = """\
from tests.cluster.crash_traces import CrashTraces


def pytest_configure(config):
    config.pluginmanager.register(CrashTraces(config))
"""
_TEST = """\
import os
import signal


def here():
    os.kill(os.getpid(), signal.SIGSEGV)


def test_crash():
    here()
"""


@pytest.mark.programs
def test_the_failed_test_shows_the_signal_and_the_thread(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(_CONFTEST, encoding="utf-8")
    (tmp_path / "test_it.py").write_text(_TEST, encoding="utf-8")
    program = "import resource, sys, pytest; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); "
    program += "sys.exit(pytest.main(sys.argv[1:]))"
    done = subprocess.run(
        [
            sys.executable, "-c", program, "-p", "no:cacheprovider", "-p", "no:schemathesis",
            "-n", "1", "--max-worker-restart=0", "-o", "addopts=", str(tmp_path),
        ],
        cwd=tmp_path, timeout=60, text=True, check=False, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={"PYTHONPATH": str(REPOSITORY), "TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    failed = done.stdout.partition("= FAILURES =")[2]
    assert "crashed while running 'test_it.py::test_crash'" in failed, done.stdout
    assert "Fatal Python error: Segmentation fault\nCurrent thread" in failed
    assert " in here\n" in failed
    assert list(tmp_path.glob("*.trace")) == []
