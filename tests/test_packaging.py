"""What is installed: install.sh against made-up managers, the Debian packages, the wheel."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, ClassVar, Optional

import pytest

import rbdmigrate
from tests.unit.console_blocks import shown_in

pytestmark = pytest.mark.programs

REPOSITORY = Path(__file__).resolve().parents[1]
SCRIPT = REPOSITORY / "packaging" / "install.sh"
OURS = {"rbd_migration", "rbdmigrate"}


class Host:
    """A module directory, and a ceph-mgr of some release that is first on PATH."""

    def __init__(self, folder: Path) -> None:
        self.modules = folder / "share" / "mgr"
        self.modules.mkdir(parents=True)
        (self.modules / "mgr_module.py").touch()
        self._programs = folder / "bin"
        self._programs.mkdir()
        self.program("ceph-mgr", 'echo "ceph version 18.2.7 (0) reef (stable)"')
        self.program("ceph", "exit 1")  # no cluster can be reached from here

    def program(self, name: str, script: str) -> None:
        path = self._programs / name
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)

    def dashboard(self) -> Path:
        controllers = self.modules / "dashboard" / "controllers"
        controllers.mkdir(parents=True)
        return controllers

    def run(
        self,
        *args: str,
        script: Path = SCRIPT,
        explicit: bool = True,
        started_in: Optional[Path] = None,
    ) -> "subprocess.CompletedProcess[str]":
        where = ["--module-dir", str(self.modules)] if explicit else []
        return subprocess.run(
            ["bash", str(script), *where, *args],
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
            cwd=started_in,
            env={**os.environ, "PATH": f"{self._programs}:{os.environ['PATH']}"},
        )

    def install(self, *args: str, script: Path = SCRIPT) -> str:
        # Forced: the bindings of Ceph need not be here.
        done = self.run("--force", *args, script=script)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def found(self) -> "set[str]":
        return {path.name for path in self.modules.iterdir()} & OURS


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A source tree to change, with a file for the dashboard."""
    copy = tmp_path / "tree"
    for part in ("packaging", "mgr_module", "src"):
        shutil.copytree(REPOSITORY / part, copy / part)
    shutil.rmtree(copy / "mgr_module" / "dashboard", ignore_errors=True)
    (copy / "mgr_module" / "dashboard").mkdir()
    (copy / "mgr_module" / "dashboard" / "rbd_migration.py").touch()
    return copy


def version(folder: Path, number: str) -> None:
    (folder / "rbdmigrate" / "__init__.py").write_text(f'__version__ = "{number}"\n', "utf-8")


