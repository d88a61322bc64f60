"""The process behind burst.Burst: CONF SPEC DEPTH RATE; ends when its standard input does."""

import json
import sys
import threading
import time
from collections import Counter
from typing import Any

import rbd

from qa.workload.client import WRITE, opened_until_told

_TELL = 0.2  # seconds


def main(conf: str, spec: str, depth: int, rate: float) -> None:
    """Write one piece of each object, one object after another, and start over at the end."""
    with opened_until_told(conf, spec) as (_, image, stop):
        _write(image, depth, rate, stop)


def _write(image: rbd.Image, depth: int, rate: float, stop: threading.Event) -> None:
    objects, size = image.size() // image.stat()["obj_size"], image.stat()["obj_size"]
    places, counts, lock = threading.Semaphore(depth), Counter[int](), threading.Lock()

    def ended(completion: Any) -> None:
        with lock:
            counts[completion.get_return_value()] += 1
        places.release()

    number, told = 0, 0.0
    while not stop.is_set():
        time.sleep(depth / rate)
        for _ in range(depth):
            places.acquire()
            image.aio_write(b"w" * WRITE, number % objects * size, ended)
            number += 1
        if time.monotonic() >= told + _TELL:
            told = time.monotonic()
            with lock:
                print(json.dumps(counts), flush=True)
    for _ in range(depth):
        places.acquire()
    print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
