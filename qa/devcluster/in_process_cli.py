"""The ``ceph`` tool without its start-up time, which is longer than most commands take.

It parses with Ceph's own ``ceph_argparse`` and sends the same command as the tool does.
``tests/cluster/test_cli.py`` compares both.
"""

import contextlib
import errno
import io
import json
import subprocess
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Callable, Optional

if TYPE_CHECKING:
    import rados

Done = subprocess.CompletedProcess[str]

_FORMAT = "--format"
_FORMATS = ("json", "json-pretty", "plain", "xml", "xml-pretty", "yaml")  # that the tool accepts


class InProcessCli:
    """Runs ``ceph`` commands as client.admin. It knows the commands there are when it is made anew.

    It needs Ceph's own modules of Python, ``rados`` and ``ceph_argparse``.
    """

    def __init__(self) -> None:
        self._signatures: dict[str, Any] = {}

    def run(
        self,
        client: "rados.Rados",
        args: Sequence[str],
        timeout: float,
        tool: Callable[[], Done],
        managers: bool = True,
    ) -> Done:
        """What ``ceph`` with these arguments does.

        ``tool`` runs it, where the arguments are not those of a plain command: with options of the
        tool itself, or when it would refuse them. With ``managers=False`` also where a manager
        carries it out: for a client with ``rados_mon_op_timeout``, see ``Access.connect``.
        """
        import ceph_argparse  # noqa: PLC0415 - the rest of this package works without it

        command = self._parsed(client, args)
        if command is None or ("target" in command and not managers):
            return tool()
        code, out, said = ceph_argparse.json_command(
            client, argdict=command, inbuf=b"", timeout=timeout
        )
        if code < 0:
            said = f"Error {errno.errorcode.get(-code, 'Unknown')}: {said}"
        return subprocess.CompletedProcess(["ceph", *args], abs(code), out.decode(), said)

    def _parsed(self, client: "rados.Rados", args: Sequence[str]) -> "Optional[dict[str, Any]]":
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
            self._read_signatures(client)
            command = _validated(self._signatures, plain)
        if command and style:
            command["format"] = style
        return command or None

    def _read_signatures(self, client: "rados.Rados") -> None:
        """Read which commands there are, with the modules that are enabled now."""
        import ceph_argparse  # noqa: PLC0415

        request = json.dumps({"prefix": "get_command_descriptions"})
        code, out, status = client.mon_command(request, b"", timeout=20)
        assert code == 0, status
        self._signatures = ceph_argparse.parse_json_funcsigs(out.decode(), "cli")


def _validated(signatures: "dict[str, Any]", args: "list[str]") -> "dict[str, Any]":
    import ceph_argparse  # noqa: PLC0415

    # Ceph's own choice copies every signature there is, which takes 60 ms of processor time.
    begun = {tag: each for tag, each in signatures.items() if _has_words(each, args)}
    with contextlib.redirect_stderr(io.StringIO()):  # advice that the tool gives itself
        try:
            found: dict[str, Any] = ceph_argparse.validate_command(begun, args)
        except ceph_argparse.ArgumentError:
            return {}
    return found


def _has_words(command: "dict[str, Any]", args: "list[str]") -> bool:
    """Whether ``args`` begin with the words of this command."""
    import ceph_argparse  # noqa: PLC0415

    for number, part in enumerate(command["sig"]):
        if not isinstance(part.instance, ceph_argparse.CephPrefix):
            return True
        if args[number : number + 1] != [part.instance.prefix]:
            return False
    return True
