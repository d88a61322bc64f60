"""Preflight: gathers the facts about a request and runs the checks. Changes nothing.

The manager reads headers, and asks monitors; what needs librbd a worker looks at.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple, Optional

import rados

from ...checks import run
from ...checks.facts import Facts, Name, RbdClient
from ...cluster import clones, headers, mon_queries
from ...cluster.observe import find_place, other_end
from ...cluster.osdmap import wait_for_latest_osdmap
from ...cluster.pools import open_by_id, open_ioctx, require_namespace
from ...control.lifecycle.verification import by_default
from ...control.recent import Recent
from ...faults import fault_switch
from ...model.errors import MigrationError
from ...model.finding import Finding, Severity
from ...model.image_ident import is_old_format
from ...model.inspection import Inspection
from ...model.jobs.questions import InspectImage, InspectSource
from ...model.migration import Place
from ...model.policy import Policy
from ...model.pool import Pool
from ...model.request import MigrationRequest
from ...model.rounds import hidden_by
from ...model.source_image import SourceImage
from ...model.source_spec import unsupported
from ...model.spec import ImageSpec
from ...model.states import Method
from ...model.verification import Verify
from ...trace import span
from ..caller import access
from ..records.registry import Registry
from ..settings import Settings
from .librbd_query import Ask
from .methods import for_check, methods, other_method

_KEPT = 1.0  # seconds for which monitors are not asked again, where that is allowed
INSPECTION_TIME = 25.0  # seconds for a source to say what it is: a command waits for it


class _FromMonitors(NamedTuple):
    """What monitors say of the pools of a request, and of the cluster."""

    pools: dict[str, Optional[Pool]]
    release: tuple[int, int, int]
    caps: dict[str, str]


class Preflight:
    """``ask`` puts questions to workers.

    ``fenced`` are the addresses of our dead workers.
    """

    def __init__(
        self,
        *,
        client: rados.Rados,
        manager: str,
        registry: Registry,
        ask: Ask,
        fenced: Callable[[], tuple[str, ...]],
        settings: Callable[[], Settings],
        guests: Callable[[ImageSpec], tuple[str, ...]],
    ) -> None:
        self._client = client
        self._manager = manager
        self._registry = registry
        self._ask = ask
        self._fenced = fenced
        self._settings = settings
        self._guests = guests
        self._keys: Recent[str, tuple[RbdClient, ...]] = Recent(time.monotonic, least=_KEPT)
        self._answers: Recent[tuple[str, ...], _FromMonitors] = Recent(time.monotonic, least=_KEPT)
        self._trash: Recent[tuple[int, str], bool] = Recent(time.monotonic, times=20.0)

    def gather(self, request: MigrationRequest, *, order: bool, recent: bool = False) -> Facts:
        """Everything that the checks need. Raises MigrationError where the cluster is silent.

        ``order``: a migration begins, as opposed to a mere check. ``recent``: what monitors
        say may be a second old, since a plan asks the same for thousands of images.
        """
        client = self._client
        ask = self._ask_monitors
        with span("ask monitors"):
            answer = (
                self._answers.get(request.pools, lambda: ask(request)) if recent else ask(request)
            )
        facts = Facts(
            request=request,
            pools=answer.pools,
            missing_namespaces=self._missing_namespaces(request),
            release=answer.release,
            caps=answer.caps,
        )
        source = self._name(request.source, facts) if request.spec is None else None
        target = self._name(request.target, facts)
        facts = replace(facts, source=source, target=target)
        if request.spec is not None:
            pool = request.source.pool
            known = facts.pools.get(pool) is not None
            facts = replace(facts, inspection=self._inspected(facts, order=order))
            other = None if order else other_method(request)
            if other is not None:
                asked = replace(facts, request=replace(request, asked_method=other))
                facts = replace(facts, otherwise=self._inspected(asked, order=False))
            image = None if facts.inspection is None else facts.inspection.image
            return replace(
                facts,
                image=image,
                verify=self._verify_import(request.method, image, facts.to_copy),
                verify_warm=Verify.FULL if image is None else self._verify(image, Method.WARM),
                clients=self._client_keys(),
                source_pool_id=client.pool_lookup(pool) if known else -1,
            )
        if source is None or not source.exists or source.role:
            return facts
        image = self._image(source.place, request, order=order)
        return replace(
            facts,
            image=image,
            verify=self._verify(image, request.method),
            verify_warm=self._verify(image, Method.WARM),
            clients=self._client_keys(),
            trash_of_users=self._has_trash(source.place),
            guests=self._guests(request.source),
        )

    def _ask_monitors(self, request: MigrationRequest) -> _FromMonitors:
        wait_for_latest_osdmap(self._client)
        return _FromMonitors(
            mon_queries.pools(self._client, request.pools),
            mon_queries.release(self._client),
            mon_queries.caps(self._client, self._manager),
        )

    def _client_keys(self) -> tuple[RbdClient, ...]:
        """All keys of clients; none for a caller who may see some pools only.

        They are not asked for again at once: a plan has thousands of images.
        """
        if not access().unrestricted:
            return ()

        def read() -> tuple[RbdClient, ...]:
            found = mon_queries.client_keys(self._client)
            return tuple(RbdClient(name, caps) for name, caps in found.items())

        return self._keys.get("", read)

    def _has_trash(self, place: Place) -> bool:
        """Whether a user put an image into the trash there.

        The trash of a pool that is being moved has an entry for each image that was prepared.
        """

        def read() -> bool:
            with open_by_id(self._client, place.pool_id, place.namespace) as ioctx:
                return any(not entry.by_migration for _, entry in headers.trash(ioctx))

        return self._trash.get((place.pool_id, place.namespace), read)

    def _verify(self, image: SourceImage, method: Method) -> Verify:
        """What is compared of the image when nobody says: all of it after a warm migration."""
        settings = self._settings()
        if settings.verify_default is not Verify.AUTO:
            return settings.verify_default
        if method is Method.WARM:
            return Verify.FULL
        return by_default(
            snapshots=bool(image.snapshots),
            parent=bool(image.parent),
            amount=image.size if image.parent else image.to_copy,
            full_below=settings.verify_full_below,
        )

    def _verify_import(
        self, method: Method, image: Optional[SourceImage], amount: Optional[int]
    ) -> Verify:
        """What is compared of an import when nobody says; with its snapshots by ``copy``.

        ``image``: an image of another cluster that is migrated as a whole.
        """
        if image is not None:
            return self._verify(image, method)
        if method is not Method.COPY:
            return Verify.NONE
        settings = self._settings()
        if settings.verify_default is not Verify.AUTO:
            return settings.verify_default
        below = settings.verify_full_below
        return by_default(snapshots=True, parent=False, amount=amount, full_below=below)

    def _inspected(self, facts: Facts, *, order: bool) -> Optional[Inspection]:
        """What the source of an import is; None for one that this release cannot read at all."""
        spec = facts.request.spec
        assert spec is not None
        if unsupported(spec):
            return None
        if fault_switch("inspection.skip"):
            return Inspection()
        question = InspectSource(
            spec=spec.to_json(),
            policy=self._settings().import_policy,
            seconds=INSPECTION_TIME,
            pool_id=-1 if facts.target is None else facts.target.place.pool_id,
            method=facts.request.method,
        )
        return self._ask(question, Inspection, INSPECTION_TIME + 5, order=order)

    def _missing_namespaces(self, request: MigrationRequest) -> frozenset[tuple[str, str]]:
        missing = set()
        named = [request.target] if request.spec is not None else [request.source, request.target]
        for spec in named:
            try:
                require_namespace(self._client, spec.pool, spec.namespace)
            except MigrationError:
                missing.add((spec.pool, spec.namespace))
        return frozenset((pool, name) for pool, name in missing if name)

    def _name(self, spec: ImageSpec, facts: Facts) -> Optional[Name]:
        pool, place = facts.pools[spec.pool], (spec.pool, spec.namespace)
        if pool is None or not pool.omap or place in facts.missing_namespaces:
            return None  # no image can be there
        found, view = find_place(self._client, spec)
        if view is None:
            with open_ioctx(self._client, spec.pool, spec.namespace) as ioctx:
                return self._recorded(self._absent(ioctx, found))
        old, header = is_old_format(found.image_id), view.header
        if header is None:
            return self._recorded(Name(found, exists=True, old_format=old))
        return Name(
            found,
            exists=True,
            old_format=old,
            role="source" if header.is_source else "target",
            other=other_end(self._client, header).spec,
        )

    def _recorded(self, name: Name) -> Name:
        """The name with what records say of it: only librbd's migrations are marked in headers."""
        spec, ident = name.place.spec, name.place.image_id
        leaving = self._registry.find_source(spec)
        coming = self._registry.find(spec) or self._registry.get(hidden_by(spec.image))
        if leaving is not None and not leaving.migration.state.ended:
            m = leaving.migration
            if not name.exists:
                return replace(name, reserved_for=m.target.spec)
            if m.source.image_id == ident:
                return replace(name, role="source", other=m.target.spec)
        if coming is not None and not coming.migration.state.ended:
            m = coming.migration
            if not name.exists or m.target.image_id == ident:
                return replace(name, role="target", other=m.source.spec)
        return name

    def _absent(self, ioctx: rados.Ioctx, place: Place) -> Name:
        """What there is of a name that no image has now."""
        name = Name(place)
        for ident, entry in headers.trash(ioctx):
            if entry.name != place.image:
                continue
            header = headers.migration_header(ioctx, ident) if entry.by_migration else None
            if header is not None:
                name = replace(name, reserved_for=other_end(self._client, header).spec)
            elif not entry.by_migration:
                name = replace(name, trashed=ident)
        return name

    def _is_trashed(self, parent: headers.Parent) -> bool:
        with open_by_id(self._client, parent.pool_id, parent.namespace) as ioctx:
            return headers.trash_entry(ioctx, parent.image_id) is not None

    def _image(self, place: Place, request: MigrationRequest, *, order: bool) -> SourceImage:
        question = InspectImage(place, request.layout.flatten, self._fenced())
        with span("ask librbd"):
            image = self._ask(question, SourceImage, 0.0, order=order)
        return self._with_header(image, place)

    def _with_header(self, image: SourceImage, place: Place) -> SourceImage:
        """The image with its data pool, its clones, and the pools that may hold more of them."""
        with open_ioctx(self._client, place.pool, place.namespace) as ioctx:
            known = clones.clones_of(self._client, ioctx, place.image_id)
            data_pool = headers.separate_data_pool_id(ioctx, place.image_id)
            parent = headers.parent(ioctx, place.image_id)
        every = known.all()
        silent = known.silent or (clones.silent_pools(self._client) if image.snapshots else ())
        return replace(
            image,
            data_pool=self._client.pool_reverse_lookup(data_pool) or "" if data_pool >= 0 else "",
            clones=len(every),
            clone_names=tuple(clones.clone_names(self._client, every)),
            silent_pools=tuple(silent),
            group_spec=self._group_spec(image, place),
            parent_trashed=parent is not None and self._is_trashed(parent),
        )

    def _group_spec(self, image: SourceImage, place: Place) -> str:
        """The image's group as commands name it; empty without one. It has the same namespace."""
        if not image.group:
            return ""
        pool_id, _, name = image.group.partition("/")
        pool = self._client.pool_reverse_lookup(int(pool_id)) or pool_id
        return str(ImageSpec(pool, place.namespace, name))


def check(preflight: Preflight, request: MigrationRequest) -> dict[str, Any]:
    """The answer to a check: what was found, as plain data."""
    return report(for_check(preflight.gather(request, order=False), Policy()))


def report(facts: Facts) -> dict[str, Any]:
    """What the checks find, as every front end shows it."""
    findings = run(facts)
    pool = facts.pools.get(facts.request.data_pool)
    return {
        "source": str(facts.request.source),
        "target": str(facts.request.target),
        "ok": all(finding.severity is not Severity.ERROR for finding in findings),
        "method": facts.request.method.value,
        "methods": methods(facts),
        "bytes_to_copy": facts.to_copy,
        "bytes_free": None if pool is None else pool.max_avail,
        "findings": [
            {
                "code": finding.code,
                "severity": finding.severity.value,
                "object": finding.object,
                "message": finding.message,
                "remedy": finding.remedy,
            }
            for finding in findings
        ],
    }


def warned(findings: list[Finding]) -> str:
    """The codes of the warnings, for a record's timeline; empty without any."""
    codes = [f.code for f in findings if f.severity is Severity.WARNING]
    return f" (warnings: {', '.join(dict.fromkeys(codes))})" if codes else ""
