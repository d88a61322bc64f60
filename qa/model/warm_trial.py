"""One random image that moves by the method warm, while a client works with it and workers die.

The client uses every operation, on the source during the rounds, and on the target after the
cutover, also during reverse rounds. Head and snapshots are compared with a model after the cutover
and at the end, which is a commit, or an abort before or after the cutover.
"""

import random
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Optional, Union

import rados
import rbd

from qa.workload.images import opened, place, split
from rbdmigrate.cluster import headers
from rbdmigrate.model.jobs import acts
from rbdmigrate.model.jobs.answers import (
    Armed,
    CopiedBack,
    CutOverDone,
    Prepared,
    Synchronized,
    Verified,
)
from rbdmigrate.model.migration import Place
from rbdmigrate.model.verification import Outcome, Verification, Verify

from .killed_worker import ActFailed, KilledWorker, answer_of
from .managed_worker import ManagedWorker
from .operations import differences, operate
from .other_source import OtherSource
from .shapes import chosen, make_namespace

POINTS = (
    "librbd.before 1", "librbd.after 1",
    "warm.made 1", "warm.marked 1", "early.before 1 number",
    "warm.before 1 snapshot", "warm.after 1 snapshot", "warm.after 1 told",
    "mover.piece 3", "mover.before 1 mark", "mover.before 3 mark", "mover.after 2 mark",
    "mover.before 1 snapshot", "mover.after 1 snapshot", "mover.after 2 snapshot",
    "mover.before 1 remove", "mover.after 1 remove",
    "cutover.before 1 name", "cutover.between 1 name", "cutover.after 1 name",
    "cutover.before 1 feature", "cutover.after 1 feature",
    "snapshot.after 1 map", "snapshot.after 2 map",
    "snapshot.after 1 header", "snapshot.after 2 header",
    "cutover.before 1 lock", "cutover.after 1 lock", "cutover.before 1 restore",
    "cutover.before 1 publish", "cutover.after 1 publish", "cutover.after 1 complete",
    "back.before 1 mark", "back.after 1 mark",
    "reverse.after 1 let in", "reverse.before 1 lock", "reverse.after 1 lock",
    "removal.after 1 snapshot", "warm.after 1 source",
    "warm.before 1 remove", "warm.after 1 remove",
)  # fmt: skip
_DEFAULT = ("layering", "exclusive-lock", "object-map", "fast-diff", "deep-flatten")
_FEATURES = (_DEFAULT, _DEFAULT, ("layering", "exclusive-lock"), ("layering",))
_LIMIT = 1000  # snapshots
_METADATA = {"owner": "tenant", "conf_rbd_qos_iops_limit": "100000"}
_MOST = 60  # operations during one act
_EBUSY = 16

Actor = Union[KilledWorker, ManagedWorker]


@dataclass
class WarmTrial:
    """One image and its end. ``pause``: seconds of the cutover; ``wrong``: what was found."""

    seed: int
    kind: str = ""
    about: str = ""
    end: str = ""
    pause: Optional[float] = None
    kills: int = 0
    wrong: "list[str]" = field(default_factory=list)


