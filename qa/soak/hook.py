"""The hook of a soak run: it stops clients for cutovers, and says no, later or nothing at times."""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Optional

from qa.devcluster import Cluster
from qa.workload.hook_server import ERROR, LATER, VETO, YES, HookServer

_EVENTS = ("before_cutover", "after_cutover", "cutover_failed")
# What it says to a message first; the same message gets a yes from the second time on.
_FIRST = (YES, YES, YES, YES, LATER, LATER, VETO, ERROR)
_DRAIN = 120.0  # seconds for all messages to be taken


@dataclass
class Guest:
    """The client of one image. ``leave`` stops it, and ``come_back`` starts it where it was.

    ``agreed``: the hook said yes to the question that was asked last. ``start_on``: where the
    client may start, once a cutover has ended.
    """

    leave: Callable[[], None]
    come_back: Callable[[], None]
    agreed: bool = False
    start_on: Optional[str] = None
    busy: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def told(self, event: str, migration: "dict[str, Any]") -> None:
        """Do what an event asks for."""
        if event == "before_cutover":
            self.leave()
            self.agreed = True
        elif event == "after_cutover":
            self.start_on = migration["start_on"]
        else:
            self.agreed = False
            self.come_back()


class SoakHook:
    """``answered``: how often it gave which answer."""

    def __init__(self, cluster: Cluster, chance: random.Random) -> None:
        self.answered: dict[str, int] = {}
        self._chance = chance
        self._guests: dict[str, Guest] = {}
        self._seen: set[str] = set()  # ids of messages
        self._done: set[str] = set()  # ids of messages whose client was stopped or started
        self._lock = threading.Lock()
        self._server = HookServer(cluster, "soak", self._say)
        self._server.register(_EVENTS)

    def expect(self, target: str, guest: Guest) -> None:
        """``guest`` is the client that questions about ``target`` are about."""
        with self._lock:
            self._guests[target] = guest

    def forget(self, target: str) -> None:
        """Nobody waits for a cutover of ``target``."""
        with self._lock:
            self._guests.pop(target, None)

    def close(self) -> "list[str]":
        """Stop listening once all messages were taken; what was wrong with any."""
        found = self._server.drained(_DRAIN)
        self._server.close()
        return self._server.problems + found

    def _say(self, delivery: str, message: "dict[str, Any]") -> int:
        answer = self._answer(delivery, message["event"], message["migration"])
        said = f"hook said {answer}"
        with self._lock:
            self.answered[said] = self.answered.get(said, 0) + 1
        return answer

    def _answer(self, delivery: str, event: str, migration: "dict[str, Any]") -> int:
        with self._lock:
            new = delivery not in self._seen
            self._seen.add(delivery)
            guest = self._guests.get(migration["target"])
        if new:
            first = self._chance.choice(_FIRST)
            if first == ERROR or (event == "before_cutover" and first != YES):
                return first
        if guest is not None:
            with guest.busy:
                if delivery not in self._done:  # what was done must not be done again later
                    guest.told(event, migration)
                    self._done.add(delivery)
        return YES
