"""Judges a run by the rules of safety, from what the fake cluster tells and what was asked for.

It knows the truth: what each disk has to read as, what clients did to it, and which requests were
accepted. It sees librbd's acts as they begin and end, whoever does them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Optional

from rbdmigrate.control.lifecycle.cutover import goes_on
from rbdmigrate.model.states import Goal, Method
from rbdmigrate.model.verification import Verify

from .cls_rbd import Link
from .cluster import BLOCK, Client
from .images import ABORTING, Spot
from .simulation import EPOCH
from .world import World

_RANK = [Verify.NONE, Verify.SAMPLE, Verify.FULL]
_LOST_BY_ABORT = ("snap_create", "snap_rm", "resize", "discard")

Blocks = dict[int, bytes]


def strictest(*modes: Verify) -> Verify:
    """The mode that compares the most."""
    return max(modes, key=_RANK.index)


@dataclass
class Disk:
    """What a client thinks of as its disk, wherever it lies.

    ``ident`` and ``pool`` are of the image that clients use, ``source`` that of the image that it
    was prepared from. ``done``: what clients did since then, and when.
    """

    name: str
    pool: str
    ident: str
    size: int
    head: Blocks
    snapshots: dict[str, Blocks] = field(default_factory=dict)
    source: Optional[str] = None
    done: list[tuple[float, str]] = field(default_factory=list)


@dataclass
class Asked:
    """What accepted requests asked of a migration, all together. Times are of the simulation.

    ``aborted``: it is to be aborted, and nothing else was asked since. ``may_abort``: that was
    asked at some time.
    """

    commit: bool = False
    verify: Verify = Verify.NONE
    soak: float = 0.0
    soak_ended: bool = False
    commit_forced: bool = False
    cut_over: bool = False
    aborted: bool = False
    may_abort: bool = False
    abort_forced: Optional[float] = None
    plans: set[str] = field(default_factory=set)

    def want(self, goal: Goal, verify: Verify, soak: float) -> None:
        """One more request, besides those that there were.

        What an earlier commit permitted stays when the request asks for nothing new.
        """
        before = (self.commit, self.verify, self.soak)
        self.commit = self.commit or goal is Goal.COMMITTED
        self.cut_over = self.cut_over or goes_on(goal)
        self.verify = strictest(self.verify, verify)
        self.soak = max(self.soak, soak)
        if (self.commit, self.verify, self.soak) != before:
            self.commit_forced = self.soak_ended = False

    def change(
        self,
        *,
        goal: Optional[Goal] = None,
        verify: Optional[Verify] = None,
        soak: Optional[float] = None,
    ) -> None:
        """What was set counts instead of what was asked for before; None leaves it."""
        self.commit = self.commit if goal is None else goal is Goal.COMMITTED
        self.cut_over = self.cut_over if goal is None else goes_on(goal)
        self.verify = self.verify if verify is None else verify
        self.soak = self.soak if soak is None else soak
        if soak or verify not in (None, Verify.NONE):
            self.commit_forced = self.soak_ended = False


@dataclass(frozen=True)
class InFlight:
    """A request that is being carried out: what it permits is permitted from its beginning.

    ``disk`` by name; empty: that of every disk.
    """

    kind: str
    disk: str
    began: float
    force: bool = False


class Judge:
    """Listens to the cluster of ``world``. ``wrong``: which rules were broken."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.disks: dict[str, Disk] = {}
        self.asked: dict[str, Asked] = {}
        self.plans: dict[str, tuple[Goal, Verify, float]] = {}  # as they were started
        self.wrong: list[str] = []
        self.renamed = False  # names of images do not tell any more which disk is meant
        self.in_flight: list[InFlight] = []  # requests that were not answered yet
        self._commits: set[str] = set()  # ids of targets
        world.cluster.log.append(self._event)

    # -- what is told to it --------------------------------------------------------------------

    def add_disk(self, name: str, pool: str) -> Disk:
        """A disk that is an image of that name in a pool."""
        spot = self._spot(pool)
        ident = spot.resolve(name)
        header = spot.header(ident)
        found = {s.name: spot.content(ident, n) for n, s in header.snapshots.items()}
        disk = Disk(name, pool, ident, header.size, spot.content(ident), found)
        self.disks[name] = disk
        return disk

    def of(self, ident: str) -> Asked:
        """What was asked of the migration ``ident``."""
        return self.asked.setdefault(ident, Asked())

    def note_plans(self) -> None:
        """Which migrations belong to plans now: what the plan asks for is asked of them too."""
        for ident, record in self.world.records().items():
            asked, plan = self.of(ident), record["plan"]
            if plan in self.plans and plan not in asked.plans:
                asked.plans.add(plan)
                asked.want(*self.plans[plan])

    def note_aborts(self) -> None:
        """Which sources were given back, also by a repair that librbd had no part in."""
        for disk in self.disks.values():
            source = self._spot("hdd").stored(disk.source) if disk.source is not None else None
            target = self._spot(disk.pool).stored(disk.ident)
            if source is not None and source.header.link is None and target is None:
                self._aborted(None, disk.source, disk.ident)

    def client_did(self, disk: Disk, kind: str) -> None:
        """A client did something to a disk, successfully."""
        disk.done.append((self.world.simulation.now, kind))

    def abort_accepted(self, ident: str, *, force: bool, began: float) -> None:
        """The request to abort, made at ``began``, was answered without an error."""
        asked = self.of(ident)
        asked.aborted = asked.may_abort = True
        if force:
            asked.abort_forced = began

    # -- what the cluster tells ----------------------------------------------------------------

    def _event(self, kind: str, **about: Any) -> None:
        judge = getattr(self, f"_{kind}", None)
        if judge is not None:
            judge(**about)

    def _disk(self, ident: str) -> Optional[Disk]:
        return next((d for d in self.disks.values() if ident in (d.ident, d.source)), None)

    def _ours(self, client: Client) -> bool:
        """Whether the engine did it, and not plain rbd."""
        return client.process.name.startswith("worker")

    def _prepared(self, client: Client, source: str, target: str) -> None:
        disk = self._disk(source)
        if self._ours(client) and self.record_of(source) is None:
            self._say(f"the image {source} is prepared without a record")
        if disk is not None:
            link = self._spot(disk.pool).header(source).link
            assert isinstance(link, Link)
            disk.pool = self.world.cluster.pool(link.pool_id).name
            disk.ident, disk.source, disk.done = target, source, []

    def _commit(self, client: Client, source: str, target: str) -> None:
        """The last moment before the source is lost."""
        if target in self._commits:
            return  # the rest of one that was cut off
        self._commits.add(target)
        if not self._ours(client):
            return
        record = self.record_of(source)
        if record is None:
            self._say(f"the image {source} is committed without a record")
            return
        asked = self.of(record["id"])
        if asked.aborted:
            self._say(f"{record['id']} is committed, and an abort of it was accepted")
        self.note_plans()
        if not asked.commit and not self._in_flight(record, "change", "commit", "prepare"):
            self._say(f"{record['id']} is committed, and nobody asked for that")
        now = self._in_flight(record, "commit")
        if asked.commit_forced or any(r.force for r in now) or self._in_flight(record, "change"):
            return
        ended = bool(now) or asked.soak_ended
        self._judge_gates(record, replace(asked, soak=0.0) if ended else asked)

    def _in_flight(self, record: dict[str, Any], *kinds: str) -> list[InFlight]:
        name = record["target"]["image"]
        return [
            r for r in self.in_flight if r.kind in kinds and (self.renamed or r.disk in ("", name))
        ]

    def _judge_gates(self, record: dict[str, Any], asked: Asked) -> None:
        ident, verification = record["id"], record["verification"] or {}
        mode = Verify(verification.get("mode", "none"))
        passed = verification.get("outcome") == "passed"
        if asked.verify is not Verify.NONE and (
            not passed or _RANK.index(mode) < _RANK.index(asked.verify)
        ):
            self._say(f"{ident} is committed without the verification {asked.verify.value}")
        warm = record["method"] == Method.WARM.value
        begun = record["cut_over_at" if warm else "executed_at"]
        since = (verification.get("at") if passed else None) or begun
        now = EPOCH + self.world.simulation.now
        if asked.soak and (since is None or now < since + asked.soak - 0.001):
            self._say(f"{ident} is committed before its soak time of {asked.soak} s is over")

    def _abort(self, client: Client, source: str, target: str, header: Any) -> None:
        """librbd begins to abort; what was not copied back is lost."""
        disk = self._disk(target)
        if disk is None or not self._ours(client) or header.link.state == ABORTING:
            return
        record = self.record_of(source)
        if record is None:
            self._say(f"the migration of the image {source} is aborted without a record")
            return
        ident, asked, now = record["id"], self.of(record["id"]), self._in_flight(record, "abort")
        if record["goal"] == Goal.ABORTED.value and not asked.may_abort and not now:
            self._say(f"{ident} is aborted, and nobody asked for that")
        forced = max((r.began for r in now if r.force), default=asked.abort_forced or 0.0)
        lost = {kind for at, kind in disk.done if kind in _LOST_BY_ABORT and at > forced}
        if lost:
            self._say(f"the abort of {ident} loses what a client did: {', '.join(sorted(lost))}")

    def _aborted(self, client: Optional[Client], source: str, target: str) -> None:
        disk = self._disk(target)
        if disk is None or disk.source is None:
            return
        disk.pool, disk.ident, disk.source = "hdd", source, None
        spot = self._spot(disk.pool)
        content, header = spot.content(source), spot.header(source)
        for number, data in disk.head.items():
            if content.get(number) != data and number * BLOCK < header.size:
                self._say(f"a write to object {number} of {disk.name} was lost by an abort")
        disk.head, disk.size = content, header.size
        disk.snapshots = {
            s.name: spot.content(source, n)
            for n, s in header.snapshots.items()
            if not s.name.startswith(".rbd_migration.")
        }

    def _cut_over(self, client: Client, source: str, target: str) -> None:
        """The target of a warm migration gets its name."""
        record = self.record_of(source)
        if record is None:
            self._say(f"the image {source} is cut over without a record")
            return
        self.note_plans()
        wanted = self.of(record["id"]).cut_over
        if not wanted and not self._in_flight(record, "change", "cutover", "prepare"):
            self._say(f"{record['id']} is cut over, and nobody asked for that")
        self._hand_over(source, target, record["target"]["pool"])

    def _went_back(self, client: Client, source: str, target: str) -> None:
        """The source of one that was cut over gets its name back."""
        self._require_abort(source)
        self._hand_over(target, source, "hdd")

    def _cut_over_not(self, client: Client, source: str, target: str) -> None:
        """The name is taken back from a target that nobody opened."""
        self._hand_over(target, source, "hdd")

    def _went_back_not(self, client: Client, source: str, target: str) -> None:
        disk = self._disk(target)
        record = self.record_of(source)
        if disk is not None and record is not None:
            self._hand_over(source, target, record["target"]["pool"])

    def _copy_removed(self, client: Client, source: str, target: str) -> None:
        """A warm migration is aborted, and the target that clients do not use is removed."""
        self._require_abort(source)
        if any(disk.ident == target for disk in self.disks.values()):
            self._say(f"the target {target} is removed, which clients use")

    def _copies_back(self, client: Client, source: str, target: str) -> None:
        """A reverse round is about to write to the source of a warm migration."""
        if any(disk.ident == source for disk in self.disks.values()):
            self._say(f"a reverse round writes to {source}, which clients use")

    def _require_abort(self, source: str) -> None:
        record = self.record_of(source)
        if record is None:
            self._say(f"the migration of the image {source} is aborted without a record")
        elif not self.of(record["id"]).may_abort and not self._in_flight(record, "abort"):
            self._say(f"{record['id']} is aborted, and nobody asked for that")

    def _hand_over(self, old: str, new: str, pool: str) -> None:
        """Clients find ``new`` now, which has to hold all that they did to ``old``."""
        disk = next((d for d in self.disks.values() if d.ident == old), None)
        if disk is None:
            return
        disk.source = old if pool != "hdd" else None
        disk.pool, disk.ident = pool, new
        self.wrong += [f"{self.world.simulation.now:.3f}: {text}" for text in self._wrong(disk)]

    def _say(self, text: str) -> None:
        self.wrong.append(f"{self.world.simulation.now:.3f}: {text}")

    # -- what there is -------------------------------------------------------------------------

    def record_of(self, source_id: str) -> Optional[dict[str, Any]]:
        """The stored record of the migration of an image, by its id.

        When its names were changed there may be two: the one that was not refused counts.
        """
        found = [r for r in self.world.records().values() if r["source"]["image_id"] == source_id]
        begun = [r for r in found if r["state"] != "failed" or r["prepared_at"] is not None]
        return next(iter(begun or found), None)

    def _spot(self, pool: str) -> Spot:
        """A client that reads and that nothing is done to."""
        cluster = self.world.cluster
        client = Client(cluster, self.world.simulation.test)
        return Spot(_Quiet(cluster), client, cluster.pool_named(pool).ident, "")

    def contents(self) -> list[str]:
        """What disks read as that is not what they should, when all is at rest."""
        found = []
        for disk in self.disks.values():
            found += self._wrong(disk)
        return found

    def _wrong(self, disk: Disk) -> list[str]:
        spot = self._spot(disk.pool)
        stored = spot.stored(disk.ident)
        if stored is None or stored.header is None:
            return [f"the image {disk.ident} of the disk {disk.name} is gone"]
        views = {
            s.name: spot.content(disk.ident, number)
            for number, s in stored.header.snapshots.items()
            if not s.name.startswith(".rbd_migration.")
        }
        found = []
        if spot.content(disk.ident) != disk.head or stored.header.size != disk.size:
            found.append(f"the disk {disk.name} reads otherwise than what was written")
        if views != disk.snapshots:
            found.append(
                f"the snapshots of {disk.name} are {_shown(views)}, not {_shown(disk.snapshots)}"
            )
        return found


def _shown(views: dict[str, Blocks]) -> dict[str, dict[int, str]]:
    return {
        name: {number: data.rstrip(b".").decode() for number, data in blocks.items()}
        for name, blocks in views.items()
    }


class _Quiet:
    """A cluster that is looked at from outside: no other thread runs meanwhile."""

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    def read(self, client: Any, pool_id: int, namespace: str, oid: str, look: Any) -> Any:
        stored = self._cluster.pool(pool_id).objects.get((namespace, oid))
        return look(stored) if stored is not None else None
