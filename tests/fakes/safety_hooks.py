"""The hooks of a random run, and what they forbid.

A hook that is asked says yes, no, or that it answers later. The rule: while the last that a hook
said to the question of a migration is not yes, no cutover that asks hooks and no commit begins.
"""

from __future__ import annotations

from typing import Any

from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.hooks import HookEvent

from .hook_server import HookServer
from .judge import Judge
from .world import World, spec

NAMES = ("one", "two")
YES, NO, LATER, DOWN = 200, 409, 202, 503
_ASKED = {"cut_over": HookEvent.BEFORE_CUTOVER, "went_back": HookEvent.BEFORE_CUTOVER,
          "commit": HookEvent.BEFORE_COMMIT}  # fmt: skip


class Hooks:
    """Servers called ``one`` and ``two``; ``said``: what they last said, by hook, event and id."""

    def __init__(self, world: World, judge: Judge) -> None:
        self.world = world
        self.judge = judge
        self.said: dict[tuple[str, str, str], int] = {}
        self._answers = dict.fromkeys(NAMES, YES)
        self._agreed: set[str] = set()  # ids of messages
        self._server = HookServer(world)
        self._server.say = self._say
        world.cluster.log.append(self._event)

    def _say(self, hook: str, event: str, body: dict[str, Any]) -> int:
        """A message that comes again is answered with yes again."""
        answer = YES if body["delivery"] in self._agreed else self._answers[hook]
        if answer == YES:
            self._agreed.add(body["delivery"])
        if HookEvent(event).asks:
            self.said[hook, event, body["migration"]["id"]] = answer
        return answer

    def agree(self) -> None:
        """All say yes from now on."""
        self._answers = dict.fromkeys(NAMES, YES)

    # -- steps ---------------------------------------------------------------------------------

    def hook_add(self, name: str) -> None:
        self._request(lambda: self._server.add(name))

    def hook_remove(self, name: str) -> None:
        """Nobody waits any more for what it says."""
        try:
            self._request(lambda: self.world.engine.hooks.remove(name))
        finally:  # also if the answer was lost
            self.said = {key: said for key, said in self.said.items() if key[0] != name}

    def hook_says(self, name: str, answer: int) -> None:
        self._answers[name] = answer

    def hook_done(self, name: str, disk: str, veto: bool) -> None:
        """`ceph rbd migration hook done`, with or without ``--veto``."""
        record = self.world.record(f"nvme/{disk}")
        if record is None or record.question is None:
            return
        key = (name, record.question.event.value, record.id)
        before = self.said.pop(key, None)  # either is right until it is answered
        if self._request(
            lambda: self.world.engine.hooks.done(
                name, spec(f"nvme/{disk}"), "not today" if veto else None
            )
        ):
            self.said[key] = NO if veto else YES
        elif before is not None:
            self.said[key] = before

    def _request(self, act: Any) -> bool:
        """Whether the request was accepted."""

        def ask() -> bool:
            try:
                act()
            except MigrationError:
                return False
            return True

        return bool(self.world.call(ask))

    # -- the rule ------------------------------------------------------------------------------

    def _event(self, kind: str, **about: Any) -> None:
        event = _ASKED.get(kind)
        record = self.judge.record_of(about["source"]) if event is not None else None
        if event is None or record is None:
            return
        if event is HookEvent.BEFORE_CUTOVER and record["cutover"]["mode"] != "hook":
            return  # it was asked for by hand
        for (hook, asked, ident), said in self.said.items():
            if (asked, ident) == (event.value, record["id"]) and said != YES:
                self.judge.wrong.append(
                    f"{ident}: {kind} although the hook {hook} answered {event.value} with {said}"
                )
