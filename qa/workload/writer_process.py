"""The process behind writer.Writer: CONF SPEC RATE SEED; ends when its standard input does."""

import json
import random
import sys
import threading
import time
from typing import Any

import rbd

from qa.workload.client import WRITE, opened_until_told

_LOCK_CHECK = 0.25  # seconds


def tell(**message: Any) -> None:
    """Print one JSON object as a line."""
    print(json.dumps(message), flush=True)


def main(conf: str, spec: str, rate: float, seed: int) -> None:
    """Write until it is time to stop."""
    with opened_until_told(conf, spec) as (client, image, stop):
        tell(open=client.get_instance_id(), address=client.get_addrs())
        write(image, rate, seed, stop)


def write(image: rbd.Image, rate: float, seed: int, stop: threading.Event) -> None:
    """Write, and check the exclusive lock now and then."""
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
