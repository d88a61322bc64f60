"""A plan: a named set of migrations with a shared policy, as frozen data.

``Definition`` is the plan file, ``Plan`` the record of its progress, ``Item`` one of its
migrations. The items are chosen when the plan starts, and do not change afterwards.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field, replace
from typing import Any, Optional, TypeVar, Union

from .bounds import MAX_PLAN, MAX_RECORD, narrowed, shortened
from .codec import dumped, from_plain, loaded, readable, to_stored
from .layout import LayoutOptions
from .migration import TIMELINE_LENGTH
from .policy import Policy
from .source_list import SourceList
from .spec import ImageSpec
from .states import Method

SCHEMA = 1
MAX_ITEMS = 10_000
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class PlanState(str, enum.Enum):
    """The state of a plan."""

    DRAFT = "draft"  # it was created but not started
    STARTING = "starting"  # its images are being chosen
    RUNNING = "running"
    PAUSED = "paused"  # by the administrator
    STOPPED = "stopped"  # by itself, after too many failures
    CANCELLING = "cancelling"  # its migrations are being aborted
    DONE = "done"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether no further migration begins or goes on."""
        return self in (PlanState.DONE, PlanState.CANCELLED)


class Outcome(str, enum.Enum):
    """The outcome of an item's migration; OPEN: it has not ended."""

    OPEN = "open"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"  # by the administrator, before it began


@dataclass(frozen=True)
class Selector:
    """A selection of images of a pool and namespace, by all given criteria.

    ``name`` is a glob, ``regex`` matches the whole name (empty: any). ``exclude`` are globs. Sizes
    are in bytes, bounds included. ``label`` and ``value``: image metadata.
    """

    pool: str
    namespace: str = ""
    name: str = "*"
    regex: str = ""
    exclude: tuple[str, ...] = ()
    smallest: Optional[int] = None
    largest: Optional[int] = None
    label: str = ""
    value: str = ""

    @property
    def sized(self) -> bool:
        """Whether it needs the images' sizes."""
        return self.smallest is not None or self.largest is not None


@dataclass(frozen=True)
class Candidate:
    """An existing image; ``size`` (bytes) and ``label`` only if a selector needs them."""

    name: str
    size: int = 0
    label: Optional[str] = None


@dataclass(frozen=True)
class Rule:
    """The mapping of sources to targets. An empty ``pool`` and a ``namespace`` of None are the
    source's.

    ``name`` is a template: ``{pool}``, ``{namespace}``, ``{name}`` and ``{index}`` of the source.
    """

    pool: str = ""
    namespace: Optional[str] = None
    name: str = "{name}"
    layout: LayoutOptions = field(default_factory=LayoutOptions)


@dataclass(frozen=True)
class Listed:
    """An image by name, or an external source (JSON without secrets) and its target.

    ``target`` None: given by the rule. ``as_raw``: see ``MigrationRequest``. ``method`` None: that
    of the plan, or of an import its own.
    """

    source: Optional[ImageSpec] = None
    target: Optional[ImageSpec] = None
    source_spec: str = ""
    as_raw: bool = False
    method: Optional[Method] = None


@dataclass(frozen=True)
class Definition:
    """The contents of a plan file. ``policy`` is that of each migration. ``rate``: bytes per
    second of all copies of the plan together, None is no limit. ``wave``: migrations in a wave.
    ``stop_after``: failures after which no further item begins, 0 is never. ``max_copies``: of
    this plan at once, 0 is no limit. ``wait``: seconds that a wave waits for an image that cannot
    begin, None is forever. ``method``: of images, or ``copy`` of imports; None is ``live`` for
    images, or with ``auto`` the best one for each. ``lists``: of disks outside of the cluster; a
    plan with some has a ``rule.pool``.
    """

    name: str
    select: tuple[Selector, ...] = ()
    rule: Rule = field(default_factory=Rule)
    images: tuple[Listed, ...] = ()
    policy: Policy = field(default_factory=Policy)
    rate: Optional[int] = None
    wave: int = 20
    stop_after: int = 3
    max_copies: int = 0
    wait: Optional[float] = None
    method: Optional[Method] = None
    lists: tuple[SourceList, ...] = ()
    auto: bool = False

    @property
    def moves(self) -> tuple[Any, ...]:
        """The fields that cannot be changed once the plan has started."""
        return self.select, self.rule, self.images, self.lists

    @property
    def home(self) -> str:
        """The pool that stores the plan: that of its first target."""
        if self.rule.pool and (self.select or self.lists):
            return self.rule.pool
        for listed in self.images:
            if listed.target is not None:
                return listed.target.pool
            if listed.source is not None:
                return self.rule.pool or listed.source.pool
        return self.rule.pool or self.select[0].pool

    def places(self) -> frozenset[tuple[str, str]]:
        """All pools and namespaces that it reads from or writes to, without external sources.

        librbd puts data and journal into the target's namespace of their pools.
        """
        sources: set[tuple[str, str]] = set()
        targets: set[tuple[str, str]] = set()
        for selector in self.select:
            sources.add((selector.pool, selector.namespace))
            targets.add(self._mapped(selector))
        for listed in self.images:
            if listed.source is not None:
                sources.add((listed.source.pool, listed.source.namespace))
            if listed.target is not None:
                targets.add((listed.target.pool, listed.target.namespace))
            elif listed.source is not None:
                targets.add(self._mapped(listed.source))
        if self.lists:
            targets.add((self.rule.pool, self.rule.namespace or ""))
        pools = (self.rule.layout.data_pool, self.rule.layout.journal_pool)
        of_layout = {(pool, namespace) for pool in pools if pool for _, namespace in targets}
        return frozenset(sources | targets | of_layout)

    def method_of(self, item: Item) -> Optional[Method]:
        """The method that is given for an item: its own, or else the plan's; None: the default."""
        if item.method is not None:
            return item.method
        for_imports = self.method is Method.COPY
        return self.method if for_imports == bool(item.source_spec) else None

    def _mapped(self, source: Union[Selector, ImageSpec]) -> tuple[str, str]:
        namespace = self.rule.namespace
        return (
            self.rule.pool or source.pool,
            source.namespace if namespace is None else namespace,
        )


