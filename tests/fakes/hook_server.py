"""A hook's server for the cluster in memory: it says what it is told to, and keeps what it got."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Optional

from rbdmigrate.control.hooks.messages import EVENT, ID, SIGNATURE, TIMESTAMP, signature

from .world import World

SECRET = "0123456789abcdef0123456789abcdef"


class HookServer:
    """What happens at ``https://NAME.example/``, for each hook that was added with it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.got: list[tuple[str, str, dict[str, Any]]] = []  # hook, event, body
        self.ids: list[str] = []
        self.say: Callable[[str, str, dict[str, Any]], Any] = lambda hook, event, body: 200
        world.send = self._take

    def add(self, name: str = "one", **options: Any) -> None:
        """`ceph rbd migration hook add`."""
        self.world.call(
            lambda: self.world.engine.hooks.add(
                name, f"https://{name}.example/", secret=SECRET, **options
            )
        )

    def events(self, hook: Optional[str] = None) -> list[str]:
        """The events that came, in their order, without those that came again."""
        found, seen = [], set()
        for (name, event, _), ident in zip(self.got, self.ids):
            if hook in (None, name) and ident not in seen:
                found.append(event)
            seen.add(ident)
        return found

    def bodies(self, event: str) -> list[dict[str, Any]]:
        """What came with an event."""
        return [body["migration"] for _, name, body in self.got if name == event]

    def _take(self, request: Any) -> Any:
        hook = request.url.split("//")[1].split(".")[0]
        text = request.body.decode()
        body = json.loads(text)
        ident, at = request.headers[ID], request.headers[TIMESTAMP]
        assert request.headers[SIGNATURE] == f"sha256={signature(SECRET, at, ident, text)}"
        assert body["delivery"] == ident
        event = request.headers[EVENT]
        self.got.append((hook, event, body))
        self.ids.append(ident)
        said = self.say(hook, event, body)
        if isinstance(said, Exception):
            raise said
        status, answer, later = (said, "", None) if isinstance(said, int) else said
        return SimpleNamespace(status=status, body=answer, retry_after=later)
