"""An image of the soak run: its expected content, its client, and the next random request."""

import contextlib
import json
import random
import time
from collections import deque
from collections.abc import Callable
from errno import EINPROGRESS
from typing import Any, Optional

import rados

from qa.devcluster import Cluster, CommandFailed
from qa.workload import images
from qa.workload.writer import Writer

from .hook import Guest, SoakHook

POOLS = ("soak-a", "soak-b")
SIZE = 8 * images.MIB
_REACHED = 90.0  # seconds for a migration to reach its goal, through any failover
_TRIMMED = 600.0  # seconds for OSDs to trim the snapshots of warm rounds; slow with mClock
_PATIENCE = 60.0  # seconds until a command must have found an active manager
#: A manager carries out a command also when the tool that sent it was ended meanwhile: a second
#: migration would begin behind the run's back. Commands of one module wait for each other.
_ANSWERED = 180.0
_ASK_AGAIN = 10.0  # seconds after which hooks are asked again at once

# What may be done in each state.
_LIVE = {
    "prepared": ("execute", "execute and pause", "cancel", "write"),
    "executing": ("pause", "resume", "cancel", "write", "wait"),
    "executed": ("commit", "commit", "cancel", "write"),
}
_WARM = {
    "prepared": _LIVE["prepared"],
    "executing": _LIVE["executing"],
    "executed": ("cut over", "cut over by hook", "execute", "cancel", "write", "wait"),
    "cut-over": ("commit", "verify", "cancel", "abort by hook", "write", "refresh source"),
    "verifying": ("pause", "resume", "write", "wait"),
    "verified": ("commit", "cancel", "abort by hook", "write", "refresh source"),
}


class Lost(Exception):
    """A byte is wrong or a migration is stuck: the failures that the soak run looks for."""


