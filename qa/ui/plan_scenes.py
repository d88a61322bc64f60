"""Plans for the test double: every state there is, hostile messages, thousands of images."""

from rbdmigrate.control.plans.plan_file import parse_plan
from rbdmigrate.control.plans.waves import Phase
from rbdmigrate.model.plan import PlanState

from .plan_case import GIB, Image, PlanCase
from .scenes import HOSTILE

_BUSY = "hdd/{name} is in use by client.4711 at 10.0.0.5:0/123 (holder of the lock); stop it."
_BROKEN = "Source and target of nvme/{name} differ in 23 extents; see the verification."


def plan_file(name: str, **more: str) -> str:
    """Return a plan file; ``more`` are lines that are added or replace others."""
    lines = {
        "plan": name,
        "select": '[{pool: hdd, name: "vm-*"}]',
        "map": "{target_pool: nvme}",
        "waves": "{size: 20, stop_after_failures: 3}",
        "policy": "{goal: executed}",
        **more,
    }
    return "".join(f"{key}: {text}\n" for key, text in lines.items())


def case(
    name: str,
    state: PlanState,
    now: float,
    phases: "dict[Phase, int]",
    *,
    size: int = 40 * GIB,
    problem: str = "",
    **file: str,
) -> PlanCase:
    """Return a plan in ``state`` with the given numbers of images in each of the ``phases``."""
    definition = parse_plan(plan_file(name, **file), "rbd")
    images: list[Image] = []
    for phase, many in phases.items():
        for _ in range(many):
            images.append(_image(len(images) + 1, phase, size))
    begun = now - 7200
    started = begun + 600 if images else None
    ended = now - 300 if state.ended else None
    return PlanCase(definition, state, images, begun, started, ended, problem)


def _image(number: int, phase: Phase, size: int) -> Image:
    name = f"vm-{number:05d}" + ("-used" if phase is Phase.WAITING else "")
    share = {Phase.DONE: 1.0, Phase.RUNNING: number * 37 % 90 / 100, Phase.FAILED: 0.4}
    text = {Phase.WAITING: _BUSY, Phase.FAILED: _BROKEN}.get(phase, "").format(name=name)
    if phase is Phase.CANCELLED:
        text = "It had not begun."
    copied = int(size * share.get(phase, 0.0))
    return Image(f"hdd/{name}", f"nvme/{name}", f"{number:012x}", size, phase, copied, text)


def every_plan(now: float) -> "list[PlanCase]":
    """Return a plan in every state."""
    done, running, failed = Phase.DONE, Phase.RUNNING, Phase.FAILED
    waiting, queued, cancelled = Phase.WAITING, Phase.QUEUED, Phase.CANCELLED
    whole = "{goal: committed, verify: sample, rate: 200M, priority: 5}"
    return [
        case("ssd-move", PlanState.RUNNING, now,
             {done: 44, failed: 1, running: 13, waiting: 2, queued: 68}, policy=whole,
             limits="{max_copies: 4}", window='["Mon-Fri 20:00-06:00", "Sat-Sun"]'),
        case("archive", PlanState.PAUSED, now, {done: 20, running: 8, queued: 32},
             waves="{size: 10}"),
        case("lab", PlanState.STOPPED, now, {done: 12, failed: 3, running: 1, queued: 24},
             waves="{size: 8, stop_after_failures: 3}"),
        case("gold", PlanState.DRAFT, now, {}, policy=whole,
             select='[{pool: hdd, name: "vm-0*", exclude: ["vm-010"]}, {pool: sata}]'),
        case("nothing-fits", PlanState.DRAFT, now, {}, problem="No image fits the plan; check "
             "its `select` and `rbd ls` of the pools.", select="[{pool: sata, name: nobody}]"),
        case("choosing", PlanState.STARTING, now, {}),
        case("backing-out", PlanState.CANCELLING, now, {done: 3, cancelled: 5, running: 2}),
        case("pilot", PlanState.DONE, now, {done: 11, failed: 1}, waves="{size: 5}"),
        case("too-early", PlanState.CANCELLED, now, {done: 4, cancelled: 36}),
    ]  # fmt: skip


def hostile_plan(now: float) -> PlanCase:
    """Return a plan with names and messages that are harmful if a page parses them as markup."""
    found = case("hostile", PlanState.STOPPED, now, {Phase.FAILED: len(HOSTILE)})
    for image, text in zip(found.images, HOSTILE):
        name = text.replace("/", "").replace("@", "")
        image.source, image.target = f"hdd/{name}", f"nvme/{name}"
        image.message = f"It broke: {text} `{text}`"
    return found


def large_plan(now: float, count: int, wave: int) -> PlanCase:
    """Return a running plan with this number of images in waves of that size."""
    rest = count - count // 2 - 40
    phases = {Phase.DONE: count // 2, Phase.FAILED: 2, Phase.RUNNING: 30, Phase.WAITING: 8}
    return case("large", PlanState.RUNNING, now, {**phases, Phase.QUEUED: rest},
                waves=f"{{size: {wave}, stop_after_failures: 0}}")  # fmt: skip
