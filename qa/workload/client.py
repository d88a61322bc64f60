"""The common part of client processes: opening the image, and ending when told.

It imports only what that needs, because the time until its first write is measured.
"""

import contextlib
import sys
import threading
from collections.abc import Iterator

import rados
import rbd

WRITE = 4096  # bytes of each write


@contextlib.contextmanager
def opened_until_told(
    conf: str, spec: str
) -> "Iterator[tuple[rados.Rados, rbd.Image, threading.Event]]":
    """Return the client, the image, and an event that is set when standard input ends."""
    stop = threading.Event()
    threading.Thread(target=_wait_for_the_end, args=(stop,), daemon=True).start()
    pool, *namespace, name = spec.split("/")
    # No cache: acknowledged writes are on the OSDs.
    client = rados.Rados(conffile=conf, name="client.admin", conf={"rbd_cache": "false"})
    client.connect()
    with client.open_ioctx(pool) as ioctx:
        ioctx.set_namespace("".join(namespace))
        with rbd.Image(ioctx, name) as image:
            yield client, image, stop
    client.shutdown()


def _wait_for_the_end(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()
