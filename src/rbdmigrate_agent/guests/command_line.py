"""The options of block nodes as QEMU was started with them, from its command line.

QEMU does not tell all options of a node (``discard``, the names of secrets), so a node that was
added later cannot be opened again just as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from .errors import GuestGone
from .model import Options
from .option_text import block_options, pairs

_PROGRAMS = (b"qemu", b"kvm")  # qemu-system-x86_64, qemu-kvm, kvm


@dataclass(frozen=True)
class CommandLine:
    """What ``-blockdev`` and ``-drive`` say."""

    nodes: dict[str, Options] = field(default_factory=dict)
    """The options of nodes by their names; also of those that are written inside of another."""
    drives: dict[str, dict[str, str]] = field(default_factory=dict)
    """The options of ``-drive`` by their ids."""


def read(pid: int, proc: Path = Path("/proc")) -> CommandLine:
    """Return what the process was started with. Raises GuestGone."""
    try:
        raw = (proc / str(pid) / "cmdline").read_bytes()
    except OSError as error:
        raise GuestGone(f"The process {pid} of QEMU has ended.") from error
    return parse([word.decode(errors="replace") for word in raw.split(b"\0")])


def started(pid: int, proc: Path = Path("/proc")) -> int:
    """Return when the process was started, in clock ticks since boot. Raises GuestGone."""
    try:
        text = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise GuestGone(f"The process {pid} of QEMU has ended.") from error
    state, *numbers = text.rpartition(")")[2].split()
    if state in "ZX":  # it has closed all that it had
        raise GuestGone(f"The process {pid} of QEMU has ended.")
    return int(numbers[18])


def by_uuid(proc: Path = Path("/proc")) -> dict[str, tuple[int, ...]]:
    """Return the processes of QEMU by the UUIDs (in small letters) that they were given."""
    found: dict[str, tuple[int, ...]] = {}
    for path in proc.glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended
        if b"-uuid" in words and words[0].rpartition(b"/")[2].startswith(_PROGRAMS):
            uuid = words[words.index(b"-uuid") + 1].decode(errors="replace").lower()
            found[uuid] = (*found.get(uuid, ()), int(path.parent.name))
    return found


def parse(words: Sequence[str]) -> CommandLine:
    """Read the arguments of QEMU."""
    found = CommandLine()
    for option, value in zip(words, words[1:]):
        if option in ("-blockdev", "--blockdev"):
            _add_node(found, block_options(value))
        elif option in ("-drive", "--drive"):
            drive = dict(pairs(value, implied="file"))
            if "id" in drive:
                found.drives[drive["id"]] = drive
    return found


def _add_node(found: CommandLine, options: Optional[Options]) -> None:
    if options is None:
        return
    if isinstance(options.get("node-name"), str):
        found.nodes[options["node-name"]] = options
    for value in options.values():
        if isinstance(value, dict) and "driver" in value:
            _add_node(found, value)
