"""What an administrator can set while the engine runs; the front end maps its options to this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional

from ..control.health.warnings import Limits
from ..control.pace.gate_metrics import Thresholds
from ..control.pace.timetable import Timetable
from ..control.pace.window import Window
from ..model.hook_policy import HookPolicy
from ..model.import_policy import ImportPolicy
from ..model.verification import Verify


@dataclass(frozen=True)
class Settings:
    """Limits and times. Seconds, except where the name says otherwise.

    ``max_copies``: copies at once. ``max_steps``: prepares, commits and aborts at once.
    ``max_verifies``: verifications at once. ``verify_fraction``: what part a sample compares.
    ``verify_default``: what is compared when nobody says; AUTO depends on the image, which is
    compared wholly when it has fewer bytes than ``verify_full_below``.
    ``verify_trust_maps``: a verification leaves out what the source's object maps have as missing.
    ``per_source_pool`` and ``per_target_pool``: copies at once that share a pool; 0 is no limit.
    ``timetable``: the cluster's throttle over the week; None is no limit. ``pool_rates``: those of
    pools, by name, in bytes per second; None is no limit, 0 is no copies. ``window``: when copies
    may run; None is always. ``timezone`` is that of the windows of single migrations.
    ``thresholds``: of the health gates. ``guard``: how many times as long as without copies the
    clients' operations may take; 0 is any.
    ``command_wait``: how long a command waits for its outcome. ``recheck``: how often a resting
    migration is looked at for what was done behind our back. ``retry_first`` and ``retry_cap``:
    the first and the longest wait after a failure that may pass.
    ``agent_interval``: between two reports of an agent that has nothing to do.
    ``import_policy``: the folders and hosts that may be imported from. ``per_source_host``: copies
    at once that read from one host; 0 is no limit. ``source_timeout``: how long nothing may come
    from an external source. ``worker_memory``: bytes that a worker may use.
    ``max_cutovers``: cutovers at once; 0 is no limit. ``hook_policy``: the hosts that hooks may be
    at. ``hook_close_wait``: how long clients may still be there after hooks said they were stopped.
    ``warnings``: from when on health warnings are raised.
    ``history_days`` and ``history_count``: what is kept of ended migrations, per pool.
    """

    max_copies: int = 4
    max_steps: int = 4
    max_verifies: int = 2
    verify_fraction: float = 0.05
    verify_trust_maps: bool = True
    verify_default: Verify = Verify.AUTO
    verify_full_below: int = 100 << 30
    per_source_pool: int = 0
    per_target_pool: int = 0
    timetable: Optional[Timetable] = None
    pool_rates: Mapping[str, Optional[int]] = field(default_factory=dict)
    window: Optional[Window] = None
    timezone: str = "UTC"
    thresholds: Thresholds = field(default_factory=Thresholds)
    guard: float = 0.0
    command_wait: float = 5.0
    recheck: float = 30.0
    agent_interval: float = 30.0
    retry_first: float = 2.0
    retry_cap: float = 300.0
    import_policy: ImportPolicy = field(default_factory=ImportPolicy)
    per_source_host: int = 0
    source_timeout: float = 60.0
    worker_memory: int = 1 << 30
    max_cutovers: int = 0
    hook_policy: HookPolicy = field(default_factory=HookPolicy)
    hook_close_wait: float = 60.0
    warnings: Limits = field(default_factory=Limits)
    history_days: float = 90.0
    history_count: int = 1000
