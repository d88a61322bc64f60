"""Whether clients can be made to leave an image as a user asks for: by a hook, and now."""

from __future__ import annotations

from errno import EAGAIN
from typing import Optional

from ...control.hooks.events import pools_of
from ...control.lifecycle.cutover_policy import refuse_policy_of_abort
from ...model.cutover import CutoverMode, CutoverPolicy
from ...model.errors import MigrationError
from ...model.migration import Migration
from ..hooks.definitions import HookRegistry
from ..pace.cutover_holds import CutoverHolds
from .hook_takers import require_takers


class CutoverPermission:
    """``policy``: how clients are made to leave; None: as the record says, or they left already."""

    def __init__(self, *, hooks: HookRegistry, holds: CutoverHolds) -> None:
        self._hooks = hooks
        self._holds = holds

    def require(self, m: Migration, policy: Optional[CutoverPolicy]) -> None:
        """Refuse a cutover that no hook would carry out, or outside its window.

        Raises MigrationError: ENOENT without a hook; EAGAIN where clients that were stopped would
        wait for a window.
        """
        require_takers(self._hooks, policy, pools_of(m))
        mode = (policy or m.cutover).mode
        hold = self._holds.window(m) if mode is CutoverMode.REFUSE else None
        if hold is not None and m.cut_over_at is None:
            raise MigrationError(
                EAGAIN,
                f"{hold.message} To cut over now: `ceph rbd migration set {m.target.spec} "
                "--cutover-window off`.",
            )

    def require_for_abort(self, m: Migration, policy: Optional[CutoverPolicy]) -> None:
        """Refuse an abort whose clients cannot be made to leave in this way."""
        if policy is not None:
            refuse_policy_of_abort(m, policy)
            require_takers(self._hooks, policy, pools_of(m))
