"""The cutover policies that a migration can have. Pure."""

from __future__ import annotations

from dataclasses import replace
from errno import EINVAL

from ...model.cutover import CutoverMode, CutoverPolicy
from ...model.errors import MigrationError
from ...model.migration import Migration
from ...model.states import Method


def with_cutover_policy(m: Migration, policy: CutoverPolicy) -> Migration:
    """Return the record with this policy. Raises MigrationError(EINVAL); see :func:`refuse_policy`.

    A release that is there already stays: what was begun is completed or undone.
    """
    if m.from_another_cluster and policy.mode is CutoverMode.AGENT:
        raise MigrationError(
            EINVAL,
            f"{m.target.spec} is migrated from another cluster, and agents move guests within one "
            "cluster only; choose --cutover when-closed or hook, or leave it out and run `ceph rbd "
            "migration cutover` when the guest is stopped.",
        )
    imported = m.imported is not None and not m.from_another_cluster
    if imported and policy.mode is not CutoverMode.REFUSE:
        raise MigrationError(
            EINVAL,
            f"{m.target.spec} is imported, so no client has to change over; leave --cutover out.",
        )
    refuse_policy(m.method, policy, str(m.target.spec), in_place=m.in_place)
    return replace(m, cutover=policy)


def refuse_policy(method: Method, policy: CutoverPolicy, target: str, *, in_place: bool) -> None:
    """Raise MigrationError(EINVAL) for a policy that a migration by ``method`` cannot have."""
    mode = policy.mode
    if mode is CutoverMode.REFUSE:
        return
    if method is not Method.WARM and (method, mode) != (Method.LIVE, CutoverMode.AGENT):
        raise MigrationError(
            EINVAL,
            f"--cutover {mode.value} is for migrations by the method warm; {target} is migrated by "
            f"the method {method.value}, whose clients have to be stopped before the prepare.",
        )
    if mode is CutoverMode.WHEN_CLOSED and not in_place and not policy.name_changes:
        raise MigrationError(
            EINVAL,
            f"After a cutover to {target} clients no longer find the image under its former name, "
            "and --cutover when-closed tells nobody; keep the name (an in-place migration, for "
            "example with --data-pool), or add --name-changes if your clients know the new one.",
        )


def refuse_policy_of_abort(m: Migration, policy: CutoverPolicy) -> None:
    """Raise MigrationError(EINVAL) for a policy that the abort of this migration cannot have."""
    if m.method is Method.LIVE and policy.mode is not CutoverMode.REFUSE:
        raise MigrationError(
            EINVAL,
            f"Going back takes as long as the copy took so far, and no guest can be paused for so "
            f"long; stop the clients of {m.target.spec}, then abort without --cutover.",
        )
    refuse_policy(m.method, policy, str(m.target.spec), in_place=m.in_place)
    if policy.mode is CutoverMode.WHEN_CLOSED:
        raise MigrationError(
            EINVAL,
            "An abort does not wait until clients close the target; stop them, or give --cutover "
            "agent or --cutover hook.",
        )
