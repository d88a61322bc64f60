"""The messages to hooks: their bodies, described in ``doc/hooks.rst``, and their signatures."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any, Optional

from ...model.hooks import Delivery, HookEvent
from ...model.migration import Migration, Place
from ...model.plan import Plan
from ...model.report import iso
from ...model.states import Goal
from ...model.warm_report import clients_use

SCHEMA = 1
EVENT, ID = "X-RBD-Migration-Event", "X-RBD-Migration-Delivery"
TIMESTAMP, SIGNATURE = "X-RBD-Migration-Timestamp", "X-RBD-Migration-Signature"
ATTEMPT = "X-RBD-Migration-Attempt"


def about_migration(
    m: Migration, event: HookEvent, ident: str, now: float, *, back: bool = False
) -> str:
    """Return the body of a message about a migration. ``back``: see :class:`.events.Notice`."""
    return _body(event, ident, now, migration=_migration(m, event, back=back))


def about_plan(plan: Plan, event: HookEvent, ident: str, now: float) -> str:
    """Return the body of a message about a plan."""
    return _body(
        event,
        ident,
        now,
        plan={
            "name": plan.name,
            "state": plan.state.value,
            "started": iso(plan.started),
            "ended": iso(plan.ended),
            "migrations": plan.items,
        },
    )


def about_nothing(ident: str, now: float) -> str:
    """Return the body of a test."""
    return _body(HookEvent.TEST, ident, now)


def subject(body: str) -> str:
    """Return what a message is about: the target of its migration, or its plan; else nothing."""
    try:
        told = json.loads(body)
    except ValueError:
        return ""
    for part, name in (("migration", "target"), ("plan", "name")):
        found = told.get(part) if isinstance(told, dict) else None
        if isinstance(found, dict):
            return str(found.get(name) or "")
    return ""


def _body(
    event: HookEvent,
    ident: str,
    now: float,
    migration: Optional[dict[str, Any]] = None,
    plan: Optional[dict[str, Any]] = None,
) -> str:
    return json.dumps(
        {
            "schema": SCHEMA,
            "event": event.value,
            "delivery": ident,
            "at": iso(now),
            "migration": migration,
            "plan": plan,
        }
    )


def _migration(m: Migration, event: HookEvent, *, back: bool) -> dict[str, Any]:
    leave, start = _places(m, event, back=back)
    pause = m.rounds.pause if m.rounds is not None else None
    return {
        "id": m.id,
        "source": str(m.source.spec),
        "source_image_id": m.source.image_id,
        "target": str(m.target.spec),
        "target_image_id": m.target.image_id,
        "in_place": m.in_place,
        "method": m.method.value,
        "state": m.state.value,
        "goal": m.goal.value,
        "clients": clients_use(m),
        "leave": leave,
        "start_on": start,
        "back": back or (m.goal is Goal.ABORTED and m.cut_over_at is not None),
        "pause_seconds": None if pause is None else round(pause, 3),
        "message": _message(m),
        "plan": m.plan or None,
    }


def _places(m: Migration, event: HookEvent, *, back: bool) -> tuple[Optional[str], Optional[str]]:
    """The image that clients are to leave, and the one on which to start them, by name."""
    used, other = (m.target, m.source) if back else (m.source, m.target)

    def named(place: Place) -> str:
        return str(place.spec)

    if event is HookEvent.BEFORE_CUTOVER:
        return named(used), None
    if event is HookEvent.AFTER_CUTOVER:
        return None, named(other)
    return None, named(used) if event is HookEvent.CUTOVER_FAILED else None


def _message(m: Migration) -> Optional[str]:
    if m.failure is not None:
        return m.failure.message
    return m.hold.message if m.hold is not None else None


def headers(delivery: Delivery, secret: str, now: float) -> dict[str, str]:
    """Return the headers of a message that is sent ``now`` (seconds since the epoch)."""
    at = str(int(now))
    return {
        EVENT: delivery.event.value,
        ID: delivery.id,
        TIMESTAMP: at,
        ATTEMPT: str(delivery.failures + 1),
        SIGNATURE: f"sha256={signature(secret, at, delivery.id, delivery.body)}",
    }


def signature(secret: str, timestamp: str, ident: str, body: str) -> str:
    """Return the HMAC-SHA256 of ``<timestamp>.<delivery id>.<body>`` as hexadecimal digits."""
    signed = f"{timestamp}.{ident}.{body}".encode()
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
