"""A web server in threads of this process that is registered as a hook."""

import hashlib
import hmac
import json
import tempfile
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable, Optional

from qa.devcluster import Cluster

YES, LATER, WRONG, VETO, ERROR = 200, 202, 401, 409, 503
_OPTIONS = {"hook_http": "true", "hook_hosts": "127.0.0.1"}
_SECRET = "the secret of a hook for tests"

#: Answers a message: its delivery id and its body. Called by several threads.
Say = Callable[[str, "dict[str, Any]"], int]


class HookServer:
    """The hook ``name``. ``problems``: messages that should not be, and failures of ``say``."""

    def __init__(self, cluster: Cluster, name: str, say: Say) -> None:
        self.name = name
        self.problems: list[str] = []
        self._cluster = cluster
        self._say = say
        ours = type("Ours", (_Handler,), {"hook": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), ours)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def register(self, events: Sequence[str]) -> None:
        """Have the managers send it these events."""
        for name, value in _OPTIONS.items():
            self._cluster.ceph("config", "set", "mgr", f"mgr/rbd_migration/{name}", value)
        with tempfile.TemporaryDirectory() as folder:
            secret = Path(folder) / "secret"
            secret.write_text(_SECRET)
            url = f"http://127.0.0.1:{self._server.server_address[1]}/"
            words = ["add", self.name, url, "--events", ",".join(events), "-i", str(secret)]
            self._cluster.wait_for(lambda: self._hook(words), 60, "the hook to be registered")

    def unregister(self) -> None:
        """Have the managers send nothing any more."""
        self._cluster.wait_for(lambda: self._hook(["rm", self.name]), 60, "the hook's removal")

    def _hook(self, words: Sequence[str]) -> bool:
        command = ["ceph", "rbd", "migration", "hook", *words]
        return self._cluster.run(command, check=False).returncode == 0

    def drained(self, seconds: float) -> "list[str]":
        """What is wrong with the messages, once all were taken, or after so many seconds."""
        deadline = time.monotonic() + seconds
        own = self._waiting()
        while time.monotonic() < deadline and (own is None or own["waiting"]):
            time.sleep(0.5)
            own = self._waiting()
        if own is None:
            return ["no manager says which messages wait for the hook"]
        found = [f"the hook did not get {own['waiting']} messages"] if own["waiting"] else []
        return found + ([f"the hook lost {own['lost']} messages"] if own["lost"] else [])

    def _waiting(self) -> "Optional[dict[str, Any]]":
        """What `hook ls` says of it; None while a manager is starting."""
        command = ["ceph", "rbd", "migration", "hook", "ls", "--format", "json"]
        done = self._cluster.run(command, check=False)
        if done.returncode != 0:
            return None
        every = json.loads(done.stdout)
        return next(hook for hook in every if hook["name"] == self.name)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, headers: "dict[str, str]", body: bytes) -> int:
        """The answer to a message."""
        delivery = headers["X-RBD-Migration-Delivery"]
        signed = f"{headers['X-RBD-Migration-Timestamp']}.{delivery}.".encode() + body
        right = "sha256=" + hmac.new(_SECRET.encode(), signed, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(right, headers["X-RBD-Migration-Signature"]):
            self.problems.append("a message with a wrong signature reached the hook")
            return WRONG
        try:
            return self._say(delivery, json.loads(body))
        except Exception as error:
            self.problems.append(f"the hook failed: {type(error).__name__}: {error}")
            return ERROR


class _Handler(BaseHTTPRequestHandler):
    hook: HookServer

    def do_POST(self) -> None:
        """A message came."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = self.hook.answer(dict(self.headers.items()), body)
        self.send_response(answer)
        if answer == LATER:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""
