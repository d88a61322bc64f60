"""Reading a plan file: its plain data becomes a Definition, or an error that names the path.

No message repeats a value that may be a secret, and secrets themselves are refused, because a plan
is stored, displayed and shared as a file.
"""

from __future__ import annotations

import re
from dataclasses import replace
from errno import EINVAL
from typing import Any, Optional, TypeVar

from ...model.cutover import MAX_PAUSE, CutoverMode, CutoverPolicy, parse_pause
from ...model.errors import MigrationError
from ...model.layout import LayoutOptions, parse_layout
from ...model.plan import MAX_ITEMS, NAME, Definition, Rule, Selector
from ...model.policy import Policy
from ...model.reverse_rounds import parse_interval
from ...model.states import Goal, Method
from ...model.units import parse_seconds, parse_size
from ...model.verification import Verify
from ..lifecycle.method_choice import cuts_over_later
from ..pace.timetable import parse_rate
from ..pace.window import parse_window
from .patterns import compile_pattern
from .plan_fields import PlanObject, refuse, shown
from .plan_images import listed_image
from .plan_lists import source_lists
from .plan_text import load_plan_text
from .selection import template_problem, unchanged

_T = TypeVar("_T")

_FIELDS = ("plan", "select", "map", "images", "lists", "waves", "policy", "limits", "window")
_SELECT = ("pool", "namespace", "name", "regex", "exclude", "size", "label")
_LAYOUT = (
    "object_size", "features", "image_feature", "shared", "image_shared", "stripe_unit",
    "stripe_count", "data_pool", "journal_splay_width", "journal_object_size", "journal_pool",
    "flatten",
)  # fmt: skip
_MAP = ("target_pool", "target_namespace", "name", *_LAYOUT)
_POLICY = (
    "goal", "method", "verify", "rate", "image_rate", "priority", "soak", "cutover", "max_pause",
    "name_changes",
    "cutover_window",
    "refresh_source",
)  # fmt: skip
_GOALS = tuple(goal.value for goal in Goal if goal is not Goal.ABORTED)
_AUTO = "auto"
_METHODS = (_AUTO, *(method.value for method in Method))
_OPTION = re.compile(r"--([a-z]+(?:-[a-z]+)*)")
_SIZE = re.compile(r"\s*(<=|>=|<|>)\s*([^<>=,]+)")


def parse_plan(text: str, default_pool: str, timezone: str = "UTC") -> Definition:
    """Return the Definition of a plan file. Raises MigrationError(EINVAL).

    ``default_pool`` is for image specs without one, ``timezone`` that of windows.
    """
    return read_plan(load_plan_text(text), default_pool, timezone)


def read_plan(plain: Any, default_pool: str, timezone: str = "UTC") -> Definition:
    """Return the Definition of plain data: objects, lists and texts."""
    top = PlanObject(plain, "", _FIELDS)
    name = top.text("plan")
    if not NAME.fullmatch(name):
        raise refuse(
            "plan",
            "is missing" if not name else "is not a valid name for a plan",
            "give up to 64 letters, digits, '_', '.' and '-', such as nvme-move",
        )
    select = tuple(_selector(item, path) for item, path in top.items("select"))
    images = tuple(listed_image(item, path, default_pool) for item, path in top.items("images"))
    lists = source_lists(top)
    if not select and not images and not lists:
        raise refuse(
            "select",
            "and images are both missing",
            "select images, as in `select: [{pool: hdd}]`",
        )
    rule = _rule(top.object("map", _MAP))
    if lists and not rule.pool:
        raise refuse("map.target_pool", "is missing", "lists need the pool of their targets")
    waves = top.object("waves", ("size", "stop_after_failures", "wait"))
    policy = top.object("policy", _POLICY)
    limits = top.object("limits", ("max_copies",))
    rate, image_rate = policy.text("rate"), policy.text("image_rate")
    definition = Definition(
        name=name,
        select=select,
        rule=rule,
        images=images,
        lists=lists,
        policy=Policy(
            goal=Goal(policy.choice("goal", _GOALS, Goal.COMMITTED.value)),
            priority=policy.number("priority", 0, -1000, 1000),
            rate=policy.read("image_rate", image_rate, parse_rate, None),
            window=_window(top, timezone),
            verify=Verify(policy.choice("verify", [v.value for v in Verify], Verify.AUTO.value)),
            soak=_soak(policy),
            cutover=_cutover(policy),
            cutover_window=_window(policy, timezone, "cutover_window"),
            refresh_source=_refresh_source(policy),
        ),
        rate=policy.read("rate", rate, parse_rate, None),
        wave=waves.number("size", Definition.wave, 1, MAX_ITEMS),
        stop_after=waves.number("stop_after_failures", Definition.stop_after, 0, MAX_ITEMS),
        max_copies=limits.number("max_copies", 0, 0, 1000),
        wait=waves.read("wait", waves.text("wait"), parse_seconds, None),
        method=_method(policy),
    )
    definition = replace(definition, auto=_auto(policy, definition))
    _refuse_cutover_by_others(definition)
    _require_methods(definition)
    path = unchanged(definition)
    if path:
        raise refuse(
            path,
            "would be copied onto itself and nothing would change",
            "give map.target_pool, another target, or a new layout in map",
        )
    return definition


