"""What the answers of hooks mean, and when a message is sent again. Pure."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass, replace
from typing import Optional

from ...model.bounds import shortened
from ...model.hooks import Delivery

_FIRST, LONGEST = 5.0, 900.0  # seconds until a message that failed is sent again
_SHORTEST_LATER, _LATER, _LONGEST_LATER = 1.0, 15.0, 300.0  # seconds until it is asked again
_SAID = 300  # characters of what a server answers
LIFETIME = 86400.0  # seconds for which a message that asks nothing is tried
FAILING = 3  # failures of one message after which its hook counts as failing


class Meaning(enum.Enum):
    """What an answer means."""

    TAKEN = "taken"  # and yes, where something was asked
    VETO = "veto"
    LATER = "later"
    FAILED = "failed"


@dataclass(frozen=True)
class Answer:
    """``reason`` of a veto or a failure; ``wait``: seconds until it is asked again."""

    meaning: Meaning
    reason: str = ""
    wait: float = 0.0


def answer_of(
    status: int, body: str, retry_after: Optional[str], *, asks: bool, place: str
) -> Answer:
    """Return what an HTTP answer of the server at ``place`` means.

    ``asks``: the message asks a question. ``retry_after``: the value of that header.
    """
    if asks and status == 409:
        return Answer(Meaning.VETO, _reason(body))
    if asks and status == 202:
        return Answer(Meaning.LATER, wait=_later(retry_after))
    if 200 <= status < 300:
        return Answer(Meaning.TAKEN)
    if 300 <= status < 400:
        return failed(f"{place} answers {status}, a redirect, which is not followed")
    said = shortened(" ".join(body.split()), _SAID)
    return failed(f"{place} answers {status}{': ' + said if said else ''}")


def failed(reason: str) -> Answer:
    """Return the answer that stands for a message that could not be sent, or was not taken."""
    return Answer(Meaning.FAILED, reason)


def _reason(body: str) -> str:
    """The reason of a veto: the text ``reason`` of a JSON object, or else the body itself."""
    try:
        plain = json.loads(body)
    except (ValueError, RecursionError):
        plain = None
    if isinstance(plain, dict):
        found = plain.get("reason") or plain.get("message") or ""
        return found if isinstance(found, str) else ""
    return body if plain is None else ""


def _later(retry_after: Optional[str]) -> float:
    text = (retry_after or "").strip()
    seconds = float(text) if text.isascii() and text.isdigit() and len(text) < 10 else _LATER
    return min(_LONGEST_LATER, max(_SHORTEST_LATER, seconds))


def after_failure(delivery: Delivery, reason: str, now: float) -> Delivery:
    """Return the message as it is kept after it failed: it is sent again ever more rarely."""
    failures = delivery.failures + 1
    wait = min(LONGEST, _FIRST * 2.0 ** min(failures - 1, 20))
    return replace(delivery, failures=failures, due=now + wait, message=reason)


def given_up(delivery: Delivery, now: float) -> bool:
    """Whether it is not tried any more. A question is asked as long as it stands."""
    return not delivery.event.asks and now - delivery.created > LIFETIME


def is_failing(delivery: Delivery) -> bool:
    """Whether it failed so often that an administrator should know."""
    return delivery.failures >= FAILING