@dataclass(frozen=True)
class PlanEntry:
    """What happened to a plan: a change of its state, or what ``message`` says.

    ``by``: who asked for it, or the plan itself; empty: not known.
    """

    at: float
    state: PlanState
    message: str = ""
    by: str = ""


@dataclass(frozen=True)
class Plan:
    """The record of a plan.

    ``items`` is their number once it has started. ``forgiven``: failures that no longer count,
    because the plan was resumed after them. ``force``: its migrations are aborted even if clients
    may have written; ``forced_at`` is the time of that request, which does not cover later changes
    of clients. ``problem`` is why it could not start, one sentence.
    ``timeline``: what happened to it, the oldest first.
    """

    definition: Definition
    state: PlanState
    created: float
    started: Optional[float] = None
    ended: Optional[float] = None
    items: int = 0
    forgiven: int = 0
    force: bool = False
    forced_at: Optional[float] = None
    problem: str = ""
    timeline: tuple[PlanEntry, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "problem", shortened(self.problem))

    def logged(self, before: Optional[Plan], now: float, who: str) -> Plan:
        """Return the plan with an entry of its timeline for what changed since ``before``.

        ``before`` None: it was created. A change of which the state says nothing has a message.
        """
        message = ""
        if before is None:
            message = "created"
        elif before.definition != self.definition:
            message = "changed"
        elif before.state is self.state:
            return self
        entry = PlanEntry(now, self.state, message, who)
        return replace(self, timeline=(*self.timeline, entry)[-TIMELINE_LENGTH:])

    @property
    def name(self) -> str:
        """Its name."""
        return self.definition.name


@dataclass(frozen=True)
class Item:
    """One migration of a plan. Its id ``ident`` is stored before it begins, so that it begins
    once.

    ``source`` is an image; for an import it has no pool and is only a name for ``source_spec``,
    which is imported ``as_raw``: see ``MigrationRequest``.
    ``message`` says why it failed or was cancelled, or what it waits for. ``bytes``: the bytes to
    copy, set when it has ended. ``postponed``: it could not begin in its wave, and is tried again
    when all others have ended. ``method``: what is given for it alone, or how it was
    migrated when that has ended.
    """

    ident: str
    source: ImageSpec
    target: ImageSpec
    source_spec: str = ""
    outcome: Outcome = Outcome.OPEN
    message: str = ""
    bytes: int = 0
    postponed: bool = False
    as_raw: bool = False
    method: Optional[Method] = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", shortened(self.message))


@dataclass(frozen=True)
class PlanComparison:
    """Whether the plan of a name has the ``same`` definition as was given.

    ``state``: where that plan is, as front ends show it; None: there is none.
    """

    plan: str
    state: Optional[str]
    same: bool


_T = TypeVar("_T", Plan, Item)


def encode(record: Union[Plan, Item]) -> bytes:
    """Return the stored form of a record: JSON with its schema version."""
    return dumped(to_stored(record), SCHEMA)


def decode(cls: type[_T], raw: bytes) -> _T:
    """Return the Plan or Item of a stored record. RecordError if this version cannot read it.

    Version 0.1 took windows of any length; they are cut to the bounds.
    """
    return from_plain(cls, _cut(loaded(raw, SCHEMA)))


def _cut(plain: dict[str, Any]) -> dict[str, Any]:
    definition = plain.get("definition")
    policy = definition.get("policy") if isinstance(definition, dict) else None
    if isinstance(policy, dict) and isinstance(policy.get("window"), str):
        policy["window"] = narrowed(policy["window"])
    return plain


def encode_readable(record: Union[Plan, Item]) -> bytes:
    """Return the stored form of a record, after a check that it can be read back.

    Raises MigrationError: E2BIG for one that is too large, EINVAL for one that ``decode`` refuses.
    """
    raw = encode(record)
    if isinstance(record, Plan):
        what, largest = f"the plan {record.name!r}", MAX_PLAN
    else:
        what, largest = f"the image {shortened(str(record.source))} of a plan", MAX_RECORD
    readable(raw, what, largest, lambda: from_plain(type(record), loaded(raw, SCHEMA)))
    return raw
