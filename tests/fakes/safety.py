"""Random runs of everything that can happen to two disks, judged by the rules of safety.

The rules:

- no source is removed without the verification and the soak time that the strictest of the accepted
  requests asked for, unless an administrator forced the commit after that;
- an abort that was accepted never becomes a commit;
- no abort loses a write, and none loses a snapshot, a resize or a discard of a client unless it
  was forced after that had happened;
- a request that is refused changes nothing;
- whoever is killed, whenever: the next manager carries on, and no disk is lost.

A run is a list of steps: the name of a method of :class:`Run` and its arguments.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from rbdmigrate.model.cutover import CutoverMode
from rbdmigrate.model.states import Goal, Method
from rbdmigrate.model.verification import Verify

from . import safety_hooks as hooks
from .safety_run import DAY, DISKS, Run, Step

_BUSY = ("abort", "change", "commit", "cutover", "pause", "verify")
_GOALS = (Goal.PREPARED, Goal.EXECUTED, Goal.COMMITTED)
_VERIFIES = (Verify.NONE, Verify.FULL)
_SOAKS = (0.0, 0.0, 7 * DAY)
_BOTH = (False, True)
_METHODS = (Method.LIVE, Method.LIVE, Method.WARM)

Choices = dict[str, Sequence[Any]]
STEPS: dict[str, tuple[int, Choices]] = {
    "prepare": (
        8,
        {
            "disk": DISKS,
            "goal": (*_GOALS, Goal.CUT_OVER),
            "verify": _VERIFIES,
            "soak": _SOAKS,
            "method": _METHODS,
            "cutover": (CutoverMode.REFUSE, CutoverMode.HOOK),
            "refresh": (0.0, 60.0),
        },
    ),
    "execute": (4, {"disk": DISKS}),
    "cutover": (4, {"disk": DISKS, "mode": (None, CutoverMode.REFUSE, CutoverMode.HOOK)}),
    "commit": (3, {"disk": DISKS, "force": _BOTH}),
    "abort": (5, {"disk": DISKS, "force": (False, False, True), "hooks": (False, False, True)}),
    "steer": (3, {"disk": DISKS, "kind": ("pause", "resume", "retry")}),
    "change": (
        3,
        {
            "disk": DISKS,
            "goal": (None, *_GOALS, Goal.CUT_OVER),
            "verify": (None, *_VERIFIES),
            "soak": (None, *_SOAKS),
        },
    ),
    "verify": (1, {"disk": DISKS}),
    "two_at_once": (3, {"disk": DISKS, "one": _BUSY, "other": _BUSY, "force": _BOTH}),
    "refused": (
        2,
        {
            "disk": DISKS,
            "kind": ("abort", "commit", "execute", "pause", "prepare", "retry", "verify"),
            "force": _BOTH,
        },
    ),
    "plan_start": (
        3,
        {
            "name": ("p", "q"),
            "goal": _GOALS,
            "verify": _VERIFIES,
            "soak": _SOAKS,
            "method": _METHODS,
        },
    ),
    "plan_cancel": (1, {"name": ("p", "q"), "force": _BOTH}),
    "plain_rbd": (2, {"disk": DISKS, "command": ("abort", "commit", "execute", "prepare")}),
    "client_opens": (4, {"disk": DISKS}),
    "client_closes": (3, {"disk": DISKS}),
    "client_writes": (4, {"disk": DISKS, "number": range(4)}),
    "client_discards": (2, {"disk": DISKS, "number": range(4)}),
    "snap_create": (3, {"disk": DISKS}),
    "snap_remove": (1, {"disk": DISKS}),
    "resize": (1, {"disk": DISKS, "size": range(2, 7)}),
    "hook_add": (1, {"name": hooks.NAMES}),
    "hook_remove": (1, {"name": hooks.NAMES}),
    "hook_says": (
        2,
        {"name": hooks.NAMES, "answer": (hooks.YES, hooks.NO, hooks.LATER, hooks.DOWN)},
    ),
    "hook_done": (1, {"name": hooks.NAMES, "disk": DISKS, "veto": _BOTH}),
    "kill_worker": (2, {"operations": range(60)}),
    "kill_manager": (2, {"operations": range(60)}),
    "failover": (1, {}),
    "timeouts": (1, {"times": (1, 2, 4), "applied": _BOTH}),
    "freeze": (1, {}),
    "thaw": (1, {}),
    "swap_names": (1, {"pool": ("hdd", "nvme")}),
    "limit": (2, {"steps": (0, 2)}),
    "time_passes": (4, {"seconds": (0.05, 0.5, 5.0)}),
    "days_pass": (1, {"days": (1, 8)}),
}
"""What can happen, how often compared with the others, and what the arguments can be."""

NAMES = tuple(name for name, (weight, _) in STEPS.items() for _ in range(weight))


def random_steps(chance: random.Random, count: int) -> list[Step]:
    """Steps of a random run."""
    found = []
    for _ in range(count):
        name = chance.choice(NAMES)
        choices = STEPS[name][1]
        found.append(Step(name, tuple((key, chance.choice(of)) for key, of in choices.items())))
    return found


def carry_out(seed: int, steps: Sequence[Step]) -> None:
    """A whole run. Raises Broken, or whatever goes wrong in the code under test."""
    with Run(seed) as run:
        for step in steps:
            run.take(step)
        run.end()


def outcome(seed: int, steps: Sequence[Step]) -> str:
    """What is wrong with a run, in one line; empty when nothing is."""
    try:
        carry_out(seed, steps)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def shortest(seed: int, steps: Sequence[Step], alike: Callable[[str], bool]) -> list[Step]:
    """The steps without those that can be left out, for an outcome that ``alike`` accepts."""
    kept = list(steps)
    size = max(1, len(kept) // 2)
    while size:
        at = 0
        while at < len(kept):
            fewer = kept[:at] + kept[at + size :]
            if alike(outcome(seed, fewer)):
                kept = fewer
            else:
                at += size
        size //= 2
    return kept
