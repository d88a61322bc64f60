"""The last lines of the managers' logs, for error messages."""

import re

from qa.devcluster import Cluster

_LINES = 12
# Received commands, statistics, and routine messages of other modules.
_NOISE = re.compile(r" log_channel\(| \[(?!rbd_migration)\w+ (?:DEBUG|INFO) ")


def manager_logs(cluster: Cluster) -> str:
    """Return the last lines of each manager about its own actions."""
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
