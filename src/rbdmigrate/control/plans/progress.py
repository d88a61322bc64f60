"""Progress of a plan: the time left, and what needs the administrator's attention. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from ...model.plan import Plan, PlanState
from ...model.units import format_seconds
from .waves import UNBEGUN, Phase

LONG_WAIT = 3600.0  # seconds an image waits before a warning


@dataclass(frozen=True)
class Waiting:
    """An image whose migration cannot begin, and for how many seconds it has been tried."""

    image: str
    seconds: float


DONE_WITH_FAILURES = "done-with-failures"


def shown_state(plan: Plan, phases: Sequence[Phase]) -> str:
    """The state as front ends show it, which tells whether a plan that is done has failures."""
    if plan.state is PlanState.DONE and Phase.FAILED in phases:
        return DONE_WITH_FAILURES
    return plan.state.value


def time_left(
    phases: Sequence[Phase], sizes: Sequence[Optional[int]], copied: int, rate: float
) -> Optional[float]:
    """Seconds until all of a plan is copied at ``rate`` (bytes per second); None: not known.

    ``sizes``: bytes of each image, None where they are not known; such an image counts as the mean
    of the others. ``copied``: bytes that are on the targets.
    """
    known = [size for size in sizes if size is not None]
    if not known or rate <= 0:
        return None
    unknown = sum(size is None and phase in UNBEGUN for size, phase in zip(sizes, phases))
    total = sum(known) + unknown * sum(known) / len(known)
    return max(0.0, total - copied) / rate


def attention(plan: Plan, phases: Sequence[Phase], longest: Optional[Waiting]) -> str:
    """Why a plan needs the administrator's attention, in one sentence; empty if it does not.

    ``longest``: the image that waits longest.
    """
    name, command = plan.name, "`ceph rbd migration"
    failed = sum(phase is Phase.FAILED for phase in phases)
    images = f"{failed} of {len(phases)} images failed"
    if plan.state is PlanState.DONE and failed:
        return (
            f"The plan {name} is done, but {images}: {command} retry --plan {name}` tries them "
            f"again, {command} plan rm {name}` ends this warning."
        )
    if plan.state is PlanState.STOPPED:
        return (
            f"The plan {name} stopped, because {images}: {command} retry --plan {name}` tries them "
            f"again, {command} plan resume {name}` goes on without them."
        )
    if plan.state is PlanState.RUNNING and longest and longest.seconds >= LONG_WAIT:
        waiting = sum(phase is Phase.WAITING for phase in phases)
        return (
            f"The plan {name} waits for {waiting} images, for {longest.image} since "
            f"{format_seconds(int(longest.seconds))}: {command} plan show {name}` says why, "
            f"{command} plan skip {name} {longest.image}` goes on without it."
        )
    return ""
