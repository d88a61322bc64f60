"""Runs a program that may read the files it was given, and do nothing else.

It imports nothing of ours. It is started as ``python3 sandbox.py JSON PROGRAM ...`` in a process
of its own, whose descriptors are those that the program gets. It limits itself, and becomes the
program:

- Landlock (Linux 5.13): it reads the system's libraries and the files behind its descriptors, and
  no others; nothing is written. So it reaches neither keyrings nor the configuration of Ceph.
- seccomp: no sockets are made or connected, no other process is traced, nothing is mounted.
- limits on memory and on the time of the processor.

What the kernel does not offer is left out. ``doc/security.rst`` says what remains then.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import resource
import signal
import struct
import sys

_LIBRARIES = (
    "/usr", "/lib", "/lib64", "/lib32", "/etc/ld.so.cache", "/proc/self", "/dev/null",
    "/dev/urandom",
)  # fmt: skip
_READ_FILE, _READ_DIR, _EXECUTE = 4, 8, 1
_FILE_RIGHTS = (1 << 13) - 1  # of the first version, which all later ones have
_ADD_RULE_PATH_BENEATH = 1
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # of Landlock, on all machines
_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_MODE_FILTER = 2
_LISTEN = 3  # the descriptor at which a program finds its socket

# For each machine: its number in audit records, and the system calls that fail with EPERM.
_MACHINES = {
    "x86_64": (
        0xC000003E,
        # socket connect bind listen sendto socketpair ptrace mount umount2 reboot setns unshare
        # process_vm_readv process_vm_writev kcmp bpf perf_event_open keyctl add_key request_key
        # open_by_handle_at init_module finit_module delete_module kexec_load userfaultfd
        # pivot_root chroot pidfd_getfd io_uring_setup
        (41, 42, 49, 50, 53, 101, 165, 166, 169, 308, 272, 310, 311, 312, 321, 298, 250, 248,
         249, 304, 175, 313, 176, 246, 323, 155, 161, 438, 425),
    ),
    "aarch64": (
        0xC00000B7,
        # the same: socket 198 connect 203 bind 200 listen 201 socketpair 199 ptrace 117 mount 40
        # umount2 39 reboot 142 setns 268 unshare 97 process_vm 270 271 kcmp 272 bpf 280 perf 241
        # keyctl 219 add_key 217 request_key 218 open_by_handle_at 265 modules 105 273 106 kexec 104
        # userfaultfd 282 pivot_root 41 chroot 51 pidfd_getfd 438 io_uring_setup 425
        (198, 203, 200, 201, 199, 117, 40, 39, 142, 268, 97, 270, 271, 272, 280, 241, 219, 217,
         218, 265, 105, 273, 106, 104, 282, 41, 51, 438, 425),
    ),
}  # fmt: skip

_libc = ctypes.CDLL(None, use_errno=True)


def _limit(memory: int, seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    if seconds:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def _restrict_files(program: str, files: list[int]) -> bool:
    """Whether Landlock allows nothing but reading from now on."""
    version = _libc.syscall(_CREATE_RULESET, None, 0, 1)
    if version < 1:
        return False
    rights = _FILE_RIGHTS | (1 << 14 if version >= 3 else 0)  # truncating a file
    handled = ctypes.create_string_buffer(struct.pack("=Q", rights), 8)
    rules = _libc.syscall(_CREATE_RULESET, handled, 8, 0)
    if rules < 0:
        return False

    def allow(beneath: int, allowed: int) -> None:
        rule = ctypes.create_string_buffer(struct.pack("=Qi", allowed, beneath), 12)
        _libc.syscall(_ADD_RULE, rules, _ADD_RULE_PATH_BENEATH, rule, 0)

    for path in _LIBRARIES:
        if os.path.exists(path):
            where = os.open(path, os.O_PATH | os.O_CLOEXEC)
            folder = os.path.isdir(path)
            allow(where, _READ_FILE | _READ_DIR if folder else _READ_FILE)
            os.close(where)
    for path in (program, *_loaders()):
        where = os.open(path, os.O_PATH | os.O_CLOEXEC)
        allow(where, _READ_FILE | _EXECUTE)
        os.close(where)
    for file in files:
        allow(file, _READ_FILE)
    restricted = bool(_libc.syscall(_RESTRICT_SELF, rules, 0) == 0)
    os.close(rules)
    return restricted


def _loaders() -> list[str]:
    """The loader of programs, which the kernel starts for them."""
    known = (
        "/lib64/ld-linux-x86-64.so.2",
        "/lib/ld-linux-aarch64.so.1",
        "/lib64/ld64.so.2",
        "/lib/ld64.so.1",
    )
    return [os.path.realpath(path) for path in known if os.path.exists(path)]


def _restrict_calls() -> bool:
    """Whether the system calls of ``_MACHINES`` fail from now on."""
    if platform.machine() not in _MACHINES or struct.calcsize("P") != 8:
        return False
    machine, calls = _MACHINES[platform.machine()]
    load, equal, at_least, give = 0x20, 0x15, 0x35, 0x06
    refuse = 0x00050000 | 1  # SECCOMP_RET_ERRNO with EPERM
    steps = [
        (load, 0, 0, 4),  # the machine whose numbers the call has
        (equal, 1, 0, machine),
        (give, 0, 0, refuse),
        (load, 0, 0, 0),  # the number
        (at_least, 0, 1, 0x40000000),  # the numbers of x32
        (give, 0, 0, refuse),
    ]
    for call in calls:
        steps += [(equal, 0, 1, call), (give, 0, 0, refuse)]
    steps.append((give, 0, 0, 0x7FFF0000))
    code = b"".join(struct.pack("=HBBI", *step) for step in steps)
    held = ctypes.create_string_buffer(code, len(code))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_void_p))

    program = Program(len(steps), ctypes.cast(held, ctypes.c_void_p))
    return bool(_libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0) == 0)


def main() -> None:
    """Become the program of the command line."""
    settings = json.loads(sys.argv[1])
    program = sys.argv[2]
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != settings["parent"]:
        os._exit(0)
    os.dup2(settings["listen"], _LISTEN)
    _limit(settings["memory"], settings["seconds"])
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "MALLOC_ARENA_MAX": "2"}
    environment.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
    os.chdir("/")
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        _restrict_files(os.path.realpath(program), settings["files"])
        _restrict_calls()
    os.execve(program, sys.argv[2:], environment)


if __name__ == "__main__":
    main()
