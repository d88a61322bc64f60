"""Failures of acts: which are transient, their messages, and when to try again.

librbd's own texts mislead ("error aborting migration" for any failure) and repeat the source-spec
with its secrets, so messages are made here, from the act and the errno alone.
"""

from __future__ import annotations

import errno as e
import random
import signal
from dataclasses import dataclass
from typing import Optional

from ...model.errors import errno_name, errno_text
from ...model.spec import ImageSpec
from ...model.states import ActKind

# Errnos of temporary problems of a cluster, a network or a client.
TRANSIENT = frozenset(
    {
        e.ETIMEDOUT, e.EAGAIN, e.EBUSY, e.EINTR, e.ESHUTDOWN, e.ENOTCONN, e.ECONNREFUSED,
        e.ECONNRESET, e.ECONNABORTED, e.EHOSTUNREACH, e.ENETUNREACH, e.EPIPE, e.EIO, e.EROFS,
        e.ESTALE, 85,  # 85: ERESTART, librbd's "the lock's owner changed, try again"
    }
)  # fmt: skip


@dataclass(frozen=True)
class FailureReason:
    """A failure in one sentence, and whether an automatic retry makes sense."""

    message: str
    transient: bool


_ACTS = {
    ActKind.PREPARE: "Preparing",
    ActKind.UNDO_PREPARE: "Undoing the interrupted prepare of",
    ActKind.EXECUTE: "Copying",
    ActKind.COMPLETE_OBJECTS: "Completing objects of",
    ActKind.CUT_OVER: "Cutting over to",
    ActKind.VERIFY: "Comparing",
    ActKind.REMOVE_COMPARISON_SNAPSHOT: "Removing the comparison snapshot of",
    ActKind.COMMIT: "Committing",
    ActKind.FINISH_COMMIT: "Finishing the interrupted commit of",
    ActKind.ABORT: "Aborting",
}
_REASONS = {
    e.ENOSPC: "there is no space left; free space or raise the quota, then retry",
    e.EDQUOT: "the pool's quota is used up; raise it, then retry",
    e.EPERM: "the manager's keyring may not do this; check `ceph auth get mgr.<id>`",
    e.EACCES: "the manager's keyring may not do this; check `ceph auth get mgr.<id>`",
    e.EROFS: "the client that holds the exclusive lock does not release it",
    e.ESHUTDOWN: "the copying client was blocklisted",
}
_BY_ACT = {
    (ActKind.ABORT, e.EBUSY): (
        "the target is open somewhere, or a snapshot made on it has a clone; stop the client, "
        "flatten or remove the clone"
    ),
    (ActKind.ABORT, e.ENOTEMPTY): (
        "a snapshot made on the target has a clone; flatten or remove the clone, then retry"
    ),
    (ActKind.COMMIT, e.EBUSY): "an image is still in use; the source may have a clone or a user",
    (ActKind.FINISH_COMMIT, e.EBUSY): "the source is still in use; it may have a clone or a user",
    (ActKind.PREPARE, e.EINVAL): (
        "librbd refuses this source or layout; check the object size, the striping and the "
        "features requested"
    ),
    (ActKind.PREPARE, e.EEXIST): "an image of the target's name exists",
    (ActKind.PREPARE, e.ENOENT): "the source, or a pool that was named, does not exist",
}


def explain(act: ActKind, errno: int, target: ImageSpec) -> FailureReason:
    """The reason for a librbd failure of ``act`` with ``errno`` in the migration to ``target``."""
    reason = _BY_ACT.get((act, errno)) or _REASONS.get(errno) or errno_text(errno)
    message = f"{_ACTS[act]} {target} failed: {reason} ({errno_name(errno)})."
    return FailureReason(message, errno in TRANSIENT)


_IMPORT_REASONS = {
    e.ENOENT: "it does not exist (any more), or the name of its host cannot be resolved",
    e.EACCES: "it does not let us read it; look at its permissions or keys",
    e.EPERM: "it does not let us read it; look at its permissions or keys",
    e.ECONNREFUSED: "its host refuses the connection",
    e.EINVAL: "it is damaged, or librbd does not read what it holds",
    e.EOPNOTSUPP: "it has a feature that librbd does not read",
    e.EIO: "reading it fails; it may have become shorter, or its server is in trouble",
}


