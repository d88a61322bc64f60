"""The ``ceph`` tool without its start-up time, which is longer than most commands take.

It parses with Ceph's own ``ceph_argparse`` and sends the same command as the tool does.
``test_cli.py`` compares both.
"""

import contextlib
import errno
import io
import json
import subprocess
from collections.abc import Sequence
from typing import Any, Optional

import ceph_argparse
import rados

from qa.devcluster import Cluster

_FORMAT = "--format"
_FORMATS = ("json", "json-pretty", "plain", "xml", "xml-pretty", "yaml")  # that the tool accepts


class InProcessCli:
    """Runs ``ceph`` commands of managers as client.admin."""

    def __init__(self, cluster: Cluster, client: rados.Rados) -> None:
        self._cluster = cluster
        self._client = client
        self._signatures: dict[str, Any] = {}

    def run(self, args: Sequence[str], timeout: float) -> "subprocess.CompletedProcess[str]":
        """What ``ceph`` with these arguments does.

        It is run where the arguments are not those of a plain command: with options of the tool
        itself, or when it would refuse them.
        """
        command = self._parsed(args)
        if command is None:
            return self._cluster.run(["ceph", *args], timeout=timeout, check=False)
        code, out, said = ceph_argparse.json_command(
            self._client, argdict=command, inbuf=b"", timeout=timeout
        )
        if code < 0:
            said = f"Error {errno.errorcode.get(-code, 'Unknown')}: {said}"
        return subprocess.CompletedProcess(["ceph", *args], abs(code), out.decode(), said)

    def _parsed(self, args: Sequence[str]) -> "Optional[dict[str, Any]]":
        """The command that the tool sends; None where it sends none, or more than that."""
        plain = list(args)
        style = None
        if _FORMAT in plain[:-1]:
            at = plain.index(_FORMAT)
            style = plain[at + 1]
            if style not in _FORMATS:
                return None
            del plain[at : at + 2]
        if any(arg.startswith("-") and not arg.startswith("--") for arg in plain):
            return None  # -i, -n, -k ...
        command = _validated(self._signatures, plain)
        if not command:
            self._read_signatures()
            command = _validated(self._signatures, plain)
        if command and style:
            command["format"] = style
        return command or None

    def _read_signatures(self) -> None:
        """Read which commands there are, with the modules that are enabled now."""
        request = json.dumps({"prefix": "get_command_descriptions"})
        code, out, status = self._client.mon_command(request, b"", timeout=20)
        assert code == 0, status
        self._signatures = ceph_argparse.parse_json_funcsigs(out.decode(), "cli")


def _validated(signatures: "dict[str, Any]", args: "list[str]") -> "dict[str, Any]":
    with contextlib.redirect_stderr(io.StringIO()):  # advice that the tool gives itself
        try:
            found: dict[str, Any] = ceph_argparse.validate_command(signatures, args)
        except ceph_argparse.ArgumentError:
            return {}
    return found
