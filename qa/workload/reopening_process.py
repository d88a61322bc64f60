"""A client that opens, writes and closes an image again and again: CONF SPEC TIMES PAUSE SEED.

It prints the offset and number of each write that was acknowledged, and then whether the image
still has all of them when it is opened the next time.
"""

import json
import random
import sys
import time

import rados
import rbd

from qa.workload.client import WRITE
from qa.workload.writer import write_bytes

_WRITES = 5  # each time that it is open


def main(conf: str, spec: str, times: int, pause: float, seed: int) -> None:
    """Do so many rounds, with a pause in seconds between closing and opening."""
    pool, name = spec.split("/")
    places = random.Random(f"{seed}/places")
    client = rados.Rados(conffile=conf, name="client.admin", conf={"rbd_cache": "false"})
    client.connect()
    written: dict[int, int] = {}  # offset -> number
    number = 0
    with client.open_ioctx(pool) as ioctx:
        for _ in range(times):
            begun = time.monotonic()
            with rbd.Image(ioctx, name) as image:
                lost = [
                    offset
                    for offset, last in written.items()
                    if image.read(offset, WRITE) != write_bytes(seed, last)
                ]
                for _ in range(_WRITES):
                    number += 1
                    offset = places.randrange(image.size() // WRITE) * WRITE
                    image.write(write_bytes(seed, number), offset)
                    written[offset] = number
            seconds = round(time.monotonic() - begun, 3)
            print(json.dumps({"lost": lost, "number": number, "seconds": seconds}), flush=True)
            time.sleep(pause)
    client.shutdown()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))
