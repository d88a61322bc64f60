"""The recorded moves: one in each state in which a version may find a migration."""

from qa.upgrade.recorder import SOURCES, Recorder, target
from qa.workload.images import KIB, MIB, make_image, make_slow_image


def begin(recorder: Recorder) -> None:
    """Start all moves that stay in their state; :func:`copy` starts the one that does not."""
    for name in ("prepared", "executed", "committed", "aborted"):
        make_image(recorder.client, _source(name), 4 * MIB, 256 * KIB)
    for name in ("paused", "executing"):
        make_slow_image(recorder.client, _source(name), snapshots=("one",))
    _do(recorder, "prepare", "prepared", "--object-size", "1M")
    _do(recorder, "run", "executed", "--goal", "executed")
    _do(recorder, "run", "committed")
    _do(recorder, "prepare", "aborted")
    recorder.do("abort", target("aborted"))
    for name in ("executed", "committed", "aborted"):
        recorder.wait(name, name)
    _do(recorder, "run", "paused")
    recorder.wait_copying("paused")
    recorder.do("pause", target("paused"))


def copy(recorder: Recorder) -> None:
    """Start the move that is recorded in the middle of its copy, which takes half a minute."""
    _do(recorder, "run", "executing")
    recorder.wait("executing", "executing")


def _do(recorder: Recorder, command: str, name: str, *options: str) -> None:
    recorder.do(command, _source(name), target(name), *options)


def _source(name: str) -> str:
    return f"{SOURCES}/{name}"