class _Run:
    def __init__(
        self, client: rados.Rados, pools: "tuple[str, str]", worker: Actor, seed: int,
        kill: float, data_pool: str, other: Optional[OtherSource],
    ) -> None:  # fmt: skip
        self._client = client
        self._other = other
        self._far = client if other is None else other.client  # the source's cluster
        self._worker = worker
        self._chance = chance = random.Random(seed)
        self._kill = kill
        self.trial = WarmTrial(seed)
        self._in_place = chance.random() < 0.4 and other is None
        self.shape = chosen(chance, _FEATURES, data_pool)
        old, new = ("/".join(filter(None, pair)) for pair in zip(pools, self.shape.namespaces))
        self._source = f"{old}/warm{seed}"
        self._target = self._source if self._in_place else f"{new}/moved{seed}"
        self._model = self.shape.make(self._far, self._source, chance)
        self._bits = self._limit = 0
        self._metadata: dict[str, str] = {}
        self._ends = self._make()
        where = "in place" if self._in_place else "to another pool"
        where = where if other is None else "to another cluster"
        self.trial.kind = self.shape.kind
        self.trial.about = (
            f"{self.shape.about or self.shape.kind}, {where}, {'+'.join(self.shape.features)}, "
            f"objects of {self.shape.object_size}"
        )

    def _make(self) -> acts.WarmEnds:
        with self._open(self._source) as image:
            ident, self._bits = image.id(), int(image.features())
            if self._chance.random() < 0.3:
                image.set_snap_limit(_LIMIT)
                for key, value in _METADATA.items():
                    image.metadata_set(key, value)
                self._metadata = _METADATA
            self._limit = int(image.get_snap_limit())
            for _ in range(self._chance.randrange(15)):
                self._operate(image)
        make_namespace(self._client, *split(self._target)[:2])
        number, target = f"{self.trial.seed:012x}", self._place(self._target)
        if self._other is not None:
            return self._other.ends(number, self._source, target)
        return acts.WarmEnds(number, replace(self._place(self._source), image_id=ident), target)

    def _place(self, spec: str) -> Place:
        pool, namespace, name = split(spec)
        return Place(pool, namespace, name, self._client.pool_lookup(pool))

    def _client_of(self, spec: str) -> rados.Rados:
        """The client of the image's cluster."""
        return self._far if spec == self._source else self._client

    def _open(self, spec: str) -> "AbstractContextManager[rbd.Image]":
        return self.shape.opened(self._client_of(spec), spec, read_only=False)

    def _operate(self, image: rbd.Image, *, in_round: bool = False) -> None:
        """``in_round``: while a round may take its snapshot, in which a rollback crashes librbd."""
        shape = self.shape
        without = (*shape.without, *(("rollback",) if in_round else ()))
        operate(image, self._model, self._chance, shape.object_size, without=without)

    def _arm(self, probability: Optional[float] = None) -> None:
        self._worker.arm(self._chance, POINTS, self._kill if probability is None else probability)

    def _work(self, spec: str, most: int) -> None:
        """What a client does that opens the image."""
        with self._open(spec) as image:
            for _ in range(self._chance.randrange(1, most)):
                self._operate(image)

    def run(self) -> None:
        """From the prepare to the end."""
        chance, ends = self._chance, self._ends
        layout = self.shape.layout(chance, in_place=self._in_place)
        self._arm()
        made = self._worker.run(ends, acts.Prepare(layout))
        assert isinstance(made, Prepared)
        self._ends = replace(ends, target=replace(ends.target, image_id=made.target_id))
        self._rounds()
        self._work(self._source, 3)
        if chance.random() < 0.2:
            self._arm()
            self._worker.run(self._ends, acts.Abort())
            self._require(self._source, "aborted before the cutover")
            return
        point = self._cut_over()
        self._work(self._target, 8)
        if chance.random() < 0.7:
            self._reverse_rounds(point)
            self._work(self._target, 4)
        if chance.random() < 0.5:
            self._arm()
            self._worker.run(self._ends, acts.Abort(clients_wait=chance.random() < 0.5))
            self._require(self._source, "aborted after the cutover")
            return
        self._arm(0)
        v = Verification(Verify.FULL, 1, 1.0, time.time())
        verified = self._worker.run(self._ends, acts.Verify(v, comparison_snapshot=point))
        assert isinstance(verified, Verified)
        if verified.verification.outcome is Outcome.FAILED:
            self.trial.wrong.append("the verification failed")
        self._work(self._target, 4)
        self._arm()
        self._worker.run(self._ends, acts.Commit())
        self._require(self._target, "committed")

    def _rounds(self) -> None:
        """Rounds, with a client that has the source open where snapshots allow that."""
        if "exclusive-lock" in self.shape.features and self._chance.random() < 0.5:
            self._first_round()
        self._during(self._source, acts.Execute(), Synchronized)
        if "exclusive-lock" not in self.shape.features or self._chance.random() < 0.5:
            return
        with self._open(self._source) as image:
            self._require_refused()
            self._operate(image)

    def _first_round(self) -> None:
        """A round of a closed image, which a client may open meanwhile."""
        self._arm()
        begun = self._worker.begin(self._ends, acts.Execute())
        if self._chance.random() < 0.6:
            with self._open(self._source) as image:
                for _ in range(self._chance.randrange(1, 10)):
                    self._operate(image, in_round=True)
        assert isinstance(answer_of(begun), Synchronized)

    def _reverse_rounds(self, point: str) -> None:
        """Rounds back to the source, likewise."""
        self._during(self._target, acts.ReverseRound(point), CopiedBack)

    def _during(self, spec: str, act: acts.Act, answer: type) -> None:
        """Some of these acts, while a client works with an image, or between two of its visits."""
        if "exclusive-lock" not in self.shape.features:
            for _ in range(self._chance.randrange(1, 4)):
                self._arm()
                assert isinstance(self._worker.run(self._ends, act), answer)
                self._work(spec, 5)
            return
        with self._open(spec) as image:
            for _ in range(self._chance.randrange(1, 4)):
                self._arm()
                begun = self._worker.begin(self._ends, act)
                for number in range(_MOST):
                    if begun.done() and number >= 5:
                        break
                    self._operate(image, in_round=True)
                assert isinstance(answer_of(begun), answer)

    def _require_refused(self) -> None:
        """No cutover while the client has the source open."""
        self._arm(0)
        try:
            self._worker.run(self._ends, acts.CutOver())
        except ActFailed as error:
            if error.errno == _EBUSY:
                return
            raise
        self.trial.wrong.append("a cutover while a client had the source open")

    def _cut_over(self) -> str:
        """The name of its snapshot. Half of the cutovers are armed; a client works after that."""
        if self._chance.random() < 0.5 and self._other is None:
            self._arm()
            assert isinstance(self._worker.run(self._ends, acts.Arm()), Armed)
            self._work(self._source, 4)
        self._arm()
        cutover = acts.CutOver(clients_wait=self._chance.random() < 0.7)
        done = self._worker.run(self._ends, cutover)
        assert isinstance(done, CutOverDone)
        self.trial.pause = done.pause
        self._compare(self._target)
        return done.comparison_snapshot

    def _compare(self, spec: str) -> None:
        with self.shape.opened(self._client_of(spec), spec) as image:
            self.trial.wrong += differences(image, self._model)

    def _require(self, spec: str, end: str) -> None:
        """The image is right at the end, and nothing else is left."""
        self.trial.end = end
        self._compare(spec)
        wrong = self.trial.wrong
        with opened(self._client_of(spec), spec) as image:
            back = end != "committed"
            wanted = self._ends.source if back else self._ends.target
            if image.id() != wanted.image_id:
                wrong.append(f"{spec} is another image")
            if back and int(image.features()) != self._bits:
                wrong.append(f"the features are {image.features()}, not {self._bits}")
            if any(str(s["name"]).startswith(".rbd_migration.") for s in image.list_snaps()):
                wrong.append("a snapshot of a round is left")
            if dict(image.metadata_list()) != self._metadata:
                wrong.append(f"the metadata are {sorted(dict(image.metadata_list()))}")
            if int(image.get_snap_limit()) != self._limit:
                wrong.append(f"the limit of snapshots is {image.get_snap_limit()}")
        self._work(spec, 3)
        self._require_alone(spec)

    def _require_alone(self, spec: str) -> None:
        if self._other is not None and spec == self._target:
            self._require_kept()
        for end in (self._source, self._target):
            with place(self._client_of(end), end) as ioctx:
                where = end.rpartition("/")[0]
                names = {f"{where}/{name}" for name in rbd.RBD().list(ioctx)}
                if names - {spec, self.shape.parent} or list(headers.trash(ioctx)):
                    self.trial.wrong.append(f"left in {where}: {names}, or in its trash")

    def _require_kept(self) -> None:
        """The source is in the trash of its cluster, and whoever takes it out can use it."""
        name = split(self._source)[2]
        with place(self._far, self._source) as ioctx:
            rbd.RBD().trash_restore(ioctx, self._ends.source.image_id, name)
            with rbd.Image(ioctx, name) as image:
                if any(str(s["name"]).startswith(".rbd_migration.") for s in image.list_snaps()):
                    self.trial.wrong.append("a snapshot of a round is left on the source")
                if int(image.features()) != self._bits or set(image.metadata_list()) != {
                    *self._metadata.items()
                }:
                    self.trial.wrong.append("the source was changed")
                image.write(b"of a client", 0)
                for snapshot in list(image.list_snaps()):
                    if image.is_protected_snap(snapshot["name"]):
                        image.unprotect_snap(snapshot["name"])
                    image.remove_snap(snapshot["name"])
            rbd.RBD().remove(ioctx, name)


def run_trial(
    client: rados.Rados,
    pools: "tuple[str, str]",
    worker: Actor,
    seed: int,
    kill: float,
    data_pool: str = "",
    other: Optional[OtherSource] = None,
) -> WarmTrial:
    """Move a random image; ``kill`` is the probability that a worker dies in an act.

    ``data_pool``: a pool for the data of some images. ``other``: the source is in that cluster, and
    so are the first of ``pools`` and ``data_pool``.
    """
    run = _Run(client, pools, worker, seed, kill, data_pool, other)
    before = worker.kills
    try:
        run.run()
    except (ActFailed, rbd.Error, AssertionError) as error:
        run.trial.wrong.append(f"{type(error).__name__}: {error}")
    finally:
        run.shape.restore_parent(client if other is None else other.client)
    run.trial.kills = worker.kills - before
    return run.trial
