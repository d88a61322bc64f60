"""The ``ceph`` tool without its start-up time: its own code, in this process, connected.

The tool needs half a second of a processor to load, to connect and to read the descriptions of all
commands. A test run calls it more than a thousand times.
"""

import contextlib
import errno
import importlib.util
import io
import json
import shutil
import subprocess
import threading
from collections.abc import Sequence
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, Optional

_OPTIONS = {"output_format", "input_file"}  # the tool's own options that are handled here
_MON_TIMEOUT = "60"  # seconds


class CephTool:
    """Runs commands of one cluster as client.admin, as the tool itself does.

    What it cannot do here is left to the caller: other users, the tool's less common options, and
    commands with an error in their arguments, about which the tool says a lot.
    """

    def __init__(self, conf: Path) -> None:
        self._conf = conf
        self._lock = threading.Lock()
        self._client: Any = None
        self._parser: Any = None  # a client that is never connected: it parses Ceph's options
        self._described = b""
        self._signatures: dict[str, Any] = {}

    def run(
        self, args: Sequence[str], input: Optional[str] = None
    ) -> "Optional[subprocess.CompletedProcess[str]]":
        """The tool's exit status and output, or None when it has to run in a process of its own."""
        with self._lock:
            return self._run([str(arg) for arg in args], input)

    def close(self) -> None:
        """Disconnect; the next command connects again."""
        with self._lock:
            if self._client is not None:
                self._client.shutdown()
            self._client = self._parser = None

    def _run(
        self, args: "list[str]", input: Optional[str]
    ) -> "Optional[subprocess.CompletedProcess[str]]":
        script = _script()
        if script is None:
            return None
        defaults = vars(script.parse_cmdargs([])[1])
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                _, parsed, words = script.parse_cmdargs(list(args))
        except SystemExit:  # of argparse
            return None
        given = {key for key, value in vars(parsed).items() if value != defaults[key]}
        if given - _OPTIONS or not words:
            return None
        data = _read(parsed.input_file, input)
        if data is None or not self._connect():
            return None
        words = [word for word in self._parser.conf_parse_argv(words) if word != "--"]
        command = self._command(words)
        if command is None:
            return None
        if parsed.output_format:
            command["format"] = parsed.output_format
        code, out, said = self._send(command, data)
        return _result(["ceph", *args], code, out, said, parsed.output_format)

    def _connect(self) -> bool:
        """Whether there is a connection, which is made when there is none."""
        import rados  # noqa: PLC0415 - the rest of this package works without it

        if self._client is not None:
            return True
        named = {"conffile": str(self._conf), "name": "client.admin"}
        client = rados.Rados(**named, conf={"rados_mon_op_timeout": _MON_TIMEOUT})
        try:
            client.connect(timeout=20)
        except rados.Error:
            client.shutdown()
            return False
        self._client, self._parser = client, rados.Rados(**named)
        return True

    def _command(self, words: "list[str]") -> "Optional[dict[str, Any]]":
        """The request that these words mean; None when the tool would not send one to the mons."""
        import ceph_argparse  # noqa: PLC0415

        if words[0] in ("tell", "daemon", "daemonperf", "ping", "pg"):
            return None
        code, described, _ = self._send({"prefix": "get_command_descriptions"})
        if code != 0:
            return None
        if described != self._described:
            self._signatures = ceph_argparse.parse_json_funcsigs(described.decode(), "cli")
            self._described = described
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            command = ceph_argparse.validate_command(self._signatures, words, False)
        if not command or command.get("poll"):
            return None
        # librados of a process that waits for a manager can crash.
        if command.get("target") and not self._manager_is_there():
            return None
        return dict(command)

    def _manager_is_there(self) -> bool:
        code, out, _ = self._send({"prefix": "mgr stat", "format": "json"})
        return code == 0 and bool(json.loads(out)["available"])

    def _send(self, command: "dict[str, Any]", data: bytes = b"") -> "tuple[int, bytes, str]":
        import ceph_argparse  # noqa: PLC0415

        code, out, said = ceph_argparse.json_command(
            self._client, target=("mon", ""), argdict=command, inbuf=data
        )
        return code, bytes(out), said


def _script() -> Optional[ModuleType]:
    """The tool itself as a module; None when it is not installed."""
    global _loaded  # noqa: PLW0603 - it is the same for all clusters
    if _loaded is None:
        path = shutil.which("ceph")
        if path is None:
            return None
        spec = importlib.util.spec_from_loader("ceph_tool", SourceFileLoader("ceph_tool", path))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        _loaded = module
    return _loaded


_loaded: Optional[ModuleType] = None


def _read(path: Optional[str], given: Optional[str]) -> Optional[bytes]:
    """What ``-i`` sends along; None when the tool would complain about the file."""
    if not path:
        return b""
    if path == "-":
        return (given or "").encode()
    try:
        return Path(path).read_bytes()
    except OSError:
        return None


def _result(
    argv: "list[str]", code: int, out: bytes, said: str, form: Optional[str]
) -> "subprocess.CompletedProcess[str]":
    """What the tool prints for this answer, and the status that it exits with."""
    start = "\n" if form and form.startswith("json") else ""
    stdout = start + out.decode("utf-8", "replace")
    if code < 0:
        name = errno.errorcode.get(-code, "Unknown")
        return subprocess.CompletedProcess(argv, -code, stdout, f"Error {name}: {said}\n")
    return subprocess.CompletedProcess(argv, 0, stdout, f"{said}\n" if said else "")
