"""The process behind writer.Writer: CONF SPEC RATE SEED; ends when its standard input does."""

import json
import random
import sys
import threading
import time
from typing import Any

import rados
import rbd

WRITE = 4096
_LOCK_CHECK = 0.25  # seconds


def tell(**message: Any) -> None:
    """One JSON object a line."""
    print(json.dumps(message), flush=True)


def main(conf: str, spec: str, rate: float, seed: int) -> None:
    """Write until it is time to stop."""
    stop = threading.Event()
    threading.Thread(target=_wait_for_the_end, args=(stop,), daemon=True).start()
    pool, *namespace, name = spec.split("/")
    # No cache: what is acknowledged is on the OSDs.
    client = rados.Rados(conffile=conf, name="client.admin", conf={"rbd_cache": "false"})
    client.connect()
    with client.open_ioctx(pool) as ioctx:
        ioctx.set_namespace("".join(namespace))
        with rbd.Image(ioctx, name) as image:
            tell(open=client.get_instance_id(), address=client.get_addrs())
            write(image, rate, seed, stop)
    client.shutdown()


def _wait_for_the_end(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


def write(image: rbd.Image, rate: float, seed: int, stop: threading.Event) -> None:
    """The writes, with a look at the exclusive lock now and then."""
    places = random.Random(f"{seed}/places")
    count = image.size() // WRITE
    number, next_check = 0, 0.0
    while not stop.wait(1 / rate):
        number += 1
        offset = places.randrange(count) * WRITE
        tell(begin=number, offset=offset)
        image.write(random.Random(f"{seed}/{number}").randbytes(WRITE), offset)
        tell(acked=number)
        if time.monotonic() >= next_check:
            next_check = time.monotonic() + _LOCK_CHECK
            tell(lock=image.is_exclusive_lock_owner())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4]))