def _selector(value: Any, path: str) -> Selector:
    given = PlanObject(value, path, _SELECT)
    pool = _part(given, "pool", "the pool of the images")
    if not pool:
        raise refuse(given.where("pool"), "is missing", "give the pool of the images")
    name, regex = given.text("name"), given.text("regex")
    if name and regex:
        raise refuse(given.where("regex"), "is given together with name", "give one of them")
    if regex:
        compile_pattern(regex, f"{given.where('regex')} in the plan")
    smallest, largest = _bounds(given)
    label = given.object("label", ("key", "value"))
    key, wanted = label.text("key"), label.text("value")
    if given.has("label") and not (key and wanted):
        raise refuse(label.path, "lacks its key or value", "the form is {key: tier, value: gold}")
    return Selector(
        pool=pool,
        namespace=_part(given, "namespace", "a namespace of the pool"),
        name="" if regex else name or "*",
        regex=regex,
        exclude=given.texts("exclude"),
        smallest=smallest,
        largest=largest,
        label=key,
        value=wanted,
    )


def _part(given: PlanObject, name: str, what: str) -> str:
    """Return a part of an image spec; '/' and '@' are refused."""
    text = given.text(name)
    if "/" in text or "@" in text:
        raise refuse(given.where(name), "holds '/' or '@'", f"give the bare name of {what}")
    return text


def _bounds(given: PlanObject) -> tuple[Optional[int], Optional[int]]:
    """Return the smallest and largest size of ``>10G`` or ``>=1G,<1T``, in bytes."""
    smallest: Optional[int] = None
    largest: Optional[int] = None
    for piece in given.text("size").split(",") if given.text("size") else ():
        found = _SIZE.fullmatch(piece)
        where = given.where("size")
        if found is None:
            raise refuse(where, f"is {shown(given.text('size'))}", "the form is '>10G', '>=1G,<1T'")
        size = parse_size(found[2], f"{where} in the plan:")
        if found[1] == ">=" or found[1] == ">":
            smallest = size + (found[1] == ">")
        else:
            largest = size - (found[1] == "<")
    return smallest, largest


def _rule(given: PlanObject) -> Rule:
    name = given.text("name") or "{name}"
    problem = template_problem(name)
    if problem:
        raise refuse(
            given.where("name"), problem, "its fields are {pool}, {namespace}, {name}, {index}"
        )
    pool = _part(given, "target_pool", "a pool")
    namespace: Optional[str] = None
    if pool or given.has("target_namespace"):
        namespace = _part(given, "target_namespace", "a namespace")
    return Rule(pool, namespace, name, _layout(given))


