"""The components that carry out plans, made and connected with each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional

import rados

from ..model.spec import ImageSpec
from .hooks.definitions import HookRegistry
from .plans.cancelling import PlanCanceller
from .plans.checks import PlanChecks
from .plans.choosing import ItemChooser
from .plans.create import ItemStarter
from .plans.driver import PlanDriver
from .plans.item_outcomes import ItemOutcomes
from .plans.lookahead import Lookahead
from .plans.service import PlanService
from .plans.wave_runner import WaveRunner
from .reconcile.scheduler import Scheduler
from .records.plan_registry import PlanRegistry
from .records.registry import Registry
from .requests.admission import Admission
from .requests.errors import TranslatedErrors
from .requests.librbd_query import Ask
from .requests.lookup import Lookup
from .requests.migrations import Migrations
from .requests.preflight import Preflight
from .requests.preparation import Preparation
from .settings import Settings


def make_plan_service(
    *,
    client: rados.Rados,
    plan_registry: PlanRegistry,
    registry: Registry,
    scheduler: Scheduler,
    migrations: Migrations,
    lookup: Lookup,
    admission: Admission,
    preflight: Preflight,
    preparation: Preparation,
    ask: Ask,
    settings: Callable[[], Settings],
    rate: Callable[[], Optional[int]],
    hooks: HookRegistry,
    translated: Callable[[ImageSpec], TranslatedErrors],
    on_fenced: Callable[[str], None],
) -> PlanService:
    """The plans of an engine; nothing runs yet. ``rate``: of the cluster, in bytes per second."""

    def abort(target: ImageSpec, force: bool) -> None:
        migrations.begin_abort(target, force=force)

    starter = ItemStarter(
        registry=registry,
        lookup=lookup,
        admission=admission,
        preflight=preflight,
        import_request=preparation.import_request,
        translated=translated,
    )
    chooser = ItemChooser(client, ask, settings)
    outcomes = ItemOutcomes(plan_registry, registry)
    ahead = Lookahead("begin")
    driver = PlanDriver(
        plan_registry=plan_registry,
        chooser=chooser,
        outcomes=outcomes,
        runner=WaveRunner(
            plan_registry=plan_registry,
            registry=registry,
            starter=starter,
            scheduler=scheduler,
            outcomes=outcomes,
            ahead=ahead,
        ),
        canceller=PlanCanceller(
            plan_registry=plan_registry,
            registry=registry,
            scheduler=scheduler,
            abort=abort,
            outcomes=outcomes,
        ),
        ahead=ahead,
        on_fenced=on_fenced,
    )
    checks = PlanChecks(preflight=preflight, starter=starter, select=chooser.select, rate=rate)
    return PlanService(
        plan_registry=plan_registry,
        driver=driver,
        checks=checks,
        settings=settings,
        translated=translated,
        retry=migrations.retry,
        abort=abort,
        hooks=hooks,
    )
