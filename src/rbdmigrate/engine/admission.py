"""Admission: the record of a migration that may begin. Changes nothing."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace

from ..checks import refuse, run
from ..checks.facts import Facts
from ..control.verification import at_least
from ..model.migration import Migration, State
from ..model.policy import Policy
from .preflight import warned


def admit(facts: Facts, policy: Policy) -> Migration:
    """The new record for what is wished. MigrationError for the first error that checks find."""
    findings = run(facts)
    refuse(findings)
    assert facts.source is not None  # or an error was found
    assert facts.target is not None
    assert facts.image is not None
    now = time.time()
    migration = Migration(
        id=secrets.token_hex(6),
        source=facts.source.place,
        target=replace(facts.target.place, image_id=""),
        goal=policy.goal,
        state=State.QUEUED,
        created=now,
        layout=facts.wish.layout,
        priority=policy.priority,
        rate=policy.rate,
        verify=at_least(policy.goal, policy.verify),
        soak=policy.soak,
        window=policy.window,
        group=facts.image.group,
        mirror_mode=facts.image.mirror_mode,
    )
    return migration.enter(State.QUEUED, now, f"asked for{warned(findings)}")
