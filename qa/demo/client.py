"""The client: a process that has the target open and writes to it, as a virtual machine would.

It writes 4 KiB at random places at a steady rate, one write at a time. It prints one JSON object
per line when it has begun and when it has ended, and stops at the end of its standard input.
librbd's own threads handle the exclusive lock in the background, and copy the image when the
manager asks the lock owner to do so.
"""

import argparse
import json
import os
import random
import sys
import threading
import time
from pathlib import Path
from typing import Any

import rados
import rbd

from qa.demo.content import WRITE, write_bytes
from qa.demo.journal import JournalWriter

_LOCK_CHECK = 0.5  # seconds
_STOP_GRACE = 30.0  # seconds for the last write, before the process ends without its answer


def main() -> int:
    args = _arguments()
    stop = threading.Event()
    threading.Thread(target=_wait_for_the_end, args=(stop,), daemon=True).start()
    # No cache: what is acknowledged is on the OSDs.
    client = rados.Rados(conffile=args.conf, name="client.admin", conf={"rbd_cache": "false"})
    client.connect()
    try:
        with client.open_ioctx(args.pool) as ioctx, rbd.Image(ioctx, args.image) as image:
            _tell(event="open", client=client.get_instance_id())
            held, checks = _work(image, args, stop)
    finally:
        client.shutdown()
    _tell(event="end", lock_held=held, lock_checks=checks)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--conf", required=True)
    parser.add_argument("--pool", required=True)
    parser.add_argument("--image", required=True)
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True, help="writes a second")
    return parser.parse_args()


def _work(image: rbd.Image, args: argparse.Namespace, stop: threading.Event) -> tuple[int, int]:
    """Write until told to stop; return in how many checks the lock was held, and all checks."""
    journal = JournalWriter(args.journal)
    places = random.Random(f"{args.seed}/places")
    count = image.size() // WRITE
    number = held = checks = 0
    due = next_check = time.monotonic()
    while not stop.wait(max(0.0, due - time.monotonic())):
        number += 1
        offset = places.randrange(count) * WRITE
        data = write_bytes(args.seed, number)
        journal.write(number, offset, time.monotonic())
        image.write(data, offset)
        now = time.monotonic()
        journal.acked(number, now)
        if number == 1:
            _tell(event="writing")
        if now >= next_check:
            next_check = now + _LOCK_CHECK
            checks += 1
            held += image.is_exclusive_lock_owner()
        due = max(due + 1 / args.rate, now - 1.0)  # catch up with late writes, but at most a second
    return held, checks


def _wait_for_the_end(stop: threading.Event) -> None:
    sys.stdin.buffer.read()
    stop.set()
    time.sleep(_STOP_GRACE)
    os._exit(3)  # otherwise a write without an answer would block the exit


def _tell(**message: Any) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    sys.exit(main())
