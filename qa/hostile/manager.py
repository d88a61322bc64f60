"""The active manager's own memory, while files that are hostile are checked by its command."""

import json
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import rados

from qa.devcluster import Cluster
from qa.workload.asking import ask
from qa.workload.module_options import module_options

from .judge import WARM, one_sentence
from .trial import File, Found

GROWTH = 24 << 20  # bytes of the manager, over all files after these


def check_all(cluster: Cluster, client: rados.Rados, pool: str, files: Iterable[File]) -> Found:
    """Check files by the manager's command, one after another; ``growth`` is the manager's.

    Their folder has to be open to imports, and there have to be more than ``WARM``.
    """
    found, begin = Found(), 0
    for number, file in enumerate(files):
        if number == WARM:
            begin = resident(cluster)
        _check(found, client, pool, file)
    if not begin:
        raise ValueError(f"more than {WARM} files are needed")
    found.growth = resident(cluster) - begin
    if found.growth > GROWTH:
        found.wrong.append(f"the manager grew by {found.growth >> 20} MiB")
    return found


@contextmanager
def opened(cluster: Cluster, folder: Path) -> Iterator[str]:
    """A pool of its own, while a folder is open to imports."""
    pool = cluster.create_pool(f"hostile-{time.time_ns()}")
    try:
        with module_options(cluster, import_folders=str(folder)):
            time.sleep(1)  # the option reaches the manager
            yield pool
    finally:
        cluster.delete_pool(pool)


def _check(found: Found, client: rados.Rados, pool: str, file: File) -> None:
    begin = time.monotonic()
    answer = ask(
        client,
        "check",
        source_image=f"{pool}/x",
        source_spec=json.dumps(file.spec),
        import_only=True,
        method="copy",
    )
    errors = [f for f in answer["findings"] if f["severity"] == "error"]
    code = errors[0]["code"] if errors else ""
    found.codes[code] = found.codes.get(code, 0) + 1
    found.slowest = max(found.slowest, (time.monotonic() - begin, file.name))
    for finding in answer["findings"]:
        if not one_sentence(finding["message"]) or finding["code"] == "SOURCE_UNREADABLE":
            found.wrong.append(f"{file.name}: {finding['code']}: {finding['message']!r}")


def resident(cluster: Cluster) -> int:
    """Bytes of memory that the active manager's process has, which are its own."""
    name = cluster.active_mgr()
    if name is None:
        raise RuntimeError("no manager is active")
    status = Path(f"/proc/{cluster.mgr_pid(name)}/status").read_text(encoding="ascii")
    match = re.search(r"RssAnon:\s+(\d+) kB", status)
    assert match is not None
    return int(match[1]) << 10
