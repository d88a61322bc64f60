"""A plan of the test double and its images, as far as they have come."""

import time
from dataclasses import dataclass, field
from typing import Optional

from rbdmigrate.control.plans.waves import Phase
from rbdmigrate.model.plan import Definition, PlanState

GIB = 1 << 30
MIB = 1 << 20


@dataclass
class Image:
    """An image of a plan. ``copied`` of ``size`` bytes are on the target."""

    source: str
    target: str
    ident: str
    size: int
    phase: Phase = Phase.QUEUED
    copied: int = 0
    message: str = ""

    def end(self, phase: Phase, message: str = "") -> None:
        """Mark it as ended."""
        self.phase, self.message = phase, message
        if phase is Phase.DONE:
            self.copied = self.size


@dataclass
class PlanCase:
    """A plan and its progress. ``looked``: number of images that the running check has checked."""

    definition: Definition
    state: PlanState = PlanState.DRAFT
    images: list[Image] = field(default_factory=list)
    created: float = field(default_factory=time.time)
    started: Optional[float] = None
    ended: Optional[float] = None
    problem: str = ""
    forgiven: int = 0
    looked: int = 0

    def phases(self) -> "list[Phase]":
        """Return the phases of its images."""
        stands = self.state is PlanState.PAUSED
        return [
            Phase.PAUSED if stands and image.phase is Phase.RUNNING else image.phase
            for image in self.images
        ]

    def count(self, phase: Phase) -> int:
        """Return the number of images in a phase."""
        return self.phases().count(phase)
