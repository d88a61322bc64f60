"""What the reading process and its children open and reach, as ``strace`` shows it."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

CALLS = "trace=%file,connect,bind,sendto,sendmsg,execve,io_uring_setup"
_PATH = re.compile(r'"((?:[^"\\]|\\.)*)"')
_LINE = re.compile(r"^\d+\s+(\w+)\((.*)$")
_SENDING = ("connect", "sendto", "sendmsg", "bind")
_TALKING = ("sendto", "sendmsg")  # over what is connected
_LOOKING = ("readlink", "readlinkat", "lstat", "stat", "newfstatat", "statx")  # at names alone
_RANDOM = re.compile(
    r"(?<=^/tmp/rbd-migration-)[^/]+|(?<=^/tmp/)[a-z0-9_]{8}$|(?<=^/proc/self/fd/)\d+"
)
_NETWORK = re.compile(r"AF_INET6?\b")


def command(log: Path, program: "list[str]") -> "list[str]":
    """The command that runs a program under strace, with all its children."""
    strace = shutil.which("strace")
    if strace is None:
        raise FileNotFoundError("strace is not installed; apt install strace")
    return [strace, "-f", "-qq", "-s", "4096", "-e", CALLS, "-o", str(log), *program]


def strays(log: Path, folder: Path, usual: Path) -> "Iterator[str]":
    """Calls that touch a path outside of a folder which no call in the log ``usual`` touches.

    Calls that only look at a name, such as ``stat``, are left out.
    """
    known = {_general(path) for _, path in _touched(usual)}
    for line, path in _touched(log):
        inside = Path(path) == folder or folder in Path(path).parents
        if not (inside and ".." not in Path(path).parts) and _general(path) not in known:
            yield line


def _touched(log: Path) -> "Iterator[tuple[str, str]]":
    """Each line with its path; of what a process reads about itself that is ``/proc/self/...``."""
    for line in log.read_text(errors="replace").splitlines():
        match = _LINE.match(line)
        if match is not None and match[1] not in (*_LOOKING, *_TALKING):
            own = f"/proc/{line.split()[0]}/"  # as of /proc/PID/maps on Debian forky
            for path in _PATH.findall(match[2])[:1]:
                yield line, f"/proc/self/{path[len(own) :]}" if path.startswith(own) else path


def _general(path: str) -> str:
    """A path with the same name each time: those of temporary files and descriptors differ."""
    return _RANDOM.sub("*", path)


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
