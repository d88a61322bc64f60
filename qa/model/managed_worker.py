"""The acts of a trial as requests to the module's managers, which are killed as workers are."""

import random
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from errno import EINPROGRESS, EIO, EPERM
from typing import Any

import rados

from qa.devcluster import Cluster
from qa.faults.managers import start_dead
from qa.workload.asking import Refused, ask
from rbdmigrate.model.jobs import acts
from rbdmigrate.model.jobs.answers import (
    Answer,
    Armed,
    CopiedBack,
    CutOverDone,
    Finished,
    Prepared,
    Synchronized,
    Verified,
)
from rbdmigrate.model.jobs.protocol import Cause, Done, Ending, Failed
from rbdmigrate.model.verification import Outcome, Verification, Verify

from .killed_worker import answer_of

_MANAGER = tuple(
    f"store.write.{moment} 1 {state}"
    for moment in ("before", "after")
    for state in (
        "preparing", "executing", "executed", "cutting-over", "cut-over", "aborting", "committing",
    )
)  # fmt: skip
_TIMEOUT = 240.0  # seconds for an act with all failovers


def _layout(act: acts.Prepare, ends: acts.WarmEnds) -> "dict[str, Any]":
    """The layout as arguments of the command; a target from another cluster never has a parent."""
    layout = act.layout
    given = {
        "object_size": layout.object_size,
        "stripe_unit": layout.stripe_unit,
        "stripe_count": layout.stripe_count,
        "data_pool": layout.data_pool,
        "flatten": (layout.flatten and ends.elsewhere is None) or None,
    }
    texts = {key: value for key, value in given.items() if value is not None}
    return {k: str(v) if k in ("object_size", "stripe_unit") else v for k, v in texts.items()}


