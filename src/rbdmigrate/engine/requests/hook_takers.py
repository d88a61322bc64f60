"""Whether there is a hook that a cutover can ask to stop the clients."""

from __future__ import annotations

from collections.abc import Iterable
from errno import ENOENT
from typing import Optional

from ...model.cutover import CutoverMode, CutoverPolicy
from ...model.errors import MigrationError
from ...model.hooks import HookEvent
from ..hooks.definitions import HookRegistry


def require_takers(
    hooks: HookRegistry, policy: Optional[CutoverPolicy], pools: Iterable[str]
) -> None:
    """Raise MigrationError(ENOENT) when ``policy`` asks hooks, and none is for these pools."""
    if policy is None or policy.mode is not CutoverMode.HOOK:
        return
    named = sorted({pool for pool in pools if pool})
    if not hooks.takers(HookEvent.BEFORE_CUTOVER, named):
        raise MigrationError(
            ENOENT,
            f"No hook takes before_cutover of images of the pools {', '.join(named)}, so nobody "
            "would stop their clients; add one with `ceph rbd migration hook add NAME URL -i "
            "SECRET-FILE`.",
        )
