"""Policies of new migrations, and the stricter of two policies for repeated requests.

A request can be repeated with another policy, and a plan can include a migration that was started
by a command. Such a request can move the goal further, but every condition before that goal still
applies. Policies that cannot be merged without harm are refused.
"""

from __future__ import annotations

from dataclasses import replace
from errno import EAGAIN, EBUSY, EEXIST, EINVAL
from typing import Optional

from ...model.errors import MigrationError
from ...model.layout import LayoutOptions
from ...model.migration import Migration
from ...model.policy import Policy
from ...model.states import Goal, State
from ...model.verification import Verify
from .cutover_policy import with_cutover_policy
from .requests import (
    cleared_for_retry,
    refuse_aborting,
    refuse_cutover_window,
    refuse_goal,
    refuse_refresh_source,
    without_consent,
)
from .verification import at_least, covers

_FARTHER = (Goal.PREPARED, Goal.EXECUTED, Goal.CUT_OVER, Goal.VERIFIED, Goal.COMMITTED)


def with_policy(m: Migration, policy: Policy) -> Migration:
    """Return the record with every field of the policy in place of its own.

    Where the policy leaves the verify mode to the module, the record keeps its own. Raises
    MigrationError(EINVAL) for a goal that its method does not have.
    """
    refuse_goal(m.method, policy.goal)
    if policy.cutover is not None:
        m = with_cutover_policy(m, policy.cutover)
    refuse_cutover_window(m.method, policy.cutover_window)
    refuse_refresh_source(m.method, policy.refresh_source)
    verify = m.verify if policy.verify is Verify.AUTO else policy.verify
    return replace(
        m,
        goal=policy.goal,
        priority=policy.priority,
        rate=policy.rate,
        window=policy.window,
        cutover_window=policy.cutover_window,
        verify=at_least(policy.goal, verify),
        soak=policy.soak,
        refresh_source=policy.refresh_source,
    )


def merged(m: Migration, policy: Policy, layout: LayoutOptions, plan: str = "") -> Migration:
    """Return the record after a repeated request, with the stricter of both policies.

    ``plan``: the plan that makes the request, empty for a command. The priority stays as it is. A
    migration that failed before it was prepared starts again as the new request says.

    Raises MigrationError: EEXIST for another plan, layout or window, EBUSY while it is being
    aborted or committed, EINVAL when it failed or for a goal that its method does not have, EAGAIN
    when it has just ended.
    """
    refuse_goal(m.method, policy.goal)
    if m.state.ended:
        raise MigrationError(EAGAIN, f"The migration to {m.target.spec} ended just now; try again.")
    refuse_aborting(m)
    if plan and m.plan and m.plan != plan:
        raise MigrationError(
            EEXIST, f"The migration to {m.target.spec} belongs to the plan {m.plan} already."
        )
    unprepared = m.state is State.FAILED and m.prepared_at is None
    if unprepared and m.plan in ("", plan):
        begun = with_policy(without_consent(cleared_for_retry(m)), policy)
        return replace(begun, layout=layout, plan=plan)
    _refuse_layout(m, layout)
    if m.state is State.FAILED and not unprepared:
        raise _failed(m)
    after = _stricter(cleared_for_retry(m) if unprepared else m, policy, plan)
    if after == m:
        return m
    if m.state is State.COMMITTING:
        raise MigrationError(
            EBUSY,
            f"{m.target.spec} is being committed, so it accepts no other request.",
        )
    return without_consent(after)


def _stricter(m: Migration, policy: Policy, plan: str) -> Migration:
    if policy.cutover is not None:
        m = with_cutover_policy(m, policy.cutover)
    refuse_cutover_window(m.method, policy.cutover_window)
    refuse_refresh_source(m.method, policy.refresh_source)
    intervals = [each for each in (m.refresh_source, policy.refresh_source) if each]
    goal = max(m.goal, policy.goal, key=_FARTHER.index)
    asked = at_least(policy.goal, policy.verify)
    verify = asked if covers(asked, m.verify) else m.verify
    return replace(
        m,
        goal=goal,
        rate=_lower(m.rate, policy.rate),
        window=_common_window(m, m.window, policy.window, "--window"),
        cutover_window=_common_window(
            m, m.cutover_window, policy.cutover_window, "--cutover-window"
        ),
        verify=at_least(goal, verify),
        soak=max(m.soak, policy.soak),
        refresh_source=min(intervals, default=0.0),
        plan=plan or m.plan,
    )


def _lower(one: Optional[int], other: Optional[int]) -> Optional[int]:
    limits = [rate for rate in (one, other) if rate is not None]
    return min(limits, default=None)


def _common_window(m: Migration, own: str, window: str, option: str) -> str:
    """The window of both policies. Windows that differ are refused.

    The time that they have in common may be empty or a few minutes, which nobody intended.
    """
    if own and window and own != window:
        target = m.target.spec
        raise MigrationError(
            EEXIST,
            f"{m.source.spec} is migrating to {target} already, in another window ({own}); `ceph "
            f"rbd migration set {target} {option} off`, then this request sets its own.",
        )
    return own or window


def _refuse_layout(m: Migration, layout: LayoutOptions) -> None:
    if m.layout == layout:
        return
    begun = f"{m.source.spec} is migrating to {m.target.spec} already"
    if m.adopted:
        raise MigrationError(
            EEXIST,
            f"{begun}, prepared by plain rbd with a layout that is not compared; leave the layout "
            "options out.",
        )
    raise MigrationError(
        EEXIST, f"{begun}, with another layout; to use this layout, abort that migration first."
    )


def _failed(m: Migration) -> MigrationError:
    why = m.failure.message if m.failure is not None else "the reason is not known."
    target = m.target.spec
    return MigrationError(
        EINVAL,
        f"The migration to {target} failed before: {why} Remove the cause, then `ceph rbd "
        f"migration retry {target}`, or abort it.",
    )
