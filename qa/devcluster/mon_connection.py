"""One client for many commands of the monitors: connecting takes longer than most commands."""

import contextlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Optional

from qa.devcluster.errors import DevClusterError
from qa.devcluster.layout import Layout

if TYPE_CHECKING:
    import rados as librados

TIMEOUT = 20.0  # seconds for connecting, and for a command


class MonConnection:
    """Connects when it is first used, and again after a command failed with an exception.

    It may be used by several threads.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._lock = threading.Lock()
        self._client: Optional[librados.Rados] = None
        self._forgotten: list[librados.Rados] = []  # other threads may still use them

    @contextlib.contextmanager
    def client(self) -> "Iterator[librados.Rados]":
        """A client with :data:`TIMEOUT`, which is kept. Raises DevClusterError."""
        with self._lock:
            if self._client is None:
                self._client = connected(self._layout, TIMEOUT, mon_op_timeout=TIMEOUT)
            client = self._client
        try:
            yield client
        except BaseException:
            self.forget(client)
            raise

    def forget(self, client: "librados.Rados") -> None:
        """Do not use this client again: it waits for a monitor that is gone, for example."""
        with self._lock:
            if self._client is client:
                self._client = None
                self._forgotten.append(client)

    def close(self) -> None:
        """End the connection. Does nothing without one."""
        with self._lock:
            ended = [*self._forgotten, *([self._client] if self._client else [])]
            self._client = None
            self._forgotten = []
        for client in ended:
            client.shutdown()


def connected(layout: Layout, timeout: float, *, mon_op_timeout: float) -> "librados.Rados":
    """A client that is connected within ``timeout`` seconds. Raises DevClusterError."""
    import rados as librados  # noqa: PLC0415 - the rest of this package works without it

    client = librados.Rados(
        conffile=str(layout.conf),
        name="client.admin",
        conf={
            "client_mount_timeout": f"{timeout:g}",
            "rados_mon_op_timeout": f"{mon_op_timeout:g}",
        },
    )
    try:
        client.connect()
    except BaseException as error:
        client.shutdown()
        if not isinstance(error, librados.Error):
            raise
        raise DevClusterError(
            f"The cluster in {layout.root} cannot be reached ({error}); "
            f"the logs of its mons are in {layout.logs}."
        ) from error
    return client