def _layout(given: PlanObject) -> LayoutOptions:
    def either(name: str, other: str) -> str:
        if given.has(name) and given.has(other):
            raise refuse(given.where(other), f"is given together with {name}", "give one of them")
        return name if given.has(name) else other

    def some(name: str) -> Optional[str]:
        return given.text(name) or None

    def count(name: str) -> Optional[int]:
        return given.number(name, 0, 1, 1 << 20) if given.text(name) else None

    try:
        return parse_layout(
            object_size=some("object_size"),
            image_feature=given.texts(either("features", "image_feature")) or None,
            image_shared=given.flag(either("shared", "image_shared")),
            stripe_unit=some("stripe_unit"),
            stripe_count=count("stripe_count"),
            data_pool=_part(given, "data_pool", "a pool") or None,
            journal_splay_width=count("journal_splay_width"),
            journal_object_size=some("journal_object_size"),
            journal_pool=_part(given, "journal_pool", "a pool") or None,
            flatten=given.flag("flatten"),
        )
    except MigrationError as error:
        text = _OPTION.sub(lambda found: "map." + found[1].replace("-", "_"), str(error))
        raise MigrationError(EINVAL, text) from None


def _window(given: PlanObject, timezone: str, name: str = "window") -> str:
    texts = [text for text in given.texts(name) if text]
    if not texts or texts == ["off"]:
        return ""
    return str(parse_window(texts, timezone, f"{given.where(name)} in the plan"))


def _method(policy: PlanObject) -> Optional[Method]:
    """The method for images, None where none is given; that of an import depends on its source."""
    chosen = policy.choice("method", _METHODS, _AUTO)
    return None if chosen == _AUTO else Method(chosen)


def _auto(policy: PlanObject, definition: Definition) -> bool:
    """Whether the file leaves the choice of the method to us; the default is not decided here."""
    said = policy.text("method") == _AUTO or cuts_over_later(definition.policy)
    return said and definition.method is None


def _refuse_cutover_by_others(definition: Definition) -> None:
    """Refuse what concerns the cutover where the method is given and has none."""
    other = definition.method not in (None, Method.WARM)
    if definition.policy.goal is Goal.CUT_OVER and other:
        raise refuse(
            "policy.goal",
            "is cut-over, which only the method warm has",
            "give another goal, or policy.method: warm",
        )
    if definition.policy.cutover_window and other:
        raise refuse(
            "policy.cutover_window",
            "is for a cutover, which only the method warm has",
            "leave it out, or give policy.method: warm",
        )
    if definition.policy.refresh_source and other:
        raise refuse(
            "policy.refresh_source",
            "is for the time after a cutover, which only the method warm has",
            "leave it out, or give policy.method: warm",
        )


def _require_methods(definition: Definition) -> None:
    """Refuse methods that images of the plan, or its cutover, cannot have."""
    images = definition.select or any(listed.source for listed in definition.images)
    if definition.method is Method.COPY and images:
        raise refuse(
            "policy.method",
            "is copy, which is for imports, and the plan has images of this cluster",
            "leave it out, or give images[].method: copy where there is a source_spec",
        )
    if not cuts_over_later(definition.policy):
        return
    for number, listed in enumerate(definition.images):
        if listed.source is not None and listed.method is Method.LIVE:
            raise refuse(
                f"images[{number}].method",
                "is live, and the policy has a cutover, which only the method warm has",
                "leave one of them out, or make a plan of its own",
            )


def _cutover(policy: PlanObject) -> Optional[CutoverPolicy]:
    """How clients are made to leave the sources; None: nothing is said about it."""
    for name in ("max_pause", "name_changes"):
        if policy.has(name) and not policy.has("cutover"):
            raise refuse(policy.where(name), "needs policy.cutover", "give that too")
    if not policy.has("cutover"):
        return None
    mode = CutoverMode(policy.choice("cutover", [m.value for m in CutoverMode], ""))
    text = policy.text("max_pause")
    pause = policy.read("max_pause", text, parse_pause, MAX_PAUSE)
    return CutoverPolicy(mode, pause, policy.flag("name_changes"))


def _refresh_source(policy: PlanObject) -> float:
    return policy.read("refresh_source", policy.text("refresh_source"), parse_interval, 0.0)


def _soak(policy: PlanObject) -> float:
    return policy.read("soak", policy.text("soak"), parse_seconds, 0.0)
