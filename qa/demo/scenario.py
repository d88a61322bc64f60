"""The tour: prepare, start the client, execute, commit, compare. Runs on any cluster."""

import time
from pathlib import Path

import rados
import rbd

from qa.demo import content
from qa.demo.allocation import allocated, needlessly_there
from qa.demo.client_process import ClientProcess, running_client
from qa.demo.compare import Comparison, compare
from qa.demo.connection import connect
from qa.demo.console import Console
from qa.demo.content import BLOCK, HEAD, WRITE, ZERO, Expected
from qa.demo.corrupt import WRONG_BYTES, corrupt
from qa.demo.errors import DemoError
from qa.demo.journal import Journal, latencies
from qa.demo.leftovers import leftovers
from qa.demo.migration import Migration
from qa.demo.result import Result
from qa.demo.settings import Settings
from qa.demo.sizes import option_text, size_text
from qa.demo.source import make_source
from qa.demo.stopwatch import Stopwatch
from qa.demo.watch import CopyWatch
from qa.devcluster import Cluster

_PAUSE = 1.0  # seconds that the client writes before the copy begins, and after the commit
_SLOWNESS = "rbd_concurrent_management_ops"


def run(
    cluster: Cluster, settings: Settings, console: Console, folder: Path, stopwatch: Stopwatch
) -> Result:
    """Migrate one image between two pools of the cluster; `folder` is for the client's files."""
    with connect(cluster) as rados_client:
        try:
            return _Tour(cluster, rados_client, settings, console, folder, stopwatch).run()
        except (rados.Error, rbd.Error) as error:
            raise DemoError(f"The cluster answered with an error: {error}.") from error


