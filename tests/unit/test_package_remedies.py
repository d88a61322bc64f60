"""Refusals that name a package: apt knows it, and it has what was missing.

Nothing is installed: apt says what it would do, and dpkg has the list of the package's files.
"""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from rbdmigrate.sources import SourceError, s3_copied, zstd
from rbdmigrate.sources.qemu import process

pytestmark = pytest.mark.programs

SOURCES = Path(s3_copied.__file__).parent
APT_LISTS = Path("/var/lib/apt/lists")


def run(*command):
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def qemu_missing(patch):
    patch.setattr(process, "_FOLDERS", ("/nowhere",))
    process.program()


def zstd_missing(patch):
    patch.setattr(zstd, "_LIBRARY", "libnowhere.so.1")
    zstd.library()


def botocore_missing(patch):
    raise s3_copied.CopiedS3Stream._needs_version_4(Unsigned())


class Unsigned:
    """A stream s3 that was refused."""

    def _s3(self, code, errno, words, remedy=""):
        return SourceError(code, errno, f"The service {words}.", remedy=remedy)


def qemu_there():
    return process.program()


def zstd_there():
    zstd.library()
    for line in Path("/proc/self/maps").read_text().splitlines():
        if "libzstd.so" in line:
            return line.split()[-1]
    raise AssertionError("it is not loaded")


def botocore_there():
    """Where Debian's Python, which is the manager's, has it."""
    script = (
        f"import sys; sys.path.append({str(SOURCES.parents[1])!r}); "
        "from rbdmigrate.sources import s3_copied; "
        "print(sys.modules[s3_copied._signers()[0].__module__].__file__)"
    )
    return run("/usr/bin/python3", "-I", "-B", "-c", script).strip()


CASES = [
    pytest.param(qemu_missing, qemu_there, id="qemu"),
    pytest.param(zstd_missing, zstd_there, id="zstd"),
    pytest.param(botocore_missing, botocore_there, id="botocore"),
]


def remedy_of(missing, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(SourceError) as caught:
        missing(patch)
    return caught.value.remedy


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="needs dpkg")
@pytest.mark.parametrize(("missing", "there"), CASES)
def test_the_package_has_what_is_missing(missing, there, monkeypatch):
    """Once it is installed, as it is here, what was missing is found in it."""
    apt, install, package = shlex.split(remedy_of(missing, monkeypatch))
    assert (apt, install) == ("apt", "install")
    files = run("dpkg", "-L", package).splitlines()
    assert os.path.realpath(there()) in {os.path.realpath(file) for file in files}


@pytest.mark.skipif(
    shutil.which("apt-get") is None or not any(APT_LISTS.glob("*_Packages*")),
    reason="needs apt with its lists of packages",
)
@pytest.mark.parametrize(("missing", "there"), CASES)
def test_apt_does_what_the_remedy_says(missing, there, monkeypatch):
    _, *command = shlex.split(remedy_of(missing, monkeypatch))
    run("apt-get", "-s", *command)
    with pytest.raises(AssertionError, match="Unable to locate package"):
        run("apt-get", "-s", "install", f"{command[-1]}-not")


def test_no_other_refusal_names_a_package():
    named = {path.name for path in SOURCES.rglob("*.py") if "apt install" in path.read_text()}
    assert named == {"process.py", "zstd.py", "s3_copied.py"}
