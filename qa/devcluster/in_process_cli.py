"""The ``ceph`` tool without its start-up time, which is longer than most commands take.

It parses with Ceph's own ``ceph_argparse`` and sends the same command as the tool does.
``tests/cluster/test_cli.py`` compares both.
"""

import contextlib
import copy
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
    """Runs ``ceph`` commands as client.admin.

    It reads which commands there are when it does not know one. It needs Ceph's own modules of
    Python, ``rados`` and ``ceph_argparse``.
    """

    def __init__(self) -> None:
        self._descriptions: dict[str, Any] = {}

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
        command = _validated(self._descriptions, plain)
        if not command:
            self._read_descriptions(client)
            command = _validated(self._descriptions, plain)
        if command and style:
            command["format"] = style
        return command or None

    def _read_descriptions(self, client: "rados.Rados") -> None:
        """Read which commands there are, with the modules that are enabled now."""
        request = json.dumps({"prefix": "get_command_descriptions"})
        code, out, status = client.mon_command(request, b"", timeout=20)
        assert code == 0, status
        self._descriptions = json.loads(out)


class _Signature(list[Any]):
    """The parts of a command. Ceph copies them deeply to parse one, which takes 40 ms.

    It only replaces values that a part, or its ``instance``, has.
    """

    def __deepcopy__(self, memo: "dict[int, Any]") -> "_Signature":
        parts = _Signature(copy.copy(part) for part in self)
        for part in parts:
            part.instance = copy.copy(part.instance)
        return parts


def _validated(descriptions: "dict[str, Any]", args: "list[str]") -> "dict[str, Any]":
    import ceph_argparse  # noqa: PLC0415

    # Ceph's own choice tries every command there is, which takes 60 ms of processor time.
    begun = {tag: each for tag, each in descriptions.items() if _has_words(each["sig"], args)}
    signatures = ceph_argparse.parse_json_funcsigs(json.dumps(begun), "cli")
    for command in signatures.values():
        command["sig"] = _Signature(command["sig"])
    with contextlib.redirect_stderr(io.StringIO()):  # advice that the tool gives itself
        try:
            found: dict[str, Any] = ceph_argparse.validate_command(signatures, args)
        except ceph_argparse.ArgumentError:
            return {}
    return found


def _has_words(signature: "list[Any]", args: "list[str]") -> bool:
    """Whether ``args`` begin with the words of this command; its other parts are objects."""
    for number, part in enumerate(signature):
        if not isinstance(part, str):
            return True
        if args[number : number + 1] != [part]:
            return False
    return True
