"""Calls of libvirt, each with a time limit, and QEMU's monitor by way of it.

The library is loaded when it is used: hosts without libvirt do not have it.
"""

from __future__ import annotations

import importlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable, Optional, Protocol, TypeVar

from .errors import GuestError, NoAnswer, Refused
from .qmp import said

T = TypeVar("T")


class Domain(Protocol):
    """What this uses of ``libvirt.virDomain``."""

    def name(self) -> str: ...

    def UUIDString(self) -> str: ...  # noqa: N802

    def XMLDesc(self, flags: int) -> str: ...  # noqa: N802

    def isPersistent(self) -> int: ...  # noqa: N802

    def suspend(self) -> int: ...

    def resume(self) -> int: ...


class Connection(Protocol):
    """What this uses of ``libvirt.virConnect``."""

    def listAllDomains(self, flags: int) -> list[Domain]: ...  # noqa: N802

    def lookupByUUIDString(self, uuid: str) -> Domain: ...  # noqa: N802

    def defineXML(self, xml: str) -> Domain: ...  # noqa: N802

    def close(self) -> int: ...


class Libvirt:
    """libvirt at ``uri``. ``timeout`` (seconds) is for each of its calls."""

    def __init__(self, *, uri: str, timeout: float) -> None:
        """Raises GuestError when the library is missing."""
        self.uri = uri
        self._timeout = timeout
        try:
            self._library: Any = importlib.import_module("libvirt")
            self._of_qemu: Any = importlib.import_module("libvirt_qemu")
        except ImportError as error:
            raise GuestError(
                f"Python's libvirt library is missing ({error}); install the package "
                "python3-libvirt, or leave out --libvirt."
            ) from error
        self._library.registerErrorHandler(_ignore, None)  # it would print each error

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """Connect and disconnect. Raises NoAnswer, GuestError."""
        connection: Connection = self.call("connect", lambda: self._library.open(self.uri))
        try:
            yield connection
        finally:
            _in_background(connection.close)

    def running(self, connection: Connection) -> list[Domain]:
        """Return the domains that have a QEMU. Raises NoAnswer, GuestError."""
        flags = self._library.VIR_CONNECT_LIST_DOMAINS_ACTIVE
        return self.call("list domains", lambda: connection.listAllDomains(flags))

    def lookup(self, connection: Connection, uuid: str) -> Domain:
        """Return the domain with this UUID. Raises NoAnswer, GuestError."""
        return self.call("look up a domain", lambda: connection.lookupByUUIDString(uuid))

    def definition(self, domain: Domain) -> str:
        """Return the XML of the domain's next start, with its passwords: to be defined again."""
        flags = self._library.VIR_DOMAIN_XML_INACTIVE | self._library.VIR_DOMAIN_XML_SECURE
        return self.call("read a domain's definition", lambda: domain.XMLDesc(flags))

    def monitor(self, domain: Domain) -> LibvirtMonitor:
        """Return the monitor of a domain's QEMU."""
        return LibvirtMonitor(self, domain)

    def command(self, domain: Domain, request: str) -> str:
        """Run a command of QMP; return the answer's text. Raises NoAnswer, GuestError."""
        run = self._of_qemu.qemuMonitorCommand
        return self.call("run a command of QEMU", lambda: str(run(domain, request, 0)))

    def call(self, what: str, function: Callable[[], T]) -> T:
        """Call a function of the library. Raises NoAnswer, GuestError."""
        done: list[T] = []
        failed: list[Exception] = []

        def work() -> None:
            try:
                done.append(function())
            except Exception as error:  # it is raised below, in the caller's thread
                failed.append(error)

        worker = _in_background(work)
        worker.join(self._timeout)
        if failed and not isinstance(failed[0], self._library.libvirtError):
            raise failed[0]
        if failed:
            text = str(failed[0]).strip().rstrip(".")
            raise GuestError(f"libvirt ({self.uri}) could not {what}: {text}.") from failed[0]
        if not done:
            raise NoAnswer(
                f"libvirt ({self.uri}) was told to {what} and did not answer "
                f"within {self._timeout:g} s."
            )
        return done[0]


class LibvirtMonitor:
    """See :class:`.monitored.GuestMonitor`."""

    def __init__(self, libvirt: Libvirt, domain: Domain) -> None:
        self._libvirt, self._domain = libvirt, domain

    def execute(self, command: str, arguments: Optional[dict[str, Any]] = None) -> Any:
        """See :class:`.qmp.Monitor`."""
        request = {"execute": command, **({"arguments": arguments} if arguments else {})}
        text = self._libvirt.command(self._domain, json.dumps(request))
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise GuestError("libvirt passed on an answer of QEMU that is not JSON.") from error
        if isinstance(answer, dict) and "return" in answer:
            return answer["return"]
        if isinstance(answer, dict) and "error" in answer:
            raise Refused(said(command, answer["error"]))
        raise GuestError(f"libvirt passed on an answer to {command} that is not understood.")

    def pause(self) -> None:
        """Pause the guest, so that libvirt knows."""
        self._libvirt.call("suspend a domain", self._domain.suspend)

    def go_on(self) -> None:
        """Let the guest go on, so that libvirt knows."""
        self._libvirt.call("resume a domain", self._domain.resume)


def _ignore(context: object, error: object) -> None:
    """Errors are raised; nothing has to be printed too."""


def _in_background(function: Callable[[], object]) -> threading.Thread:
    """Start it in a thread that does not keep the process from ending if it hangs."""
    worker = threading.Thread(target=function, daemon=True)
    worker.start()
    return worker
