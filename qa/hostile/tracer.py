"""What the reading process and its children open and reach, as ``strace`` shows it."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

CALLS = "trace=%file,connect,bind,sendto,sendmsg,execve,io_uring_setup"
_PATH = re.compile(r'"((?:[^"\\]|\\.)*)"')
_LINE = re.compile(r"^\d+\s+(\w+)\((.*)$")
_SENDING = ("connect", "sendto", "sendmsg", "bind")
_LOOKING = ("readlink", "readlinkat", "lstat", "stat", "newfstatat", "statx")  # at names alone
_NETWORK = re.compile(r"AF_INET6?\b")


def command(log: Path, program: "list[str]") -> "list[str]":
    """The command that runs a program under strace, with all its children."""
    strace = shutil.which("strace")
    if strace is None:
        raise FileNotFoundError("strace is not installed; apt install strace")
    return [strace, "-f", "-qq", "-s", "4096", "-e", CALLS, "-o", str(log), *program]


def forbidden(log: Path, marks: "list[str]") -> "Iterator[str]":
    """Calls that name a file of ``marks``, or that reach a network, and those that run a shell."""
    for line in log.read_text(errors="replace").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        call, rest = match[1], match[2]
        paths = _PATH.findall(rest)
        network = call in _SENDING and _NETWORK.search(rest)
        ring = call == "io_uring_setup" and "= -1" not in rest
        shell = call == "execve" and paths and paths[0].endswith(("/sh", "/bash"))
        marked = call not in _LOOKING and set(paths) & set(marks)
        if network or ring or shell or marked:
            yield line
