"""Whether what came of a file is right: one sentence or the bytes, quickly and in little memory."""

import hashlib
import os
import re
import resource
import subprocess
from pathlib import Path
from typing import Any

SECONDS = 1.0  # of the processor, for a look at a file
WARM = 30  # files after which the memory of the modules that Python loads is there
GROWTH = 48 << 20  # bytes of the reading process, over all files after these
LARGEST = 400 << 20  # bytes of QEMU
_TWO = re.compile(r"[.!?] +[A-Z](?![a-z]*\.)")
_LIMIT = 1 << 30  # bytes of a file that qemu-img may write
Unpack = tuple[tuple[str, ...], tuple[str, ...]]
NEVER: Unpack = (("false",), ())
"""The tool for files that no tool unpacks."""


def problems(
    answer: "dict[str, Any]", path: Path, form: str, unpack: Unpack = ((), ())
) -> "list[str]":
    """What is wrong with an answer. ``form``: QEMU's name of the format. ``unpack``: the tool that
    unpacks the file.
    """
    found = []
    for code, message in (*answer["errors"], *answer["live"], ["READ", answer["read"]]):
        if message and not one_sentence(message):
            found.append(f"{code}: not one sentence: {message!r}")
        if code == "SOURCE_UNREADABLE":
            found.append(f"an error of the module: {message}")
    slow = [seconds for seconds in answer["seconds"] if seconds > SECONDS]
    if slow:
        found.append(f"took {max(slow):.2f} s of the processor")
    if answer["digest"]:
        wanted = by_tool(path, form, unpack) if unpack[0] else by_qemu(path, form)
        if wanted and wanted != answer["digest"]:
            found.append("other bytes than qemu-img reads")
    return found


def one_sentence(message: str) -> bool:
    """Whether a message is one sentence without letters that a terminal obeys."""
    return message.endswith(".") and message.isprintable() and not _TWO.search(message[:-1])


def by_tool(path: Path, form: str, unpack: Unpack) -> str:
    """The same of a file that a tool unpacks."""
    made = path.with_name(path.name + ".unpacked")
    before, after = unpack
    try:
        with made.open("wb") as file:
            done = subprocess.run(
                [*before, str(path), *after],
                stdout=file,
                stderr=subprocess.DEVNULL,
                timeout=60,
                check=False,
                preexec_fn=_limit,
            )
        if done.returncode:
            return ""
        return by_qemu(made, form)
    finally:
        os.unlink(made)


def by_qemu(path: Path, form: str) -> str:
    """The digest of the disk as qemu-img reads it; empty if it does not.

    A raw disk is its file: QEMU pads one of an odd size.
    """
    if form == "raw":
        return hashlib.sha256(path.read_bytes()).hexdigest()
    made = path.with_name(path.name + ".converted")

    command = ["qemu-img", "convert", "-f", form, "-O", "raw", path.name, made.name]
    try:
        done = subprocess.run(
            command,
            cwd=path.parent,
            capture_output=True,
            timeout=60,
            preexec_fn=_limit,
            check=False,
        )
        if done.returncode or not made.exists():
            return ""
        return hashlib.sha256(made.read_bytes()).hexdigest()
    except subprocess.TimeoutExpired:
        return ""
    finally:
        if made.exists():
            os.unlink(made)


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LIMIT, _LIMIT))
    resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
