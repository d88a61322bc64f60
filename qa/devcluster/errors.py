"""The errors of a development cluster, each one clear sentence."""

import shlex
from collections.abc import Sequence
from typing import Optional


class DevClusterError(Exception):
    """The cluster cannot do the request; the text says why and what to do."""


class WaitTimeout(DevClusterError):
    """A condition did not become true in time."""


class CommandFailed(DevClusterError):
    """A command ended with an exit code other than 0, or did not end in time."""

    def __init__(
        self,
        command: Sequence[str],
        returncode: Optional[int],
        stdout: str = "",
        stderr: str = "",
        timeout: Optional[float] = None,
    ) -> None:
        self.command = list(command)
        self.returncode = returncode  # None: killed because it did not end in time
        self.stdout = stdout
        self.stderr = stderr
        why = (
            f"did not end within {timeout:g} s and was killed"
            if returncode is None
            else f"failed with exit code {returncode}"
        )
        tail = "\n".join(stderr.strip().splitlines()[-20:])
        super().__init__(f"{shlex.join(self.command)} {why}" + (f": {tail}" if tail else "."))
