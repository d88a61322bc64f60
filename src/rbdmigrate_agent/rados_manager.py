"""The way to the manager: the module's command ``agent poll``, through librados.

librados finds the active manager and survives failovers, and no port has to be open.
"""

from __future__ import annotations

import errno
import json
import threading
import time
from concurrent import futures
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from typing import Any, Callable, Optional, TypeVar

import rados

from rbdmigrate.model.agent_messages import Answer, Request, decode_answer, encode
from rbdmigrate.model.errors import RecordError

from .manager import Unanswered

T = TypeVar("T")

_PREFIX = "rbd migration agent poll"
_CONNECT = 10  # seconds; from Ceph 18 on librados takes whole ones only
_MOST_UNANSWERED = 4  # requests; each has a client with its threads
_OPTIONS = {
    "client_mount_timeout": "10",
    # With a timeout, librados writes a manager's answer that comes later into memory that it has
    # freed, and the process ends (16.2.15: after each time without a manager).
    "rados_mon_op_timeout": "0",
    "log_to_stderr": "false",
    "err_to_stderr": "false",
    "log_file": "",
    "admin_socket": "",
}


class RadosManager:
    """The active manager of a cluster, for the host of the name ``host``."""

    def __init__(self, *, conf: str, user: str, host: str) -> None:
        self._conf = conf
        self._name = f"client.{user}"
        self._host = host
        self._client: Optional[rados.Rados] = None
        self._unanswered: set[Future[Any]] = set()

    def ask(self, request: Request, seconds: float) -> Answer:
        """The answer, within so many seconds. Raises Unanswered."""
        command = json.dumps({"prefix": _PREFIX, "host": self._host, "format": "plain"})
        text = encode(request).encode()
        code, out, said = self._within(seconds, lambda client: client.mgr_command(command, text))
        if code != 0:
            name = errno.errorcode.get(abs(code), str(abs(code)))
            raise Unanswered(f"The manager refused ({name}): {said or 'no reason given'}")
        try:
            return decode_answer(bytes(out).decode())
        except (RecordError, UnicodeDecodeError) as error:
            raise Unanswered(f"The manager's answer cannot be read: {error}.") from error

    def look_up(self, pool: str, seconds: float) -> None:
        """Make sure that the monitors and the pool answer. Raises Unanswered."""

        def look(client: rados.Rados) -> None:
            with client.open_ioctx(pool) as ioctx:
                ioctx.get_stats()

        self._within(seconds, look)

    def _within(self, seconds: float, call: Callable[[rados.Rados], T]) -> T:
        """Run ``call`` in a thread: librados has no time limit for commands to managers.

        A client whose command is not answered in time is left to that thread, which shuts it down
        when the answer comes at last; to shut it down before would end the process.
        """
        deadline = time.monotonic() + seconds
        self._wait_for_earlier(seconds)
        client, self._client = self._client, None
        attempt: Future[tuple[rados.Rados, T]] = Future()
        threading.Thread(
            target=self._attempt, args=(client, call, attempt), name="manager", daemon=True
        ).start()
        try:
            self._client, result = attempt.result(max(0.0, deadline - time.monotonic()))
        except NotInTime as error:
            attempt.add_done_callback(_shut_down)
            self._unanswered.add(attempt)
            raise Unanswered(f"The cluster did not answer within {seconds:g} s.") from error
        except rados.Error as error:
            raise Unanswered(f"The cluster cannot be reached: {error}.") from error
        return result

    def _wait_for_earlier(self, seconds: float) -> None:
        """Wait until few enough earlier requests are without an answer. Raises Unanswered."""
        self._unanswered = {each for each in self._unanswered if not each.done()}
        if len(self._unanswered) < _MOST_UNANSWERED:
            return
        _, waiting = futures.wait(self._unanswered, seconds, futures.FIRST_COMPLETED)
        if len(waiting) == _MOST_UNANSWERED:
            raise Unanswered(
                f"The cluster has not answered {len(waiting)} earlier requests, nor in "
                f"another {seconds:g} s."
            )

    def _attempt(
        self,
        client: Optional[rados.Rados],
        call: Callable[[rados.Rados], T],
        attempt: Future[tuple[rados.Rados, T]],
    ) -> None:
        try:
            client = client or self._connected()
            result = call(client)
        except Exception as error:  # handed to whoever asked
            if client is not None:
                client.shutdown()
            attempt.set_exception(error)
        else:
            attempt.set_result((client, result))

    def _connected(self) -> rados.Rados:
        client = rados.Rados(name=self._name, conffile=self._conf, conf=_OPTIONS)
        try:
            client.connect(timeout=_CONNECT)
        except BaseException:
            client.shutdown()
            raise
        return client


def _shut_down(attempt: Future[tuple[rados.Rados, T]]) -> None:
    if attempt.exception() is None:
        attempt.result()[0].shutdown()
