"""Whether a worker's process is known to be gone. Pure: what the host says is passed in."""

from __future__ import annotations

from ...model.migration import ProcessIdentity


def is_gone(recorded: ProcessIdentity, found: ProcessIdentity) -> bool:
    """Whether the process ``recorded`` with an act does not exist any more.

    ``found`` is what has the same process id on this host now; ``started`` is 0 when nothing has.
    True only with proof: another host may have the same name, and a container the same process
    ids. So both have to be of the same start of the same kernel and of the same namespace.
    """
    known = bool(recorded.boot_id and recorded.pid_namespace and recorded.started)
    here = (recorded.boot_id, recorded.pid_namespace) == (found.boot_id, found.pid_namespace)
    return known and here and recorded.started != found.started
