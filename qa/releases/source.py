"""A cluster of a chosen release that the tests of imports from another cluster read from."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from qa.devcluster.layout import REPOSITORY
from qa.releases.catalogue import KNOWN, SOURCE_CLUSTER, here
from qa.releases.enter import inside
from qa.releases.root import RootError

_NEW_KEYS = 20  # the first release whose keys are of the type AES256K
_TIMEOUT = 600  # seconds for each command, once the release's chroot is made


@contextmanager
def source_cluster(name: str, reader: str, folder: Path) -> Iterator[None]:
    """Run a cluster of the release ``name``; tests find it, filled by that release.

    ``reader``: the release of the tests. Those before 20 do not know the keys of 20.

    Raises RootError and subprocess.TimeoutExpired.
    """
    path = folder / f"source-{name}"
    try:
        _run(name, ["./run", "cluster", "up", "--no-module", "--dir", str(path)])
        older = KNOWN[reader].major < _NEW_KEYS <= KNOWN[name].major
        options = ["--older-clients"] if older else []
        _run(name, ["/usr/bin/python3", "-m", "qa.imports.source_cluster", str(path), *options])
        os.environ[SOURCE_CLUSTER] = str(path)
        yield
    finally:
        os.environ.pop(SOURCE_CLUSTER, None)
        _run(name, ["./run", "cluster", "down", "--dir", str(path)])


def _run(name: str, command: Sequence[str]) -> None:
    done = subprocess.run(
        command if name == here() else inside(name, command),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT,
        check=False,
    )
    if done.returncode != 0:
        raise RootError(f"the cluster of the sources: {done.stderr.strip()[-2000:]}")
