"""The end of the managers' logs, for the message of an error."""

import re

from qa.devcluster import Cluster

_LINES = 12
# Commands that came in, statistics, and what other modules do as a matter of course.
_NOISE = re.compile(r" log_channel\(| \[(?!rbd_migration)\w+ (?:DEBUG|INFO) ")


def manager_logs(cluster: Cluster) -> str:
    """The last lines of each manager that tell of what it did itself."""
    parts = []
    for name in cluster.mgrs():
        path = cluster.mgr_log(name)
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            parts.append(f"The log of mgr.{name} cannot be read: {error}")
            continue
        lines = [line for line in text.splitlines() if line.strip() and not _NOISE.search(line)]
        parts.append("\n".join([f"--- the end of {path.name}:", *lines[-_LINES:]]))
    return "\n".join(parts)
