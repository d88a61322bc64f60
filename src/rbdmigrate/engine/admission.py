"""Admission: the record of a migration that may begin. Changes nothing."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace

from ..checks import refuse, run
from ..checks.facts import Facts
from ..control.verification import at_least
from ..model.finding import Finding
from ..model.imported import Import, host_of
from ..model.migration import Migration, Place, State
from ..model.policy import Policy
from ..model.verification import Verify
from .preflight import warned
from .secrets import prefix_of


def admit(facts: Facts, policy: Policy, ident: str = "", plan: str = "") -> Migration:
    """The new record for what is wished. MigrationError for the first error that checks find.

    ``ident``: the id that it has in its ``plan``; empty: a new one. The record of an import names
    the config-keys of its secrets; they are to be stored after it.
    """
    findings = run(facts)
    refuse(findings)
    if policy.verify is Verify.AUTO:
        policy = replace(policy, verify=facts.verify)
    ident = ident or secrets.token_hex(6)
    if facts.wish.spec is not None:
        return replace(_import(facts, policy, findings, ident), plan=plan)
    assert facts.source is not None  # or an error was found
    assert facts.target is not None
    assert facts.image is not None
    now = time.time()
    migration = replace(
        _asked(facts, policy, ident, facts.source.place, now),
        plan=plan,
        group=facts.image.group,
        mirror_mode=facts.image.mirror_mode,
    )
    return migration.enter(State.QUEUED, now, f"asked for{warned(findings)}")


def _asked(facts: Facts, policy: Policy, ident: str, source: Place, now: float) -> Migration:
    """What the record of every migration begins with."""
    assert facts.target is not None
    return Migration(
        id=ident,
        source=source,
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
    )


def _import(facts: Facts, policy: Policy, findings: list[Finding], ident: str) -> Migration:
    """The record of an import: with references in place of the source's secrets."""
    assert facts.wish.spec is not None
    assert facts.target is not None  # or an error was found
    assert facts.inspection is not None
    now = time.time()
    spec, stored = facts.wish.spec.with_secrets_at(prefix_of(ident))
    source = facts.wish.source
    place = Place(source.pool, source.namespace, source.image, facts.source_pool_id)
    migration = replace(
        _asked(facts, policy, ident, place, now),
        bytes_total=facts.to_copy,
        imported=Import(
            spec=spec.to_json(),
            secrets=tuple(stored),
            inline=facts.wish.inline,
            host=host_of(spec),
            size=facts.inspection.size,
            snapshots=tuple(snapshot.name for snapshot in facts.inspection.snapshots),
            identity=facts.inspection.identity,
        ),
    )
    return migration.enter(State.QUEUED, now, f"asked for{warned(findings)}")
