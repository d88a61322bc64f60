"""Objects copied in part: no stop of a copy leaves one, and those of a crash are completed.

librbd copies an object of an image with snapshots in several writes, one for each view. Cut off
between two of them the head of the target reads as a snapshot.
"""

import os
import signal
import time
from collections.abc import Iterator

import pytest
import rados

from qa.devcluster import Cluster
from qa.workload.images import HEAD, KIB, content, digests, make_layered_image, opened
from tests.cluster.commands import Commands
from tests.cluster.importing import Place, place, text  # noqa: F401 - a fixture
from tests.cluster.test_verify import worker_of

OBJECTS = 192  # of 8 KiB in each of four views
RATE = "300K"  # about 9 objects a second, and always one or two of them in part


class Copy:
    """A slow copy of an image with three snapshots."""

    def __init__(self, migration: Commands, client: rados.Rados, pools: "tuple[str, str]") -> None:
        self.source, self.target = f"{pools[0]}/disk", f"{pools[1]}/disk"
        self._migration = migration
        self._client = client
        make_layered_image(client, self.source, OBJECTS, ["one", "two", "three"], 8 * KIB)
        self.before = digests(client, self.source)
        migration.text("prepare", self.source, self.target)
        migration.text("set", self.target, "--rate", RATE)
        migration.text("execute", self.target)
        self._percent = 0

    def gets_on(self) -> None:
        """Wait until it is somewhat further than when this was asked last."""
        self._percent += 8
        self._migration.wait_percent(self.target, self._percent)

    def reads_as_the_source(self) -> bool:
        return digests(self._client, self.target) == self.before

    def wait_whole(self) -> None:
        """Wait until every view reads as the source's, though the copy does not go on."""
        deadline = time.monotonic() + 60
        while not self.reads_as_the_source():
            assert time.monotonic() < deadline, "an object is there in part"
            time.sleep(0.2)


@pytest.fixture
def copy(migration: Commands, client: rados.Rados, pools: "tuple[str, str]") -> Copy:
    return Copy(migration, client, pools)


def test_no_stop_leaves_an_object_in_part(
    migration: Commands, client: rados.Rados, copy: Copy
) -> None:
    for _ in range(4):
        copy.gets_on()
        migration.text("pause", copy.target)
        copy.wait_whole()
        assert not migration.report(copy.target)["executed"]
        migration.text("resume", copy.target)
    migration.text("set", copy.target, "--rate", "off")
    migration.wait(copy.target, "executed")
    migration.text("commit", copy.target)
    assert copy.reads_as_the_source()


@pytest.fixture
def armed(cluster: Cluster) -> Iterator[None]:
    """The worker that completes objects dies too, once it has written to one."""
    fault = cluster.faults / "complete_objects.written"
    fault.write_text("1")
    yield
    fault.unlink(missing_ok=True)


@pytest.mark.usefixtures("armed")
def test_completing_that_is_cut_off_itself_goes_on_while_it_is_paused(
    cluster: Cluster, migration: Commands, copy: Copy
) -> None:
    for _ in range(8):
        copy.gets_on()
        migration.text("pause", copy.target)
        copy.wait_whole()
        assert migration.report(copy.target)["paused"]
        if not (cluster.faults / "complete_objects.written").exists():
            return
        migration.text("resume", copy.target)
    pytest.fail("no pause left anything to be completed")


@pytest.mark.parametrize("who", ["worker", "manager"])
def test_what_a_crash_leaves_is_completed(
    cluster: Cluster, migration: Commands, client: rados.Rados, copy: Copy, who: str
) -> None:
    copy.gets_on()
    if who == "worker":
        os.kill(worker_of(client, copy.target), signal.SIGKILL)
    else:
        cluster.mgr_start(cluster.mgr_kill())
        cluster.wait_module()
    migration.text("pause", copy.target)
    copy.wait_whole()
    with opened(client, copy.target, read_only=False) as image:
        image.write(b"a client", 0)
    migration.text("set", copy.target, "--rate", "off")
    migration.text("resume", copy.target)
    migration.wait(copy.target, "executed")
    migration.text("commit", copy.target)
    after = digests(client, copy.target)
    assert {k: v for k, v in after.items() if k} == {k: v for k, v in copy.before.items() if k}


def test_no_stop_of_an_import_leaves_an_object_in_part(
    migration: Commands,
    client: rados.Rados,
    pools: "tuple[str, str]",
    place: Place,  # noqa: F811
) -> None:
    target = f"{pools[1]}/disk"
    views = {view: os.urandom(OBJECTS * 8 * KIB) for view in ("one", "two", HEAD)}
    files = {view: place.folder / f"parts-{view}.raw" for view in views}
    for view, file in files.items():
        file.write_bytes(views[view])
    stream = place.stream("file")
    spec = {"type": "raw", "stream": stream(files[HEAD])}
    snapshots = [{"type": "raw", "name": v, "stream": stream(files[v])} for v in ("one", "two")]
    migration.ask(
        "prepare",
        source_image=target,
        import_only=True,
        source_spec=text({**spec, "snapshots": snapshots}),
        object_size="8K",
    )
    migration.wait(target, "prepared")
    migration.text("set", target, "--rate", RATE)
    migration.text("execute", target)
    for percent in (20, 40, 60, 80):
        migration.wait_percent(target, percent)
        migration.text("pause", target)
        for view, expected in views.items():
            assert content(client, target, view) == expected
        migration.text("resume", target)
    migration.text("set", target, "--rate", "off")
    migration.wait(target, "executed")