class _Tour:
    """One tour through all the steps."""

    def __init__(
        self,
        cluster: Cluster,
        rados_client: rados.Rados,
        settings: Settings,
        console: Console,
        folder: Path,
        stopwatch: Stopwatch,
    ) -> None:
        self._cluster = cluster
        self._rados = rados_client
        self._settings = settings
        self._console = console
        self._folder = folder
        self._stopwatch = stopwatch
        self._migration = Migration(
            cluster, rados_client, console, settings.source, settings.target
        )

    def run(self) -> Result:
        settings = self._settings
        source_id, source_bytes = self._make_source()
        self._prepare()
        self._console.section("A client starts on the target, and keeps writing to the end")
        with running_client(
            self._cluster, settings.target_pool, settings.image, self._folder,
            settings.seed, settings.rate,
        ) as client:  # fmt: skip
            self._introduce(client)
            self._execute(client)
            self._commit(client)
            problems = self._stop(client)
        journal = Journal.read(client.journal)
        views = self._expected(journal)
        target_bytes = self._allocated(settings.target_pool)
        self._console.section("Compare: every byte against what must be there")
        self._console.say(
            f"The client has stopped after {len(journal.writes)} writes. At {client.lock_held} of "
            f"{client.lock_checks} looks it held the exclusive lock."
        )
        if settings.corrupt:
            self._corrupt(views, settings.corrupt)
        comparison = self._compare(views)
        problems += self._look_into_the_hole(views[HEAD])
        problems += self._look_for_the_source(source_id)
        times = latencies(journal.writes)
        return Result(
            size=settings.size,
            source_bytes=source_bytes,
            target_bytes=target_bytes,
            seconds=self._stopwatch.seconds,
            client=times,
            worst_while=self._stopwatch.step_at(times.worst_begun),
            comparison=comparison,
            problems=tuple(problems),
        )

    # -- steps

    def _make_source(self) -> "tuple[str, int]":
        settings = self._settings
        self._console.section("The source: an image with a history")
        with self._stopwatch.step("make the source"):
            with self._rados.open_ioctx(settings.source_pool) as ioctx:
                image_id = make_source(ioctx, settings.image, settings.size, settings.seed)
            there = self._allocated(settings.source_pool)
        names = [stage.name for stage in content.stages(settings.size) if stage.name != HEAD]
        hole = content.views(settings.size)[HEAD].count(ZERO) * BLOCK
        self._console.say(
            f"{settings.source} has {size_text(settings.size)}, of which {size_text(hole)} are a "
            f"hole. Its snapshots {' and '.join(names)}\nhold other data than its head; "
            f"all together {size_text(there)} are to be copied."
        )
        return image_id, there

    def _prepare(self) -> None:
        settings, console = self._settings, self._console
        console.section("Prepare: the target takes the place of the source")
        console.say("The clients of the source are stopped for this moment.")
        console.say("This tour compares every byte itself at the end, so the module need not.")
        size = option_text(settings.object_size)
        with self._stopwatch.step("prepare"):
            self._migration.command(
                "prepare",
                settings.source,
                settings.target,
                "--object-size",
                size,
                "--verify",
                "none",
            )
            self._migration.wait_for(["prepared"])
        console.say("To let you watch, this copy runs slowly, object by object:")
        self._migration.shown("rbd", "config", "image", "set", settings.target, _SLOWNESS, "1")

    def _introduce(self, client: ClientProcess) -> None:
        self._console.say(
            f"client.{client.client_id} (process {client.pid}) has {self._settings.target} open "
            f"and writes {size_text(WRITE)} at random places,\nalso in the hole, "
            f"{self._settings.rate:g} times a second. It holds the exclusive lock: librbd has the "
            "holder do\nthe copying, when the manager starts it."
        )
        time.sleep(_PAUSE)

    def _execute(self, client: ClientProcess) -> None:
        self._console.section("Execute: the data is copied while the client writes")
        with self._stopwatch.step("execute"):
            self._migration.command("execute", self._settings.target)
            watch = CopyWatch(self._migration, client, self._console)
            watch.done(self._migration.wait_for(["executed"], watch))

    def _commit(self, client: ClientProcess) -> None:
        target = self._settings.target
        self._console.section("Commit: the source is removed while the client writes")
        with self._stopwatch.step("commit"):
            self._migration.command("commit", target)
            self._migration.wait_for(["committed"], lambda _: client.check())
        self._migration.shown("rbd", "config", "image", "rm", target, _SLOWNESS)
        time.sleep(_PAUSE)

    @staticmethod
    def _stop(client: ClientProcess) -> list[str]:
        """Stop the client. Its failure is a problem, but no reason to skip the comparison."""
        try:
            client.stop()
        except DemoError as error:
            return [str(error)]
        return []

    def _compare(self, views: "dict[str, Expected]") -> Comparison:
        settings = self._settings
        with self._stopwatch.step("compare"), self._rados.open_ioctx(settings.target_pool) as ioctx:
            comparison = compare(ioctx, settings.image, views)
        for view, count in comparison.differing.items():
            what = "head, with the client's writes" if view == HEAD else f"snapshot {view}"
            self._console.say(f"{what}: {count} bytes differ")
        return comparison

    def _look_into_the_hole(self, head: Expected) -> list[str]:
        with self._rados.open_ioctx(self._settings.target_pool) as ioctx:
            needless = needlessly_there(ioctx, self._settings.image, head)
        if needless:
            return [f"{size_text(needless)} of the hole take space that nobody wrote to."]
        self._console.say("The hole takes no space but where the client wrote.")
        return []

    def _look_for_the_source(self, source_id: str) -> list[str]:
        settings = self._settings
        self._migration.shown("rbd", "ls", settings.source_pool)
        self._migration.shown("rbd", "ls", settings.target_pool)
        with self._rados.open_ioctx(settings.source_pool) as ioctx:
            found = leftovers(self._cluster, ioctx, settings.source_pool, settings.image, source_id)
        if not found:
            self._console.say(
                f"Nothing of the source is left in {settings.source_pool}, nor in its trash."
            )
        return found

    # -- helpers

    def _expected(self, journal: Journal) -> "dict[str, Expected]":
        seed = self._settings.seed
        return {
            name: Expected(
                seed,
                blocks,
                journal.last_writes() if name == HEAD else {},
                journal.unsure() if name == HEAD else {},
            )
            for name, blocks in content.views(self._settings.size).items()
        }

    def _corrupt(self, views: "dict[str, Expected]", which: str) -> None:
        settings = self._settings
        view = HEAD if which == HEAD else [name for name in views if name != HEAD][-1]
        with self._rados.open_ioctx(settings.target_pool) as ioctx:
            damage = corrupt(ioctx, settings.image, views, view)
        self._console.say(
            f"Fault switch: {WRONG_BYTES} bytes of {view} are changed behind librbd's back,\n"
            f"at {damage.offset}, in the RADOS object {damage.object_name}."
        )

    def _allocated(self, pool: str) -> int:
        with self._rados.open_ioctx(pool) as ioctx:
            return allocated(ioctx, self._settings.image, self._settings.size)