class Traveller:
    """One image. ``step`` does one thing to it; used by one thread at a time."""

    def __init__(
        self,
        cluster: Cluster,
        client: rados.Rados,
        hook: SoakHook,
        name: str,
        chance: random.Random,
    ) -> None:
        self.name = name
        self.verified = 0
        self.done: dict[str, int] = {}
        self._acts: deque[str] = deque(maxlen=12)
        self._cluster = cluster
        self._client = client
        self._hook = hook
        self._chance = chance
        self._here, self._there = POOLS
        self._pending = False
        self._warm = False  # clients use the source until it is cut over
        self._cut_over = False
        self._writer: Optional[Writer] = None
        self._base = b""
        seed = chance.randrange(1 << 30)
        images.make_image(client, self.spec, SIZE, 128 * images.KIB, seed=seed, protect=("one",))
        self._head = images.content(client, self.spec)
        self._snapshots = self._digests()

    @property
    def spec(self) -> str:
        """Return where clients find the image."""
        moved = self._pending and (self._cut_over or not self._warm)
        return f"{self._there if moved else self._here}/{self.name}"

    def step(self) -> None:
        """Do one random step. Raises Lost."""
        if not self._pending:
            self._begin()
            return
        state = self._state()
        choices = (_WARM if self._warm else _LIVE).get(state, ("wait", "resume"))
        act = self._chance.choice(choices)
        self._note(act)
        if act == "write":
            self._write()
        elif act == "cancel":
            self._rest(self._cancel, "aborted")
        elif act == "commit":
            self._rest(self._commit, "committed")
        elif act == "cut over":
            self._change_over()
        elif act == "cut over by hook":
            self._by_hook("cutover", "cut-over", self._arrive)
        elif act == "abort by hook":
            self._rest(lambda: self._by_hook("abort", "aborted", None), "aborted")
        elif act == "execute and pause":
            self._command("execute")
            time.sleep(self._chance.random() / 2)
            self._command("pause")
        elif act == "refresh source":
            self._refresh_source()
        elif act == "wait":
            time.sleep(self._chance.random())
        else:
            self._command(act)

    def finish(self) -> None:
        """Resume, execute, commit, and compare."""
        if not self._pending:
            self._verify()
            return
        self._command("resume")
        if not self._cut_over:
            self._command("execute")
            self._wait({"executed"})
        if self._warm and not self._cut_over:
            self._change_over()
        self._rest(self._commit, "committed")

    def evidence(self) -> str:
        """Describe what is there: the last acts, the migration, and the image in both pools."""
        ceph, rbd = self._cluster.ceph, self._cluster.rbd
        lines = [f"acts: {', '.join(self._acts)}"]
        lines.append(_said(ceph, "rbd", "migration", "status", f"{self._there}/{self.name}"))
        for pool in POOLS:
            lines.append(_said(rbd, "info", f"{pool}/{self.name}"))
            lines.append(_said(rbd, "snap", "ls", "--all", f"{pool}/{self.name}"))
            lines.append(_said(rbd, "trash", "ls", pool))
        return "\n".join(lines)

    def close(self) -> None:
        """End the writer in any case."""
        if self._writer is not None:
            self._writer.kill()

    # -- within ------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._stop_writer()
        how = self._chance.choice(("prepare", "prepare", "run"))
        self._warm = self._chance.random() < 0.5
        method = "warm" if self._warm else "live"
        self._note(f"{how} {method}")
        if self._warm and self._chance.random() < 0.5:
            self._write()
        options = ["--method", method, *(["--goal", "executed"] if how == "run" else [])]
        place = [f"{self._here}/{self.name}", f"{self._there}/{self.name}"]
        seconds = _REACHED
        try:
            self._ceph("rbd", "migration", how, *place, *options)
        except CommandFailed as error:
            if error.returncode != EINPROGRESS:
                raise
            self._note("wait for trimming")  # it is accepted, and begins by itself
            seconds = _TRIMMED
        self._pending = True
        self._wait({"prepared", "executing", "executed"}, seconds)
        self._write()

    def _commit(self) -> None:
        self._end("commit")
        self._wait({"committed"})
        self._here, self._there = self._there, self._here

    def _change_over(self) -> None:
        """Stop the client, cut over, and start it on the target."""
        self._stop_writer()
        self._command("cutover")
        self._wait({"cut-over"})
        self._arrive()

    def _arrive(self) -> None:
        """Start the client on the target."""
        self._cut_over = True
        self._write()

    def _by_hook(self, command: str, state: str, then: "Optional[Callable[[], None]]") -> None:
        """Have the hook stop the client, until the migration is in ``state``. Raises Lost.

        The client is the hook's until it says where to start it: threads of the hook stop and start
        it meanwhile.
        """
        target = f"{self._there}/{self.name}"
        guest = Guest(leave=self._stop_writer, come_back=self._write)
        self._hook.expect(target, guest)
        deadline, ask_at = time.monotonic() + 2 * _REACHED, 0.0
        while self._state() != state or guest.start_on is None:
            if time.monotonic() > deadline:
                raise Lost(f"{target}: not {state} by the hook, or it was not told ({guest})")
            if time.monotonic() > ask_at:
                with contextlib.suppress(CommandFailed):  # it is done, or no manager is active
                    self._command_once(command, "--cutover", "hook")
                ask_at = time.monotonic() + _ASK_AGAIN
            time.sleep(0.2)
        self._hook.forget(target)
        wanted = target if then is not None else f"{self._here}/{self.name}"
        if guest.start_on != wanted or not guest.agreed:
            raise Lost(f"{target}: {state}, but the hook was told {guest}")
        if then is not None:
            then()

    def _refresh_source(self) -> None:
        """Have a reverse round copied; sometimes the next step comes while it is."""
        before = self._reverse_rounds()
        self._command("execute")
        deadline = time.monotonic() + self._chance.choice((0.2, 0.2, 5.0))
        while (count := self._reverse_rounds()) == before and time.monotonic() < deadline:
            time.sleep(0.1)
        if count > before:
            self._note("reverse round")

    def _reverse_rounds(self) -> int:
        rounds = self._report()["reverse_rounds"]
        return int(rounds["count"]) if rounds else 0

    def _cancel(self) -> None:
        if self._cut_over or not self._warm:
            self._stop_writer()  # the target is not removed while it is open
        self._end("cancel", "--force")
        self._wait({"aborted"})

    def _rest(self, how: "object", state: str) -> None:
        """Commit or cancel, then compare."""
        how()  # type: ignore[operator]
        self._stop_writer()
        self._pending = self._cut_over = False
        self._note(state)
        self._verify()

    def _verify(self) -> None:
        found = images.content(self._client, self.spec)
        if found != self._head:
            odd = [at for at in range(0, SIZE, 4096) if found[at:][:4096] != self._head[at:][:4096]]
            raise Lost(f"{self.spec}: {len(odd)} blocks of the head differ, first at {odd[:3]}")
        if self._digests() != self._snapshots:
            raise Lost(f"{self.spec}: a snapshot differs")
        self.verified += 1

    def _digests(self) -> "dict[str, str]":
        found = images.digests(self._client, self.spec)
        found.pop(images.HEAD)
        return found

    def _write(self) -> None:
        """Have a client write, permanently or for a moment."""
        if self._writer is None:
            self._base = self._head
            seed = self._chance.randrange(1 << 30)
            self._writer = Writer(self._cluster, self.spec, 50, seed)
        self._writer.wait_acked(5, timeout=60)

    def _stop_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        writer.stop()
        self._head = writer.applied(self._base)

    def _state(self) -> str:
        return str(self._report()["state"])

    def _report(self) -> "dict[str, Any]":
        text = self._ceph("rbd", "migration", "status", f"{self._there}/{self.name}")
        report: dict[str, Any] = json.loads(text)
        if report["state"] == "failed":
            raise Lost(f"{self.spec}: {report['failure']['message']} {_told(report)}")
        return report

    def _wait(self, states: "set[str]", seconds: float = _REACHED) -> None:
        deadline = time.monotonic() + seconds
        while (report := self._report())["state"] not in states:
            if time.monotonic() > deadline:
                wanted = " or ".join(sorted(states))
                raise Lost(f"{self.spec}: not {wanted} after {seconds:g} s {_told(report)}")
            time.sleep(0.2)

    def _end(self, act: str, *options: str) -> None:
        """A command that ends a migration.

        It is refused when the answer to a former try was lost with its manager. Whoever calls this
        waits for the state.
        """
        with contextlib.suppress(CommandFailed):
            self._command(act, *options)

    def _command_once(self, act: str, *options: str) -> None:
        """Raises CommandFailed."""
        target = f"{self._there}/{self.name}"
        self._cluster.ceph("rbd", "migration", act, target, *options, timeout=_ANSWERED)

    def _command(self, act: str, *options: str) -> None:
        self._ceph("rbd", "migration", act, f"{self._there}/{self.name}", *options)

    def _ceph(self, *words: str) -> str:
        """Run a command, again while the managers change, as a person would.

        Raises CommandFailed; at once for what was accepted and has to wait (EINPROGRESS).
        """
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return self._cluster.ceph(*words, "--format", "json", timeout=_ANSWERED)
            except CommandFailed as error:
                if error.returncode == EINPROGRESS or time.monotonic() > deadline:
                    raise
            time.sleep(0.5)

    def _note(self, what: str) -> None:
        self.done[what] = self.done.get(what, 0) + 1
        self._acts.append(f"{time.strftime('%H:%M:%S')} {what}")


def _said(tool: "Callable[..., str]", *words: str) -> str:
    try:
        return f"{' '.join(words)}: {tool(*words)}"
    except CommandFailed as error:
        return f"{' '.join(words)}: {error}"


def _told(report: "dict[str, Any]") -> str:
    """Id, method, what holds a migration, and its last states."""
    last = [f"{entry['at']} {entry['state']} {entry['message']}" for entry in report["timeline"]]
    hold = f"{report['hold']['message']}; " if report["hold"] else ""
    return f"({report['id']}, {report['method']}: {hold}{'; '.join(last[-8:])})"