def explain_import(act: ActKind, errno: int, source: ImageSpec, target: ImageSpec) -> FailureReason:
    """The reason for a librbd failure of an import: the source's fault, or the cluster's."""
    reason = _IMPORT_REASONS.get(errno)
    if reason is None or act not in (ActKind.PREPARE, ActKind.EXECUTE):
        return explain(act, errno, target)
    message = (
        f"{_ACTS[act]} {target} failed at the source {source}: {reason} ({errno_name(errno)})."
    )
    return FailureReason(message, errno in TRANSIENT)


_ANOTHER_WAY = "import it in another form, such as a raw file"
CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL}
"""Signals by which a bug of librbd ends a worker."""


def source_crashed(
    act: ActKind, number: int, source: ImageSpec, target: ImageSpec
) -> Optional[FailureReason]:
    """The reason for a worker that an external source crashed; None for other signals."""
    if number not in CRASHES:
        return None
    name = signal.Signals(number).name
    return FailureReason(
        f"{_ACTS[act]} {target} was given up: librbd crashed ({name}) in a process of its own when "
        f"it read the source {source}, and would again; {_advice(source)}.",
        False,
    )


def _advice(source: ImageSpec) -> str:
    """What to do about a source that librbd crashes on, by its label; without a full stop."""
    kind, _, place = source.image.partition(" over ")
    if "https://" in place:
        return (
            "librbd before 18.2.5 and 19.2.1 does so when an https server closes a connection: let "
            "the server keep connections open, or import from a URL with http:// or from a file"
        )
    if "http://" in place:
        return "look at its server, which has to answer each range with 206 and few headers"
    if kind == "qcow":
        return (
            "look at it with `qemu-img check`, or convert it with `qemu-img convert -O qcow2` and "
            "import that"
        )
    return f"look at it with `ceph rbd migration check`, or {_ANOTHER_WAY}"


def source_stalled(
    act: ActKind, seconds: float, source: ImageSpec, target: ImageSpec
) -> FailureReason:
    """The reason for a source that sent nothing for ``seconds``."""
    tls = f"; {_advice(source)}" if "https://" in source.image else ""
    return FailureReason(
        f"{_ACTS[act]} {target} was stopped: nothing came from the source {source} for "
        f"{seconds:g} s; check whether it can still be read from the manager's host{tls}.",
        True,
    )


def memory_exceeded(
    act: ActKind, source: ImageSpec, target: ImageSpec, *, imported: bool
) -> FailureReason:
    """The reason for an act whose worker needed too much memory.

    ``imported``: the source is external, and may be crafted to need it.
    """
    cause = f"reading the source {source}" if imported else "its worker"
    form = _ANOTHER_WAY if imported else f"raise it, then `retry {target}`"
    return FailureReason(
        f"{_ACTS[act]} {target} was given up: {cause} took more memory than the option "
        f"worker_memory allows; {form}.",
        False,
    )


def worker_lost(act: ActKind, how: str, target: ImageSpec) -> FailureReason:
    """The reason for a worker that ended unexpectedly."""
    return FailureReason(f"{_ACTS[act]} {target} was interrupted: {how}.", True)


def not_started(act: ActKind, how: str, target: ImageSpec) -> FailureReason:
    """The reason for an act whose worker could not be started."""
    return FailureReason(
        f"{_ACTS[act]} {target} could not start, because the active manager's host could not start "
        f"a worker process: {how}.",
        True,
    )


def backoff(attempt: int, first: float, cap: float, chance: random.Random) -> float:
    """Seconds until the next attempt after ``attempt`` failures (1, 2, ...).

    Doubles from ``first`` up to ``cap``, with up to a quarter taken off at random, so that many
    migrations that failed together do not come back together.
    """
    wait: float = min(cap, first * 2 ** min(attempt - 1, 32))
    return wait * (1 - 0.25 * chance.random())
