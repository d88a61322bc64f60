"""Runs a command of this repository with another release of Ceph."""

import os
import subprocess
from collections.abc import Sequence

from qa.devcluster.layout import REPOSITORY
from qa.releases.catalogue import INSIDE, KNOWN, SOURCE_CLUSTER
from qa.releases.root import Root, RootError

_SHARED = ("/tmp", "/var/tmp")  # folders of clusters and test reports
_PASSED = (
    "TERM",
    "CI",
    "HYPOTHESIS_PROFILE",
    "RBD_MIGRATION_TEST_CLUSTER",
    SOURCE_CLUSTER,
)


def inside(name: str, command: Sequence[str]) -> "list[str]":
    """Return ``command`` as it has to be run for the release ``name``; creates the root first.

    The command runs in the repository, with tools (``.venv``, ``.tox``) of the release's own.
    Raises RootError.
    """
    release = KNOWN.get(name)
    if release is None:
        raise RootError(f"There is no release {name!r} here; choose from {', '.join(KNOWN)}.")
    root = Root(release)
    root.make(_packages())
    repository = str(REPOSITORY)
    binds = [(folder, folder) for folder in (*_SHARED, repository)]
    for tools in (".venv", ".tox"):
        (REPOSITORY / tools).mkdir(exist_ok=True)
        binds.append((str(root.tools_for(repository) / tools), f"{repository}/{tools}"))
    passed = [f"{key}={os.environ[key]}" for key in _PASSED if key in os.environ]
    environment = ["env", "-C", repository, f"{INSIDE}={name}", *passed]
    return root.command([*environment, *command], binds)


def _packages() -> "list[str]":
    """Return the packages that this repository's ``run`` installs."""
    done = subprocess.run(
        [str(REPOSITORY / "run"), "packages"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.split()