class TestInstallScript:
    def test_puts_both_folders_side_by_side(self, host: Host) -> None:
        said = host.install()
        assert f"rbd_migration {rbdmigrate.__version__} -> {host.modules}" in said
        assert host.found() == OURS
        assert (host.modules / "rbd_migration" / "module.py").is_file()
        assert [path.name for path in host.modules.parent.iterdir()] == ["mgr"]

    def test_what_is_installed_is_compiled_for_the_manager(self, host: Host, tree: Path) -> None:
        stale = tree / "src" / "rbdmigrate" / "__pycache__" / "stale.cpython-39.pyc"
        stale.parent.mkdir(exist_ok=True)
        stale.touch()
        host.install(script=tree / "packaging" / "install.sh")
        engine = host.modules / "rbdmigrate"
        assert not (engine / "__pycache__" / stale.name).exists()
        sources = [path for name in OURS for path in (host.modules / name).rglob("*.py")]
        assert len(list(host.modules.rglob("*.pyc"))) == len(sources)
        (compiled,) = (engine / "worker" / "__pycache__").glob("main.*.pyc")
        source = engine / "worker" / "main.py"
        assert str(source).encode() in compiled.read_bytes()  # for tracebacks
        made_from = int.from_bytes(compiled.read_bytes()[8:12], "little")  # PEP 552
        assert made_from == int(source.stat().st_mtime)  # so it is used

    def test_all_can_be_read_by_the_manager(self, host: Host) -> None:
        host.install()
        for path in (host.modules / "rbdmigrate").rglob("*"):
            assert path.stat().st_mode & 0o044 == 0o044

    def test_nothing_is_changed_by_a_dry_run(self, host: Host) -> None:
        assert "would run: " in host.install("--dry-run")
        assert host.found() == set()
        host.install()
        host.install("--uninstall", "--dry-run")
        assert host.found() == OURS

    def test_the_documentation_shows_a_dry_run(self, host: Host) -> None:
        host.dashboard()
        page = REPOSITORY / "doc" / "install.rst"
        shown = next(one for one in shown_in(page) if one.words[0].endswith("install.sh"))
        assert shown.words[1:] == ["--dry-run"]
        done = re.sub(r"(rbd_migration)\.\d+", r"\1.6555", host.install("--dry-run"))
        done = done.replace(str(host.modules), "/usr/share/ceph/mgr")
        done = re.sub(r"/\S+/python3\.\d+", "/usr/bin/python3.11", done)
        done = done.replace(str(REPOSITORY), "/opt/rbd_migration")
        assert [line.text for line in shown.output] == done.splitlines()

    def test_takes_away_what_it_brought_and_nothing_else(self, host: Host, tree: Path) -> None:
        controllers = host.dashboard()
        (controllers / "rbd.py").touch()
        script = tree / "packaging" / "install.sh"
        host.install(script=script)
        assert (controllers / "rbd_migration.py").is_file()
        host.install("--uninstall")  # whichever tree it is run from
        assert host.found() == set()
        assert [path.name for path in controllers.iterdir()] == ["rbd.py"]

    def test_without_a_dashboard_there_is_nothing_for_it(self, host: Host, tree: Path) -> None:
        host.install(script=tree / "packaging" / "install.sh")
        assert not (host.modules / "dashboard").exists()

    def test_an_update_leaves_nothing_of_the_former_version(self, host: Host, tree: Path) -> None:
        controllers = host.dashboard()
        script = tree / "packaging" / "install.sh"
        former = tree / "mgr_module" / "dashboard" / "former.py"
        former.touch()
        version(tree / "src", "0.0.9")
        host.install(script=script)
        (host.modules / "rbdmigrate" / "former.py").touch()
        former.unlink()
        version(tree / "src", "0.0.10")
        assert "replaces 0.0.9" in host.install(script=script)
        assert not (host.modules / "rbdmigrate" / "former.py").exists()
        assert [path.name for path in controllers.iterdir()] == ["rbd_migration.py"]

    def test_an_older_version_is_refused(self, host: Host, tree: Path) -> None:
        host.install()
        version(tree / "src", "0.0.9")
        done = host.run(script=tree / "packaging" / "install.sh")
        assert done.returncode == 1
        assert "an older version" in done.stderr

    @pytest.mark.parametrize("release", ["15.2.17", "21.0.0"])
    def test_an_unknown_release_is_refused(self, host: Host, release: str) -> None:
        host.program("ceph-mgr", f'echo "ceph version {release} (0) x (stable)"')
        done = host.run()
        assert done.returncode == 1
        assert "releases 16 to 20 are supported" in done.stderr
        assert host.found() == set()

    def test_an_enabled_module_is_not_removed(self, host: Host) -> None:
        host.install()
        host.program("ceph", """echo '{"enabled_modules": ["iostat", "rbd_migration"]}'""")
        done = host.run("--uninstall")
        assert done.returncode == 1
        assert "ceph mgr module disable rbd_migration" in done.stderr
        assert host.found() == OURS

    def test_the_module_directory_is_the_one_that_ceph_conf_names(self, host: Host) -> None:
        host.program("ceph-conf", f"echo {host.modules}")
        done = host.run("--dry-run", "--force", explicit=False)
        assert f"-> {host.modules}" in done.stdout

    def test_nothing_of_the_current_directory_is_run(self, host: Host, tmp_path: Path) -> None:
        """Root runs the script, and anybody may put files into /tmp."""
        planted = tmp_path / "planted"
        planted.mkdir()
        ran = tmp_path / "ran"
        for name in ("yaml", "rbd", "rados", "prettytable", "ctypes", "sitecustomize", "sys"):
            (planted / f"{name}.py").write_text(f"open({str(ran)!r}, 'a').write({name!r})\n")
        for mode in ([], ["--dry-run"]):
            assert host.run("--force", *mode, started_in=planted).returncode == 0
        assert not ran.exists(), ran.read_text()

    def test_a_relative_module_directory_is_that_of_the_caller(
        self, host: Host, tmp_path: Path
    ) -> None:
        relative = str(host.modules.relative_to(tmp_path))
        done = host.run(
            "--dry-run", "--force", "--module-dir", relative, explicit=False, started_in=tmp_path
        )
        assert f"-> {host.modules}" in done.stdout

    def test_a_folder_without_a_manager_is_refused(self, host: Host, tmp_path: Path) -> None:
        done = host.run("--module-dir", str(tmp_path))
        assert done.returncode == 1
        assert "is no module directory of a manager" in done.stderr

    def test_an_unknown_option_is_refused(self, host: Host) -> None:
        done = host.run("--purge")
        assert done.returncode == 1
        assert "there is no option '--purge'" in done.stderr


