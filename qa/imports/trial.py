"""Imports one source, and what its remedies make of it, and compares each target."""

import contextlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import rados
import rbd

from qa.workload.apart import Crashed
from qa.workload.asking import Refused, ask
from qa.workload.images import names, remove
from qa.workload.web_server import WebServer

from .compare import differences
from .disk import Disk, Maker, Views
from .kinds import KINDS
from .outcome import Attempt, Trial, judged
from .remedy import ImportRequest, RemedyFailed, followed, in_message

_TIMEOUT = 90.0  # seconds for a state
_REMEDIES = 4  # that are followed one after another


class NotImported(Exception):
    """An import did not get to its commit; the message says why."""


@dataclass(frozen=True)
class Rig:
    """Where sources are made and imported to."""

    cluster: Path  # its folder
    client: rados.Rados
    pool: str
    root: Path
    web: WebServer


def try_source(rig: Rig, kind: str, seed: int) -> Trial:
    """Make a source and import it, with its remedies if it is refused."""
    maker = Maker(rig.root, rig.web, kind, seed)
    disk = KINDS[kind](maker)
    layout = {"object_size": maker.chance.choice(["16K", "64K", "256K", "4M"])}
    request: Optional[ImportRequest] = ImportRequest(disk.spec, disk.views, layout)
    verify = maker.chance.choice(["none", "full"])
    attempts: list[Attempt] = []
    while request is not None:
        target = f"{rig.pool}/i{seed}-{len(attempts)}"
        attempt, remedy = _attempt(rig, target, request, verify)
        if attempt.failed or attempt.differences or len(attempts) == _REMEDIES:
            remedy = ""
        attempt, request = _followed(rig, maker, disk, request, attempt, remedy)
        attempts.append(attempt)
    return judged(seed, kind, disk.faulty, attempts)


def _followed(
    rig: Rig, maker: Maker, disk: Disk, request: ImportRequest, attempt: Attempt, remedy: str
) -> "tuple[Attempt, Optional[ImportRequest]]":
    """Follow the remedy, if there is one, and return the attempt with it and the next request."""
    try:
        further = followed(remedy, request, disk, rig.root, maker.folder)
    except RemedyFailed as error:
        failed = Attempt(attempt.refused, remedy=remedy, remedy_failed=str(error))
        return failed, None
    if further is None:
        return attempt, None
    return Attempt(attempt.refused, remedy=remedy), further


def _attempt(rig: Rig, target: str, request: ImportRequest, verify: str) -> "tuple[Attempt, str]":
    """Check and import; returns the remedy to follow too, empty if there is none."""
    asked = {"import_only": True, "source_spec": json.dumps(request.spec), **request.layout}
    try:
        found = ask(rig.client, "check", source_image=target, **asked)
    except Refused as error:
        return Attempt(refused=str(error)), in_message(str(error))
    errors = [each for each in found["findings"] if each["severity"] == "error"]
    as_raw = not found["ok"] and all(each["code"] == "RAW_CONTAINER" for each in errors)
    if found["ok"]:
        failed, different = _imported(rig, target, request.views, verify, asked)
        return Attempt(differences=different, failed=failed), ""
    try:
        ask(rig.client, "prepare", source_image=target, **asked)
    except Refused:
        refused = " ".join(each["code"] for each in errors)
        failed, different = "", ()
        if as_raw:  # the bytes as they are, besides the disk in them
            asked["as_raw"] = True
            failed, different = _imported(rig, target, request.views, verify, asked)
        elif any("`--method copy`" in each["message"] for each in errors):
            asked["method"] = "copy"
            failed, different = _imported(rig, target, request.views, verify, asked)
        remedy = next((each["remedy"] for each in errors if each["remedy"]), "")
        return Attempt(refused=refused, differences=different, failed=failed), remedy
    _clean_up(rig, target)
    return Attempt(failed="the check refused it, and prepare did not"), ""


def _imported(
    rig: Rig, target: str, views: Views, verify: str, asked: "dict[str, Any]"
) -> "tuple[str, tuple[str, ...]]":
    """Import to the commit; returns why it failed, and what is different."""
    different: list[str] = []
    try:
        report = ask(rig.client, "prepare", source_image=target, verify=verify, **asked)
        if report["method"] == "live":  # by copy there is nothing before it is executed
            _wait(rig.client, target, "prepared")
            found = differences(rig.cluster, target, views, prepared=True)
            different += [f"prepared: {each}" for each in found]
        ask(rig.client, "set", target_image=target, goal="committed")
        _wait(rig.client, target, "committed")
        found = differences(rig.cluster, target, views, prepared=False)
        different += [f"committed: {each}" for each in found]
    except (Refused, NotImported, Crashed) as error:
        return str(error), tuple(different)
    finally:
        _clean_up(rig, target)
    return "", tuple(different)


def _wait(client: rados.Rados, target: str, state: str) -> None:
    """Wait until it is in a state. Raises NotImported with what is in the way."""
    deadline = time.monotonic() + _TIMEOUT
    while True:
        report = ask(client, "status", target_image=target)
        if report["state"] == state:
            return
        if report["failure"] or report["ended"]:
            raise NotImported(f"{report['state']}: {(report['failure'] or {}).get('message')}")
        if time.monotonic() > deadline:
            hold = report["hold"] or {}
            raise NotImported(f"still {report['state']}: {hold.get('message') or report['next']}")
        time.sleep(0.1)


def _clean_up(rig: Rig, target: str) -> None:
    """Abort what is under way, and remove the image."""
    with contextlib.suppress(Refused):  # it is committed, or was never prepared
        ask(rig.client, "abort", target_image=target, force=True)
    if target.split("/")[1] in names(rig.client, rig.pool):
        with contextlib.suppress(rbd.Error):  # the pool is deleted in the end
            remove(rig.client, target)