class ManagedWorker:
    """Has the managers do acts one after another. ``kills``: how many processes died for it."""

    def __init__(self, cluster: Cluster, client: rados.Rados) -> None:
        self._cluster = cluster
        self._client = client
        self._thread = ThreadPoolExecutor(1)
        self._armed = ""
        self._killed = 0
        self._ending = threading.Event()
        self._reviver = threading.Thread(target=self._revive, daemon=True)
        self._reviver.start()

    def _revive(self) -> None:
        """Start managers that were killed, as systemd does."""
        while not self._ending.wait(0.5):
            start_dead(self._cluster)

    @property
    def kills(self) -> int:
        """Those that were killed until now."""
        hit = self._armed and not (self._cluster.faults / self._armed).exists()
        return self._killed + bool(hit)

    def arm(self, chance: random.Random, points: "tuple[str, ...]", probability: float) -> None:
        """Have the worker or the manager die at a point, or nobody."""
        self._killed, self._armed = self.kills, ""
        for left in self._cluster.faults.iterdir():
            with suppress(FileNotFoundError):
                left.unlink()
        if chance.random() < probability:
            choice = _MANAGER if chance.random() < 0.4 else points
            self._armed, _, when = chance.choice(choice).partition(" ")
            (self._cluster.faults / self._armed).write_text(when, encoding="ascii")

    def run(self, ends: acts.WarmEnds, act: acts.Act) -> Answer:
        """Have an act done. Raises ActFailed."""
        return answer_of(self.begin(ends, act))

    def begin(self, ends: acts.WarmEnds, act: acts.Act) -> "Future[Ending]":
        """Begin an act."""
        return self._thread.submit(self._run, ends, act)

    def close(self) -> None:
        """Let the last act end."""
        self._thread.shutdown()
        self._ending.set()
        self._reviver.join()

    def _run(self, ends: acts.WarmEnds, act: acts.Act) -> Ending:
        try:
            return Done(self._done(ends, act))
        except Refused as error:
            return Failed(error.errno, Cause.REFUSED, str(error))

    def _done(self, ends: acts.WarmEnds, act: acts.Act) -> Answer:
        target = {"target_image": str(ends.target.spec)}
        if isinstance(act, acts.Prepare):
            self._ask("prepare", method="warm", **self._images(ends), **_layout(act, ends))
            return Prepared(self._wait(target, "prepared")["target_image_id"], None, None)
        if isinstance(act, (acts.Execute, acts.Arm)):
            before = (self._status(target)["rounds"] or {}).get("count", 0)
            self._ask("execute", **target)
            self._wait(target, "executed", before + 1)
            done = Synchronized("", 1, 0, 0.0, 0.0, 0)
            return Armed(done, 0.0, 0.0) if isinstance(act, acts.Arm) else done
        if isinstance(act, acts.ReverseRound):
            return self._copied_back(target)
        if isinstance(act, acts.CutOver):
            self._ask("cutover", **target)
            report = self._wait(target, "cut-over")
            return CutOverDone("", report["rounds"]["pause_seconds"] or 0.0, 0)
        if isinstance(act, acts.Verify):
            self._ask("verify", mode="full", **target)
            found = Outcome(self._wait(target, "verified")["verification"]["outcome"])
            return Verified(Verification(Verify.FULL, 1, 1.0, time.time(), outcome=found))
        name, state = ("abort", "aborted") if isinstance(act, acts.Abort) else (
            "commit", "committed")  # fmt: skip
        try:
            self._ask(name, **target)
        except Refused as error:  # a client removed a snapshot before it was compared
            if name != "commit" or error.errno != EPERM:
                raise
            self._ask(name, force=True, **target)
        self._wait(target, state)
        return Finished()

    def _images(self, ends: acts.WarmEnds) -> "dict[str, Any]":
        """Source and target as arguments of the command."""
        target = str(ends.target.spec)
        if ends.elsewhere is not None:
            spec = ends.elsewhere.imported.spec
            return {"source_image": target, "import_only": True, "source_spec": spec}
        source = {"source_image": str(ends.source.spec)}
        return {**source, "force": True} if ends.in_place else {**source, "target_image": target}

    def _copied_back(self, target: "dict[str, str]") -> CopiedBack:
        """A reverse round; where its worker died another one is asked for, at once."""
        before = (self._status(target)["reverse_rounds"] or {}).get("count", 0)
        self._ask("execute", **target)
        deadline = time.monotonic() + _TIMEOUT
        while True:
            report = self._status(target)
            rounds = report["reverse_rounds"] or {}
            if rounds.get("count", 0) > before:
                return CopiedBack("", rounds["bytes"], rounds["seconds"], 0.0, 0.0)
            problem = rounds.get("problem") or ""
            if time.monotonic() > deadline:
                raise Refused("execute", EIO, f"no reverse round: {problem}")
            if problem and not report["acting"]:
                self._ask("execute", **target)
            time.sleep(0.5)

    def _ask(self, command: str, **args: Any) -> Any:
        """The answer; None where the act goes on by itself, as after the death of its worker."""
        deadline = time.monotonic() + _TIMEOUT
        while True:
            try:
                return ask(self._client, command, **args)
            except Refused as error:
                if error.errno == EINPROGRESS:
                    return None
                starts = "is not enabled/loaded" in str(error)  # a manager that was just started
                if not starts or time.monotonic() > deadline:
                    raise
            time.sleep(0.2)

    def _status(self, target: "dict[str, str]") -> "dict[str, Any]":
        report: dict[str, Any] = self._ask("status", **target)
        return report

    def _wait(self, target: "dict[str, str]", state: str, rounds: int = 0) -> "dict[str, Any]":
        """The report of the migration once it rests in a state, after this number of rounds."""
        deadline = time.monotonic() + _TIMEOUT
        while True:
            report = self._status(target)
            count = (report["rounds"] or {}).get("count", 0)
            if report["state"] == state and count >= rounds and not report["acting"]:
                return report
            why = (report["failure"] or {}).get("message", "")
            if report["state"] == "failed" or time.monotonic() > deadline:
                raise Refused("status", EIO, f"{report['state']}, not {state}: {why}")
            time.sleep(0.1)
