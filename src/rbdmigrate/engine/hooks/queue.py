"""The messages that hooks did not take yet: in the stores of the records that they are about.

A message is stored by the operation that writes the record, so there is one for each change that
was written, and none for another. It is removed once it was taken.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Optional

from ...cluster.store import Store
from ...control.hooks import messages
from ...control.hooks.answers import LONGEST
from ...control.hooks.events import Notice, ended_question, notices, plan_notices, pools_of
from ...control.hooks.questions import without_stale_question
from ...model.hooks import Delivery, Hook, HookEvent
from ...model.migration import Migration
from ...model.plan import Plan
from .definitions import HookRegistry

log = logging.getLogger(__name__)

_AT_ONCE = 2  # messages to one hook at the same time
_CUTOVER = (HookEvent.BEFORE_CUTOVER, HookEvent.AFTER_CUTOVER, HookEvent.CUTOVER_FAILED)
_MOST = 1000  # messages that wait for one hook; further ones that ask nothing are left out


class Queued:
    """A message in memory. ``over``: it is only to be removed. Guarded by the queue's lock."""

    def __init__(self, delivery: Delivery, store: Optional[Store]) -> None:
        self.delivery = delivery
        self.store = store
        self.due = min(delivery.due, time.time() + LONGEST)  # the clock may have been ahead
        self.sending = False
        self.over = False


@dataclass(frozen=True)
class NewMessages:
    """What is written with a changed record: messages. ``ended``: the question that it ends."""

    deliveries: tuple[Delivery, ...] = ()
    ended: str = ""


NOTHING = NewMessages()


