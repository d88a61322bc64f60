"""Admission: a request becomes a new record, or is merged into the record there is."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Optional

from ...checks import refuse, run
from ...checks.facts import Facts
from ...control.lifecycle.policy_merge import merged, with_policy
from ...faults import fault_point
from ...model.bounds import shortened
from ...model.finding import Finding
from ...model.import_source import Import, host_of
from ...model.migration import Migration, Place
from ...model.policy import Policy
from ...model.request import MigrationRequest
from ...model.states import State
from ...model.verification import Verify
from ..hooks.definitions import HookRegistry
from ..records.registry import Registry, TrackedMigration
from ..records.secrets import Secrets, prefix_of
from .hook_takers import require_takers
from .lookup import Lookup, refuse_taken
from .methods import decided
from .preflight import Preflight, warned

_PUT_AWAY = 5.0  # seconds until the record of an ended migration is in the history, as a rule


class Admission:
    """Takes on what commands and plans ask for. Thread-safe."""

    def __init__(
        self,
        *,
        registry: Registry,
        lookup: Lookup,
        preflight: Preflight,
        secrets: Secrets,
        hooks: HookRegistry,
    ) -> None:
        self._hooks = hooks
        self._registry = registry
        self._lookup = lookup
        self._preflight = preflight
        self._secrets = secrets

    def take_on(
        self,
        request: MigrationRequest,
        policy: Policy,
        *,
        ident: str = "",
        plan: str = "",
        look: Optional[Callable[[], Facts]] = None,
    ) -> TrackedMigration:
        """The migration that is asked for: a new one, or the one there is with the stricter policy.

        ``ident`` and ``plan`` are for :func:`admit`. ``look``: gathers the facts about the request;
        None: preflight does. Raises MigrationError for every refusal,
        having changed nothing, and what RADOS and the store raise.
        """
        pools = (request.source.pool, request.target.pool, request.layout.data_pool or "")
        require_takers(self._hooks, policy.cutover, pools)
        facts: Optional[Facts] = None
        while True:
            self._wait_for_ended(request)
            with self._lookup.admission:
                tracked = self._lookup.asked_before(request)
                if tracked is not None:
                    return self._merge(tracked, request, policy, plan)
                if facts is not None:
                    m = admit(facts, policy, ident, plan)
                    self._lookup.refuse_known(m)
                    return self._create(m, request)
            # The look at the source may take half a minute, and commands wait for the lock.
            facts = look() if look is not None else self._preflight.gather(request, order=True)

    def _wait_for_ended(self, request: MigrationRequest) -> None:
        """Wait until the records of migrations of the same images that have ended are put away."""

        def put_away() -> bool:
            known = [self._registry.find(request.target)]
            if request.spec is None:
                known += [
                    self._registry.find_source(request.source),
                    self._registry.find(request.source),
                ]
            return not any(tracked and tracked.migration.state.ended for tracked in known)

        self._registry.wait(put_away, _PUT_AWAY)

    def _merge(
        self, tracked: TrackedMigration, request: MigrationRequest, policy: Policy, plan: str
    ) -> TrackedMigration:
        def change(m: Migration) -> Migration:
            refuse_taken(m, request)
            after = merged(m, policy, request.layout, plan)
            if request.spec is not None:
                self._secrets.renew(m, request.spec)  # before it may be acted on again
            return after

        self._registry.update(tracked, change)
        return tracked

    def _create(self, m: Migration, request: MigrationRequest) -> TrackedMigration:
        if m.plan:
            fault_point("plans.begin", m.plan)
        if request.spec is None:
            return self._registry.create(m)
        with self._secrets.stored(m, request.spec):
            return self._registry.create(m)


def admit(facts: Facts, policy: Policy, ident: str = "", plan: str = "") -> Migration:
    """The new record for what is asked for. MigrationError for the first error that checks find.

    ``ident``: the id that it has in its ``plan``; empty: a new one. The record of an import names
    the config-keys of its secrets; they are to be stored after it.
    """
    facts, choice = decided(facts, policy)
    findings = run(facts)
    refuse(findings)
    if policy.verify is Verify.AUTO:
        policy = replace(policy, verify=facts.verify)
    ident = ident or secrets.token_hex(6)
    if facts.request.spec is not None:
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
        method_reason="" if choice is None else shortened(choice.reason),
        snapshots=len(facts.image.snapshots),
    )
    return migration.enter(State.QUEUED, now, f"asked for{warned(findings)}")


def _asked(
    facts: Facts,
    policy: Policy,
    ident: str,
    source: Place,
    now: float,
    imported: Optional[Import] = None,
) -> Migration:
    """What the record of every migration begins with."""
    assert facts.target is not None
    plain = Migration(
        id=ident,
        source=source,
        target=replace(facts.target.place, image_id=""),
        goal=policy.goal,
        state=State.QUEUED,
        created=now,
        layout=facts.request.layout,
        method=facts.request.method,
        imported=imported,
    )
    return with_policy(plain, policy)


def _import(facts: Facts, policy: Policy, findings: list[Finding], ident: str) -> Migration:
    """The record of an import: with references in place of the source's secrets."""
    assert facts.request.spec is not None
    assert facts.target is not None  # or an error was found
    assert facts.inspection is not None
    now = time.time()
    spec, stored = facts.request.spec.with_secrets_at(prefix_of(ident))
    source = facts.request.source
    image = facts.inspection.image_identity
    place = Place(
        source.pool,
        source.namespace,
        source.image,
        facts.source_pool_id,
        "" if image is None else image.image_id,
    )
    imported = Import(
        spec=spec.to_json(),
        secrets=tuple(stored),
        inline=facts.request.inline,
        host=host_of(spec),
        size=facts.inspection.size,
        snapshots=tuple(snapshot.name for snapshot in facts.inspection.snapshots),
        identity=facts.inspection.identity,
        image=image,
    )
    migration = replace(
        _asked(facts, policy, ident, place, now, imported),
        bytes_total=facts.to_copy,
        snapshots=len(facts.inspection.snapshots),
    )
    return migration.enter(State.QUEUED, now, f"asked for{warned(findings)}")
