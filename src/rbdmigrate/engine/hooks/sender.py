"""The threads that send messages to hooks, and tell what was answered."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional

import rados

from ...cluster.store import StoreFenced
from ...control.hooks import messages
from ...control.hooks.answers import (
    LIFETIME,
    Answer,
    Meaning,
    after_failure,
    answer_of,
    failed,
    given_up,
)
from ...faults import fault_point
from ...model.errors import MigrationError, PoolMissing
from ...model.hook_policy import HookPolicy, parse_hook_url
from ...model.hooks import Delivery, Hook, HookEvent
from .definitions import HookRegistry
from .post import HookRequest, HookResponse
from .queue import HookQueue, Queued, test_message

log = logging.getLogger(__name__)

_THREADS = 4
_KEPT = 10  # messages of each hook that are shown
_TROUBLE = 5.0  # seconds until a message is looked at again when RADOS did not answer

Send = Callable[[HookRequest], HookResponse]


@dataclass(frozen=True)
class Sent:
    """A message that was sent at ``at`` (seconds since 1970), and its answer."""

    at: float
    event: HookEvent
    about: str
    answer: Answer


class HookSender:
    """Sends what is in the queue. Its threads begin with the first message.

    ``on_answer`` is told the answers to questions, and ``wanted`` whether one still stands; both
    raise what the store raises.
    """

    def __init__(
        self,
        *,
        queue: HookQueue,
        hooks: HookRegistry,
        policy: Callable[[], HookPolicy],
        send: Send,
        on_answer: Callable[[Delivery, Answer], None],
        wanted: Callable[[Delivery], bool],
        on_fenced: Callable[[str], None],
    ) -> None:
        self._queue = queue
        self._hooks = hooks
        self._policy = policy
        self._send = send
        self._on_answer = on_answer
        self._wanted = wanted
        self._on_fenced = on_fenced
        self._stopping = threading.Event()
        self._told = threading.Condition()
        self._tests: dict[str, Optional[Answer]] = {}
        self._recent: dict[str, tuple[Sent, ...]] = {}
        self._given_up: dict[str, int] = {}
        self._crashed = ""
        self._threads: list[threading.Thread] = []
        queue.on_first = self._begin

    def _begin(self) -> None:
        """Start the threads, the first time; called with the queue's lock."""
        if self._threads or self._stopping.is_set():
            return
        self._threads = [
            threading.Thread(target=self._run, name=f"rbdmigrate-hook-{n}", daemon=True)
            for n in range(_THREADS)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Have the threads end; what was not taken stays in the stores."""
        self._stopping.set()
        self._queue.wake()

    def join(self, timeout: float) -> bool:
        """Wait for the threads' end; False when one is still there."""
        for thread in self._threads:
            thread.join(timeout)
        return not any(thread.is_alive() for thread in self._threads)

    def problems(self) -> list[str]:
        """What is wrong with the threads themselves."""
        return [self._crashed] if self._crashed else []

    def recent(self, hook: str) -> tuple[Sent, ...]:
        """The last messages to a hook since this manager is active, the latest first."""
        return self._recent.get(hook, ())

    def given_up(self, hook: str) -> int:
        """How many messages a hook did not take for a day, since this manager is active."""
        return self._given_up.get(hook, 0)

    def test(self, hook: Hook, patience: float) -> Optional[Answer]:
        """Send a test, and wait for the answer; None when there is none in time (seconds)."""
        delivery = test_message(hook, time.time())
        with self._told:
            self._tests[delivery.id] = None
        self._queue.put(delivery)
        with self._told:
            self._told.wait_for(lambda: self._tests[delivery.id] is not None, patience)
            return self._tests.pop(delivery.id)

    # -- the threads -------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            one = self._queue.take()
            if one is not None:
                self._guarded(one)

    def _guarded(self, one: Queued) -> None:
        again = time.time() + _TROUBLE
        try:
            self._handle(one)
        except StoreFenced as error:
            self._queue.failed(one, again)
            self._on_fenced(str(error))
            self._stopping.wait()
        except (rados.Error, MigrationError) as error:
            self._queue.failed(one, again)
            log.warning("the hook %s: %s", one.delivery.hook, error)
        except Exception as error:
            self._queue.failed(one, again)
            self._crashed = f"messages to hooks: {type(error).__name__}: {error}"
            log.exception("a message to the hook %s failed; it is tried again", one.delivery.hook)

    def _handle(self, one: Queued) -> None:
        delivery, now = one.delivery, time.time()
        hook = self._hooks.get(delivery.hook)
        if one.over or hook is None or (delivery.question and not self._wanted(delivery)):
            self._remove(one)
            return
        if given_up(delivery, now):
            days = LIFETIME / 86400
            log.error("the hook %s did not take %s in %g d", hook.name, delivery.id, days)
            self._given_up[hook.name] = self.given_up(hook.name) + 1
            self._remove(one)
            return
        fault_point("hooks.send.before", delivery.event.value)
        answer = self._sent(hook, delivery)
        fault_point("hooks.send.after", delivery.event.value)
        self._note(delivery, answer)
        if delivery.event is HookEvent.TEST:
            self._tested(one, answer)
        elif answer.meaning is Meaning.LATER:
            self._queue.back(one, delivery, time.time() + answer.wait)
        elif answer.meaning is Meaning.FAILED:
            self._failed(one, answer.reason)
        else:
            if delivery.question:
                self._on_answer(delivery, answer)
            self._remove(one)

    def _note(self, delivery: Delivery, answer: Answer) -> None:
        sent = Sent(time.time(), delivery.event, messages.subject(delivery.body), answer)
        with self._told:
            self._recent[delivery.hook] = (sent, *self.recent(delivery.hook))[:_KEPT]

    def _sent(self, hook: Hook, delivery: Delivery) -> Answer:
        """Send a message; whatever goes wrong is an answer too."""
        try:
            secret = self._hooks.secret(hook)
            request = HookRequest(
                url=hook.url,
                body=delivery.body.encode(),
                headers=messages.headers(delivery, secret, time.time()),
                timeout=hook.timeout,
                ca=hook.ca,
                policy=self._policy(),
            )
            response = self._send(request)
        except MigrationError as error:
            return failed(error.message)
        place = parse_hook_url(hook.url).place
        asks = delivery.event.asks
        return answer_of(
            response.status, response.body, response.retry_after, asks=asks, place=place
        )

    def _failed(self, one: Queued, reason: str) -> None:
        delivery = after_failure(one.delivery, reason, time.time())
        log.warning("the hook %s did not take a message: %s", delivery.hook, reason)
        if one.store is not None:
            try:
                one.store.write_delivery(delivery)
            except PoolMissing:
                self._queue.done(one)
                return
        self._queue.back(one, delivery, delivery.due)

    def _remove(self, one: Queued) -> None:
        if one.store is not None:
            try:
                one.store.remove_deliveries([one.delivery.id])
            except PoolMissing:
                log.info("%s: the pool is gone, and the message with it", one.delivery.id)
        self._queue.done(one)

    def _tested(self, one: Queued, answer: Answer) -> None:
        self._queue.done(one)
        with self._told:
            if one.delivery.id in self._tests:
                self._tests[one.delivery.id] = answer
            self._told.notify_all()