class HookQueue:
    """All messages to hooks. Thread-safe."""

    def __init__(self, hooks: HookRegistry) -> None:
        self._hooks = hooks
        self._changed = threading.Condition()
        self._queued: dict[str, Queued] = {}
        self._left_out: Counter[str] = Counter()
        self._woken = False
        self.on_first: Callable[[], None] = lambda: None  # called when there is something to send

    # -- what a change of a record means -----------------------------------------------------

    def of_change(self, before: Migration, after: Migration) -> tuple[Migration, NewMessages]:
        """The record to write, and the messages that go with it."""
        after = without_stale_question(after)
        found = notices(before, after)
        ended = ended_question(before, after)
        if not found and not ended:
            return after, NOTHING
        now = time.time()
        pools = pools_of(after)

        def body(notice: Notice, ident: str) -> str:
            return messages.about_migration(after, notice.event, ident, now, back=notice.back)

        return after, NewMessages(self._deliveries(found, pools, after.id, body, now), ended)

    def of_plan(self, before: Optional[Plan], after: Plan) -> NewMessages:
        """The messages that go with a changed plan."""
        found = plan_notices(before, after)
        if not found:
            return NOTHING
        now = time.time()
        pools = {pool for pool, _ in after.definition.places()}

        def body(notice: Notice, ident: str) -> str:
            return messages.about_plan(after, notice.event, ident, now)

        return NewMessages(self._deliveries(found, pools, after.name, body, now))

    def _deliveries(
        self,
        found: Iterable[Notice],
        pools: Iterable[str],
        about: str,
        body: Callable[[Notice, str], str],
        now: float,
    ) -> tuple[Delivery, ...]:
        made = []
        for notice in found:
            for hook in self._hooks.takers(notice.event, pools):
                if notice.hooks is not None and hook.name not in notice.hooks:
                    continue
                if not notice.event.asks and self._full(hook):
                    continue
                ident = secrets.token_hex(12)
                made.append(
                    Delivery(
                        id=ident,
                        hook=hook.name,
                        event=notice.event,
                        about=about,
                        body=body(notice, ident),
                        created=now,
                        question=notice.question,
                    )
                )
        return tuple(made)

    def _full(self, hook: Hook) -> bool:
        with self._changed:
            waiting = sum(one.delivery.hook == hook.name for one in self._queued.values())
            full = waiting >= _MOST
            self._left_out[hook.name] += full
        return full

    # -- in and out --------------------------------------------------------------------------

    def posted(self, store: Store, posts: NewMessages) -> None:
        """The record was written, and the messages with it."""
        if posts is NOTHING:
            return
        with self._changed:
            for one in self._queued.values():
                if posts.ended and one.delivery.question == posts.ended:
                    one.over, one.due = True, 0.0
            self._put(store, posts.deliveries)

    def outcome_unknown(self, store: Store, posts: NewMessages) -> None:
        """It is not known whether the record was written; memory counts, so the messages go."""
        with self._changed:
            self._put(store, posts.deliveries)
            for delivery in posts.deliveries:
                self._queued[delivery.id].over = True

    def loaded(self, store: Store, deliveries: Sequence[Delivery]) -> None:
        """A store was read."""
        with self._changed:
            self._put(store, [one for one in deliveries if one.id not in self._queued])

    def put(self, delivery: Delivery) -> None:
        """Send a message that is not stored."""
        with self._changed:
            self._put(None, [delivery])

    def _put(self, store: Optional[Store], deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self._queued[delivery.id] = Queued(delivery, store)
        if self._queued:
            self.on_first()
        self._changed.notify_all()

    def take(self, patience: Optional[float] = None) -> Optional[Queued]:
        """Wait for a message to send, or to remove, now; it is then the caller's.

        None when there is none in time, or after :meth:`wake`. What a hook is told of the cutovers
        of one migration comes in its order, and a hook gets few messages at a time.
        """
        with self._changed:
            found, wait = self._next(time.time())
            if found is None and not self._woken:
                waits = [w for w in (wait, patience) if w is not None]
                self._changed.wait(min(waits) if waits else None)
                found, _ = self._next(time.time())
            if found is not None:
                found.sending = True
            return found

    def _next(self, now: float) -> tuple[Optional[Queued], Optional[float]]:
        """The next message that is due, or else the seconds until one is."""
        busy = Counter(one.delivery.hook for one in self._queued.values() if one.sending)
        seen: set[tuple[str, ...]] = set()
        first: Optional[Queued] = None
        soonest: Optional[float] = None
        for one in self._queued.values():  # in the order in which they were put
            line = _line(one.delivery)
            if line in seen:
                continue
            seen.add(line)
            if one.sending or busy[one.delivery.hook] >= _AT_ONCE:
                continue
            if one.due <= now:
                if first is None or one.due < first.due:
                    first = one
            else:
                soonest = one.due if soonest is None else min(soonest, one.due)
        return first, None if soonest is None else soonest - now

    def back(self, one: Queued, delivery: Delivery, due: float) -> None:
        """Send the message again at ``due`` (seconds since the epoch)."""
        with self._changed:
            one.delivery, one.sending = delivery, False
            one.due = 0.0 if one.over else due
            self._changed.notify_all()

    def failed(self, one: Queued, due: float) -> None:
        """Sending or removing the message failed here: the same again at ``due``."""
        with self._changed:
            one.sending, one.due = False, due
            self._changed.notify_all()

    def done(self, one: Queued) -> None:
        """The message was taken, and is not stored any more."""
        with self._changed:
            self._queued.pop(one.delivery.id, None)
            self._changed.notify_all()

    def hurry(self, question: str, hook: str) -> None:
        """A question was answered in another way: its message is not sent again."""
        with self._changed:
            for one in self._queued.values():
                if one.delivery.question == question and one.delivery.hook == hook:
                    one.over, one.due = True, 0.0
            self._changed.notify_all()

    def wake(self) -> None:
        """Have all who wait in :meth:`take` return, from now on."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    # -- what front ends show ----------------------------------------------------------------

    def waiting(self, hook: Optional[str] = None) -> list[Delivery]:
        """The messages that were not taken yet, the oldest first."""
        with self._changed:
            return [
                one.delivery
                for one in self._queued.values()
                if not one.over and hook in (None, one.delivery.hook)
            ]

    def left_out(self, hook: str) -> int:
        """How many messages to a hook were left out, because too many wait for it."""
        with self._changed:
            return self._left_out[hook]

    def forget(self, hook: str) -> None:
        """A hook was removed: its messages go."""
        with self._changed:
            self._left_out.pop(hook, None)
            for one in self._queued.values():
                if one.delivery.hook == hook:
                    one.over, one.due = True, 0.0
            self._changed.notify_all()


def _line(delivery: Delivery) -> tuple[str, ...]:
    """Messages of one line are sent one after another: to stop and to start the same clients."""
    if delivery.event in _CUTOVER:
        return delivery.hook, delivery.about
    return (delivery.id,)


def test_message(hook: Hook, now: float) -> Delivery:
    """A message that tests a hook."""
    ident = secrets.token_hex(12)
    body = messages.about_nothing(ident, now)
    return Delivery(
        id=ident, hook=hook.name, event=HookEvent.TEST, about=ident, body=body, created=now
    )
