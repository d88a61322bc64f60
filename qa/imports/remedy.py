"""Follows a remedy as an administrator does: runs its command, or gives its option."""

import json
import re
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Optional
from urllib.parse import unquote, urlsplit

from .disk import PASSPHRASE, Disk, Spec, Views

_FIELD = re.compile(r'"(type|url)": ("(?:[^"\\]|\\.)*")')
_OPTION = re.compile(r"--(object-size) (\S+)")
_QUOTED = re.compile(r"`([^`]+)`")
_LOOK = re.compile(r"qemu-img check (?!-r )")
_PACKED = (".bz2", ".gz", ".xz", ".zst")
_TIMEOUT = 90  # seconds; QEMU may wait for a server


class RemedyFailed(Exception):
    """A remedy cannot be followed."""


@dataclass(frozen=True)
class ImportRequest:
    """What is asked for: a source-spec, options of the layout, and what it has to hold."""

    spec: Spec
    views: Views = field(repr=False)
    layout: "Mapping[str, str]" = field(default_factory=dict)


def in_message(message: str) -> str:
    """Return the command that a message names between backticks; empty if there is none."""
    found = _QUOTED.search(message)
    return found[1] if found else ""


def followed(
    remedy: str, request: ImportRequest, disk: Disk, root: Path, folder: Path
) -> "Optional[ImportRequest]":
    """Return what to ask for after the remedy; None if it says only where to look.

    ``root``: the folder that the web server serves. ``folder``: that of the source. Raises
    RemedyFailed.
    """
    if not remedy or _LOOK.match(remedy):
        return None
    given = _FIELD.fullmatch(remedy)
    if given:
        return _with_field(request, given[1], json.loads(given[2]), disk)
    option = _OPTION.fullmatch(remedy)
    if option:
        return replace(request, layout={**request.layout, option[1].replace("-", "_"): option[2]})
    files = [_local(stream, root) for stream in _streams(request.spec)]
    if re.search(r"\bFILE\b", remedy):
        for file in files:
            _shell(remedy.replace("FILE", str(file)), folder)
        return replace(request, views=_padded(request.views, 4 << 20))
    before = _files(folder)
    _shell(re.sub(r"\bSOURCE\b", str(files[0]), remedy), folder)
    last = Path(shlex.split(remedy)[-1])
    named = last.stem if last.suffix in _PACKED else last.name  # unpacking may leave its input
    made = sorted(_files(folder) - before, key=lambda path: (path.name != named, path))
    if not made:  # the file itself was changed
        return replace(request, views=_padded(request.views, 512))
    kind = "qcow" if "-O qcow2" in remedy else str(request.spec["type"])
    head = (disk.inside or request.views)[""]
    stream = {"type": "file", "file_path": str(made[0])}
    return ImportRequest({"type": kind, "stream": stream}, _padded({"": head}, 512))


def _with_field(request: ImportRequest, name: str, value: str, disk: Disk) -> ImportRequest:
    if name == "type":
        return replace(
            request, spec={**request.spec, "type": value}, views=disk.inside or request.views
        )
    return replace(
        request, spec={**request.spec, "stream": {**request.spec["stream"], "url": value}}
    )


def _shell(command: str, folder: Path) -> None:
    """Run a command in a folder of its own, next to the file with the passphrase."""
    work = folder / "remedied"
    work.mkdir(exist_ok=True)
    (work / "PASSPHRASE").write_text(PASSPHRASE, encoding="ascii")
    try:
        done = subprocess.run(
            ["bash", "-c", command], cwd=work, capture_output=True, text=True, timeout=_TIMEOUT,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise RemedyFailed(f"took more than {_TIMEOUT} s") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise RemedyFailed(f"exit code {done.returncode}: {said[-1] if said else ''}")


def _streams(spec: Spec) -> "list[dict[str, Any]]":
    return [spec["stream"], *(each["stream"] for each in spec.get("snapshots", []))]


def _local(stream: "dict[str, Any]", root: Path) -> Path:
    """Return the file of a stream, also where it is served by the web server."""
    if stream["type"] == "file":
        return Path(stream["file_path"])
    return root / unquote(urlsplit(stream["url"]).path).lstrip("/")


def _files(folder: Path) -> "set[Path]":
    return {path for path in folder.rglob("*") if path.is_file() and path.name != "PASSPHRASE"}


def _padded(views: Views, unit: int) -> "dict[str, bytes]":
    return {name: view + bytes(-len(view) % unit) for name, view in views.items()}
