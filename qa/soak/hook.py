"""The hook of a soak run: it stops clients for cutovers, and says no, later or nothing at times."""

import hashlib
import hmac
import json
import random
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Optional

from qa.devcluster import Cluster

NAME = "soak"
_SECRET = "the secret of the soak run's hook"
_EVENTS = "before_cutover,after_cutover,cutover_failed"
_OPTIONS = {"hook_http": "true", "hook_hosts": "127.0.0.1"}
_YES, _LATER, _WRONG, _VETO, _ERROR = 200, 202, 401, 409, 503
# What it says to a message first; the same message gets a yes from the second time on.
_FIRST = (_YES, _YES, _YES, _YES, _LATER, _LATER, _VETO, _ERROR)
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


@dataclass
class SoakHook:
    """A web server that is registered as a hook. ``problems``: messages that should not be."""

    cluster: Cluster
    chance: random.Random
    problems: "list[str]" = field(default_factory=list)
    answered: "dict[str, int]" = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._guests: dict[str, Guest] = {}
        self._seen: set[str] = set()  # ids of messages that it did not agree to at first
        self._done: set[str] = set()  # ids of messages that it took
        self._lock = threading.Lock()
        ours = type("Ours", (_Handler,), {"hook": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), ours)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def register(self) -> None:
        """Have the managers ask it."""
        for name, value in _OPTIONS.items():
            self.cluster.ceph("config", "set", "mgr", f"mgr/rbd_migration/{name}", value)
        url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        with tempfile.TemporaryDirectory() as folder:
            secret = Path(folder) / "secret"
            secret.write_text(_SECRET)
            self.cluster.wait_for(lambda: self._add(url, secret), 60, "the hook to be registered")

    def _add(self, url: str, secret: Path) -> bool:
        done = self.cluster.run(
            ["ceph", "rbd", "migration", "hook", "add", NAME, url, "--events", _EVENTS,
             "-i", str(secret)], check=False,
        )  # fmt: skip
        return done.returncode == 0

    def expect(self, target: str, guest: Guest) -> None:
        """``guest`` is the client that questions about ``target`` are about."""
        with self._lock:
            self._guests[target] = guest

    def forget(self, target: str) -> None:
        """Nobody waits for a cutover of ``target``."""
        with self._lock:
            self._guests.pop(target, None)

    def drained(self) -> "list[str]":
        """What is wrong with the messages, once all were taken."""
        deadline = time.monotonic() + _DRAIN
        while True:
            (own,) = self.cluster.ceph_json("rbd", "migration", "hook", "ls")
            if not own["waiting"] or time.monotonic() > deadline:
                break
            time.sleep(0.5)
        found = [f"the hook did not get {own['waiting']} messages"] if own["waiting"] else []
        return found + ([f"the hook lost {own['lost']} messages"] if own["lost"] else [])

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def judge(self, headers: "dict[str, str]", body: bytes) -> int:
        """The answer to a message."""
        delivery = headers["X-RBD-Migration-Delivery"]
        signed = f"{headers['X-RBD-Migration-Timestamp']}.{delivery}.".encode() + body
        right = "sha256=" + hmac.new(_SECRET.encode(), signed, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(right, headers["X-RBD-Migration-Signature"]):
            self.problems.append("a message with a wrong signature reached the hook")
            return _WRONG
        message = json.loads(body)
        target = message["migration"]["target"]
        try:
            answer = self._answer(delivery, message["event"], message["migration"])
        except Exception as error:
            self.problems.append(f"the client of {target}: {type(error).__name__}: {error}")
            answer = _ERROR
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
            first = self.chance.choice(_FIRST)
            if first == _ERROR or (event == "before_cutover" and first != _YES):
                return first
        if guest is not None:
            with guest.busy:
                if delivery not in self._done:  # what was done must not be done again later
                    _apply(guest, event, migration)
                    self._done.add(delivery)
        return _YES


def _apply(guest: Guest, event: str, migration: "dict[str, Any]") -> None:
    if event == "before_cutover":
        guest.leave()
        guest.agreed = True
    elif event == "after_cutover":
        guest.start_on = migration["start_on"]
    else:
        guest.agreed = False
        guest.come_back()


class _Handler(BaseHTTPRequestHandler):
    hook: SoakHook

    def do_POST(self) -> None:
        """A message came."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = self.hook.judge(dict(self.headers.items()), body)
        self.send_response(answer)
        if answer == _LATER:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""
