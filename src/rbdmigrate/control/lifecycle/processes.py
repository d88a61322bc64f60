"""Whether a worker's process is known to be gone. Pure: the host's answers are passed in."""

from __future__ import annotations

from ...model.migration import ProcessIdentity


def is_gone(recorded: ProcessIdentity, found: ProcessIdentity) -> bool:
    """Whether the process ``recorded`` with an act no longer exists.

    ``found``: the process that has the same id on this host now; its ``started`` is 0 when there
    is none. True only with proof: another host may have the same name, and a container the same
    process ids, so both must be of the same boot of the same kernel and of the same namespace.
    """
    known = bool(recorded.boot_id and recorded.pid_namespace and recorded.started)
    here = (recorded.boot_id, recorded.pid_namespace) == (found.boot_id, found.pid_namespace)
    return known and here and recorded.started != found.started
