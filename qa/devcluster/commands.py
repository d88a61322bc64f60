"""Runs commands with a time limit."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import Optional

from qa.devcluster.errors import CommandFailed, DevClusterError


def run(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    timeout: float = 60,
    check: bool = True,
    input: Optional[str] = None,  # named as in subprocess.run
) -> "subprocess.CompletedProcess[str]":
    """Run a command and return its output; kill it with its children if it does not end in time.

    With check=False a failed command is returned like one that succeeded; a timeout raises
    CommandFailed in any case.
    """
    argv = [str(part) for part in command]
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=dict(env),
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise DevClusterError(
            f"{argv[0]} is not installed; start through ./run, which installs what is missing."
        ) from error
    try:
        stdout, stderr = process.communicate(input, timeout=timeout)
    except subprocess.TimeoutExpired:
        _kill_group(process)
        stdout, stderr = process.communicate()
        raise CommandFailed(argv, None, stdout, stderr, timeout) from None
    except BaseException:
        _kill_group(process)
        process.wait()
        raise
    if check and process.returncode != 0:
        raise CommandFailed(argv, process.returncode, stdout, stderr)
    return subprocess.CompletedProcess(argv, process.returncode, stdout, stderr)


def _kill_group(process: "subprocess.Popen[str]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
