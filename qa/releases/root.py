"""A Debian with another release of Ceph in a folder: made once, then kept in a cache.

It uses this machine's configuration of apt and pip to reach the package registries.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from qa.releases.catalogue import MANAGER_PYTHON, Release

_CACHE = Path(os.environ.get("RBD_MIGRATION_CACHE", "/var/cache/rbd_migration"))
_MADE = ".made"  # missing in a folder that is incomplete
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_KERNEL = ("/proc", "/sys", "/dev")
_BUILD_TIMEOUT = 1800
_BUILD_VENV = "/opt/build-venv"
_TAKEN_OVER = (
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/pip.conf",
    "/etc/ssl/certs/ca-certificates.crt",
)


class RootError(Exception):
    """A root cannot be made or used; the message says why."""


class Root:
    """The root of one release."""

    def __init__(self, release: Release) -> None:
        self.release = release
        self.path = _CACHE / release.name

    @property
    def made(self) -> bool:
        """Whether it is complete."""
        return (self.path / _MADE).exists()

    def tools_for(self, repository: str) -> Path:
        """Return the folder in place of a repository's tool folders, which contain its path."""
        return _CACHE / f"{self.release.name}-tools" / repository.strip("/").replace("/", "-")

    def make(self, packages: Sequence[str]) -> None:
        """Make it and install ``packages``, unless that was done. Raises RootError."""
        if os.geteuid() != 0:
            raise RootError("Other releases run in a chroot, which needs root; use sudo.")
        _CACHE.mkdir(parents=True, exist_ok=True)
        with open(_CACHE / f"{self.release.name}.lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.made:
                print(f"Making a Debian with Ceph {self.release.name} ...", file=sys.stderr)
                self._make(packages)

    def _make(self, packages: Sequence[str]) -> None:
        if self.path.exists():
            shutil.rmtree(self.path)
        log = _CACHE / f"{self.release.name}.log"
        with open(log, "wb") as output:
            for command in self._steps(packages):
                done = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    timeout=_BUILD_TIMEOUT,
                    check=False,
                )
                if done.returncode != 0:
                    raise RootError(f"{command[0]} failed; its messages are in {log}.")
                if command[0] == "debootstrap":
                    self._configure()
        (self.path / _MADE).touch()

    def _steps(self, packages: Sequence[str]) -> "list[list[str]]":
        install = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
        python = []
        if self.release.python:
            pip = [f"{_BUILD_VENV}/bin/pip", "install", "--no-deps", "--target", MANAGER_PYTHON]
            python = [
                self.command(["apt-get", "install", "-y", "python3-cffi-backend", "python3-six"]),
                self.command(["python3", "-m", "venv", _BUILD_VENV]),
                self.command([*pip, *self.release.python]),
            ]
        return [
            [
                "debootstrap",
                "--variant=minbase",
                "--include=ca-certificates",
                self.release.suite,
                str(self.path),
                _mirror(),
                "/usr/share/debootstrap/scripts/sid",
            ],
            self.command(["apt-get", "update"]),
            self.command(["env", "DEBIAN_FRONTEND=noninteractive", *install]),
            *python,
        ]

    def _configure(self) -> None:
        for name in _TAKEN_OVER:
            if os.path.exists(name):
                target = self.path / name[1:]
                target.unlink(missing_ok=True)
                shutil.copy(name, target)
        for file in Path("/etc/apt/apt.conf.d").iterdir():
            shutil.copy(file, self.path / "etc/apt/apt.conf.d" / file.name)
        # No services here: what packages do to them at installation must do nothing.
        (self.path / "usr/local/sbin/systemctl").symlink_to("/bin/true")
        policy = self.path / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
        policy.chmod(0o755)

    def command(
        self, command: Sequence[str], binds: "Sequence[tuple[str, str]]" = ()
    ) -> "list[str]":
        """Return ``command`` as it has to be run in here, with folders bound (from, to).

        The mounts are in a namespace of the command's own, and vanish with its last process.
        """
        root = str(self.path)
        script = ["set -e"]
        script += [f'mount --rbind {folder} "{root}{folder}"' for folder in _KERNEL]
        for source, target in binds:
            script.append(f'mkdir -p "{source}" "{root}{target}"')
            script.append(f'mount --bind "{source}" "{root}{target}"')
        script.append(f'exec chroot "{root}" "$@"')
        inner = [
            "/usr/bin/env",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ]
        shell = ["unshare", "--mount", "sh", "-c", "; ".join(script), "sh"]
        return [*shell, *inner, *command]


def _mirror() -> str:
    """Return the mirror that this machine's apt uses."""
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    mirrors = [line for line in done.stdout.splitlines() if "security" not in line]
    if not mirrors:
        raise RootError("apt knows no place to have Debian from; run 'apt-get update' first.")
    return mirrors[0]
