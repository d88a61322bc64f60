"""``pause`` in the middle of a copy: the time until a client's next write."""

import threading
import time

from qa.bench.copies import discard, prepared
from qa.bench.result import Figure, Result
from qa.bench.rig import Rig
from qa.workload.images import MIB, opened
from qa.workload.writer import writing

_WORKER = "our worker copies"
_CLIENT = "the client copies, which holds the lock"


def run(rig: Rig) -> Result:
    """Measure both copies: by the worker, and by the client that owns the exclusive lock."""
    samples: dict[str, list[float]] = {_WORKER: [], _CLIENT: []}
    for _ in range(rig.repeat):
        samples[_WORKER].append(_worker_copies(rig))
        samples[_CLIENT].append(_client_copies(rig))
    result = Result("seconds from the pause of a copy to the client's next write")
    for name, median in result.add(samples).items():
        result.figures.append(Figure(name, median, "s", most=3.0))
    return result


def _running(rig: Rig) -> str:
    """Prepare and execute a migration of many small objects, whose copy takes long."""
    target = prepared(rig, 256 * MIB, object_size=64 << 10)
    rig.ask("set", target_image=target, rate="4M")
    return target


def _copies(rig: Rig, target: str) -> None:
    rig.ask("execute", target_image=target)
    rig.until(lambda: rig.status(target)["objects_done"], "the copy to run")


def _worker_copies(rig: Rig) -> float:
    """Measure a client with the image open that writes its first block at the pause."""
    target = _running(rig)
    with rig.cluster.connect() as client, opened(client, target, read_only=False) as image:
        _copies(rig, target)
        time.sleep(1)
        pause = threading.Thread(target=lambda: rig.ask("pause", target_image=target))
        begin = time.monotonic()
        pause.start()
        rig.until(lambda: rig.status(target)["paused"], "the pause", 0.005)
        image.write(b"client" * 512, 0)
        seconds = time.monotonic() - begin
        pause.join()
    discard(rig, target)
    return seconds


def _client_copies(rig: Rig) -> float:
    """Return the longest time between two writes of a busy client after the pause."""
    target = _running(rig)
    with writing(rig.cluster, target, rate=200) as writer:
        writer.wait_acked(50)
        _copies(rig, target)
        rig.until(lambda: rig.status(target)["copied_by"], "the client to copy")
        pause = threading.Thread(target=lambda: rig.ask("pause", target_image=target))
        pause.start()
        longest = 0.0
        while pause.is_alive():
            longest = max(longest, writer.wait_acked())
        writer.stop()
    discard(rig, target)
    return longest