@pytest.mark.skipif(shutil.which("dh") is None, reason="debhelper is not installed")
@pytest.mark.timeout(600)
def test_packages(tmp_path: Path) -> None:
    """The Debian packages have what install.sh installs; the wheel has the engine, and the
    collection for Ansible its modules.
    """
    subprocess.run(
        [str(REPOSITORY / "packaging" / "build.sh"), sys.executable, str(tmp_path)],
        timeout=580,
        check=True,
        env={**os.environ, "PIP_NO_BUILD_ISOLATION": "0"},  # "0": pip loads no setuptools
    )
    number = rbdmigrate.__version__
    plugin = tmp_path / f"ceph-mgr-rbd-migration_{number}_all.deb"
    dashboard = tmp_path / f"ceph-mgr-rbd-migration-dashboard_{number}_all.deb"
    agent = tmp_path / f"rbd-migration-agent_{number}_all.deb"
    for package in (plugin, dashboard, agent):
        subprocess.run(["dpkg", "-x", str(package), str(tmp_path / "root")], timeout=30, check=True)
    installed = tmp_path / "root" / "usr" / "share" / "ceph" / "mgr"
    for ours in ("mgr_module/rbd_migration", "src/rbdmigrate"):
        source = REPOSITORY / ours
        assert _files(installed / source.name) == _files(source)
    drop_in = REPOSITORY / "mgr_module" / "dashboard"
    assert _files(installed / "dashboard" / "controllers") == _files(drop_in)
    for place in ("prometheus/ceph/rbd_migration_alerts.yml",
                  "grafana/dashboards/ceph-dashboard/rbd_migration_dashboard.json"):  # fmt: skip
        found = tmp_path / "root" / "etc" / place
        assert found.read_bytes() == (REPOSITORY / "packaging/monitoring" / found.name).read_bytes()
    collection = REPOSITORY / "packaging" / "ansible"
    made = tmp_path / f"rbd_migration-ceph-{number}.tar.gz"
    (tmp_path / "collection").mkdir()
    unpack = ["tar", "-xzf", str(made), "-C", str(tmp_path / "collection")]
    subprocess.run(unpack, timeout=30, check=True)
    assert _files(tmp_path / "collection" / "plugins") == _files(collection / "plugins")
    assert (tmp_path / "collection" / "MANIFEST.json").is_file()
    apart = tmp_path / "root" / "usr" / "share" / "rbd-migration-agent"
    assert _files(apart / "rbdmigrate_agent") == _files(REPOSITORY / "src" / "rbdmigrate_agent")
    said = subprocess.run(
        ["/usr/bin/python3", "-m", "rbdmigrate_agent", "--qmp", "x", "--help"],
        env={**os.environ, "PYTHONPATH": str(apart), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd="/",
        timeout=30,
        check=True,
        capture_output=True,
        text=True,
    )
    assert "--libvirt" in said.stdout
    with zipfile.ZipFile(tmp_path / f"rbdmigrate-{number}-py3-none-any.whl") as wheel:
        names = {name for name in wheel.namelist() if name.startswith("rbdmigrate/")}
    assert names == {f"rbdmigrate/{name}" for name in _files(REPOSITORY / "src" / "rbdmigrate")}


def _files(folder: Path) -> "set[str]":
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


class TestCephadm:
    SPEC: ClassVar = {"service_type": "mgr", "service_name": "mgr", "placement": {"count": 2}}

    @staticmethod
    def filtered(spec: Any, *args: str) -> Any:
        done = subprocess.run(
            [sys.executable, str(REPOSITORY / "packaging/cephadm/mgr_spec.py"), *args],
            input=json.dumps([spec]),
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        return json.loads(done.stdout.partition("---")[2])

    def test_mounts_what_is_in_the_tree_and_nothing_twice(self) -> None:
        once = self.filtered(self.SPEC, str(REPOSITORY))
        assert self.filtered(once, str(REPOSITORY)) == once
        for argument in once["extra_container_args"]:
            source, target, options = argument.partition("=")[2].split(":")
            assert options == "ro,z"
            assert target.startswith("/usr/share/ceph/mgr/")
            if "dashboard" not in target or (REPOSITORY / "mgr_module/dashboard").is_dir():
                assert Path(source).exists()

    def test_is_taken_away_again(self) -> None:
        once = self.filtered(self.SPEC, "/opt/rbd_migration")
        assert self.filtered(once, "--remove") == self.SPEC

    def test_other_arguments_stay(self) -> None:
        others = ["--cpus=2", {"argument": "--env A=B", "split": True}]
        spec = {**self.SPEC, "extra_container_args": others}
        once = self.filtered(spec, "/opt/rbd_migration", "--no-dashboard")
        assert once["extra_container_args"][:2] == others
        assert len(once["extra_container_args"]) == 4
        assert self.filtered(once, "--remove") == spec


def test_the_ansible_collection_has_the_version_of_the_module() -> None:
    text = (REPOSITORY / "packaging" / "ansible" / "galaxy.yml").read_text(encoding="utf-8")
    assert f"\nversion: {rbdmigrate.__version__}\n" in text
