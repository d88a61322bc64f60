"""What an act writes into the record of its migration: its intent, and what came of it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from ...control.lifecycle.decision import ACTING
from ...control.lifecycle.verification import point_of
from ...model.codec import from_plain
from ...model.migration import Actor, Migration, Op, Step
from ...model.target_header import TargetHeader
from ...model.verification import Verify
from ..records.tracked import TrackedMigration
from .verification import begin


def with_intent(m: Migration, op: Op, actor: Actor, touched: bool, fraction: float) -> Migration:
    """The record with the intent of ``op``, which is written before the act begins."""
    now = time.time()
    acting = begin(m.enter(ACTING.get(op, m.state), now), op, fraction)
    if op is Op.PREPARE and m.imported is not None:
        acting = replace(acting, imported=m.imported.to_be_made(actor.clients))
    if op is Op.EXECUTE:
        acting = replace(acting, settled=False, copy_checked=m.imported is not None)
    if op is Op.PREPARE and m.verify is not Verify.NONE:
        acting = replace(acting, point=point_of(m.id))
    return replace(acting, step=Step(op, now, actor), hold=None, touched=touched)


def with_target(m: Migration, result: dict[str, Any]) -> Migration:
    """The record with what the worker answered to a prepare about the target."""
    header = result["header"]  # None: somebody has removed the target already
    return replace(
        m,
        target=replace(m.target, image_id=result["target_id"]),
        target_version=result["version"],
        target_header=None if header is None else from_plain(TargetHeader, header, "header"),
    )


def with_bytes(m: Migration, tracked: TrackedMigration) -> Migration:
    """The record with how much of the copy is done, as its worker told last."""
    return replace(m, bytes_copied=tracked.copied, bytes_total=tracked.size or m.bytes_total)


def with_change(m: Migration, sentence: str) -> Migration:
    """What was copied may be of something else: only a full comparison clears that."""
    if m.imported is None:
        return m
    return replace(m, imported=m.imported.changed([sentence]))
