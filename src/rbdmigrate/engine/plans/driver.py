"""The thread that drives plans: wave by wave it begins what may begin, and notes what ended.

Level-triggered like the loop: each round looks at the items, at their migrations, and does what
is next. A round may be cut off anywhere: what began is found again by its id.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import rados

from ...cluster.store import StoreFenced
from ...control.plans.progress import attention
from ...model.errors import MigrationError
from ...model.plan import PlanState
from ..caller import acting_as
from ..records.plan_registry import PlanRegistry
from ..records.tracked_plan import TrackedPlan
from .cancelling import PlanCanceller
from .choosing import ItemChooser
from .item_outcomes import ItemOutcomes
from .lookahead import Lookahead
from .transitions import only_from, refused, running
from .wave_runner import WaveRunner

log = logging.getLogger(__name__)

TICK = 1.0


class PlanDriver:
    """Drives all plans: ``chooser``, ``outcomes``, ``runner`` and ``canceller`` do the parts.

    ``ahead`` are the threads of the runner.
    """

    def __init__(
        self,
        *,
        plan_registry: PlanRegistry,
        chooser: ItemChooser,
        outcomes: ItemOutcomes,
        runner: WaveRunner,
        canceller: PlanCanceller,
        ahead: Lookahead,
        on_fenced: Callable[[str], None],
    ) -> None:
        self._plan_registry = plan_registry
        self._chooser = chooser
        self._outcomes = outcomes
        self._runner = runner
        self._canceller = canceller
        self._ahead = ahead
        self._on_fenced = on_fenced
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self.crashed = ""
        self._thread = threading.Thread(target=self._run, name="rbdmigrate-plans", daemon=True)

    def start(self) -> None:
        """Begin to drive."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; :meth:`join` waits for it."""
        self._stopping.set()
        self._ahead.stop()
        self._wake.set()

    def join(self, timeout: float) -> bool:
        """Wait for the thread's end; False when it is still there."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return self._ahead.join(timeout) and not self._thread.is_alive()

    def wake(self) -> None:
        """Look at once."""
        self._wake.set()

    def problems(self) -> list[str]:
        """What is wrong with the thread itself."""
        if self.crashed:
            return [self.crashed]
        ended = self._thread.ident is not None and not self._thread.is_alive()
        return ["rbdmigrate-plans ended"] if ended and not self._stopping.is_set() else []

    # -- the thread --------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                self._plan_registry.load()
                for kept in self._plan_registry.all():
                    self._guarded(kept)
            except StoreFenced as error:
                self._on_fenced(str(error))
                return
            except (rados.Error, MigrationError) as error:
                log.warning("plans cannot be read: %s", error)
            except Exception as error:
                crashed = f"plans: {type(error).__name__}: {error}"
                if crashed != self.crashed:  # once, not in every round
                    log.exception("the plans' thread failed; it goes on")
                self.crashed = crashed
            self._wake.wait(TICK)

    def _guarded(self, kept: TrackedPlan) -> None:
        try:
            with acting_as(f"plan {kept.plan.name}"):
                self._round(kept)
            kept.trouble = ""
        except (rados.Error, MigrationError) as error:
            if isinstance(error, rados.ConnectionShutdown):
                raise StoreFenced("our RADOS client was blocklisted") from error
            trouble = f"The cluster does not answer: {error}; tried again by itself."
            if trouble != kept.trouble:  # once, not in every round
                log.warning("plan %s: %s", kept.plan.name, error)
            kept.trouble = trouble

    def _round(self, kept: TrackedPlan) -> None:
        self._plan_registry.resolve_unsure(kept)
        state = kept.plan.state
        if state is PlanState.STARTING:
            self._start(kept)
        if state in (PlanState.DRAFT, PlanState.CANCELLED):
            kept.attention = ""
            return
        stopping = self._stopping.is_set
        self._outcomes.look(kept, stopping)
        if kept.plan.state is PlanState.RUNNING:
            if self._runner.go_on(kept, stopping):
                self.wake()
        elif kept.plan.state is PlanState.CANCELLING:
            self._canceller.cancel(kept, stopping)
        kept.attention = attention(kept.plan, kept.phases(), kept.longest_wait())

    def _start(self, kept: TrackedPlan) -> None:
        """Choose the images; they stay chosen. Where that does not succeed it is a draft again."""
        if kept.choosing_since is None:
            kept.choosing_since = time.monotonic()
        try:
            items = self._chooser.items_of(kept)
        except MigrationError as error:
            kept.refusal, kept.choosing_since = error, None
            self._plan_registry.update(kept, only_from(PlanState.STARTING, refused(str(error))))
            return
        kept.choosing_since = None
        log.info("plan %s: %d images", kept.plan.name, len(items))
        self._plan_registry.freeze(kept, items, only_from(PlanState.STARTING, running))
