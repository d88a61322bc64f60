"""Images are renamed, and names given to other images, while a migration waits for its turn."""

from collections.abc import Iterator
from contextlib import contextmanager
from errno import ESTALE
from typing import Any

import pytest
import rados

from qa.devcluster import Cluster
from qa.workload.images import MIB, digests, image_id, make_image, names, place, trash
from rbdmigrate.cluster import headers
from rbdmigrate.cluster.client import Identity
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.jobs.acts import Abort, Act, ActOn, Commit, Execute, ImageEnds, Prepare
from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.migration import Place
from rbdmigrate.worker.perform import perform
from rbdmigrate.worker.session import Session
from tests.cluster.commands import Commands


@contextmanager
def nothing_begins(migration: Commands) -> Iterator[None]:
    """Prepares, commits and aborts wait until the end of the block."""
    migration.text("limit", "set", "--max-steps", "0")
    try:
        yield
    finally:
        migration.text("limit", "set", "--max-steps", "2")


def swap(cluster: Cluster, one: str, other: str) -> None:
    """Give each of two images the other's name."""
    cluster.rbd("rename", one, f"{one}.aside")
    cluster.rbd("rename", other, one)
    cluster.rbd("rename", f"{one}.aside", other)


def test_a_waiting_prepare_follows_its_source_and_leaves_the_image_with_its_former_name_alone(
    cluster: Cluster, migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    source, other, target = f"{pools[0]}/disk", f"{pools[0]}/other", f"{pools[1]}/disk"
    for spec in (source, other):
        make_image(client, spec, size=MIB, seed=len(spec))
    ident, before = image_id(client, source), digests(client, source)
    with nothing_begins(migration):
        migration.ask("run", source_image=source, target_image=target, goal="prepared")
        swap(cluster, source, other)
    report = migration.wait(target, "prepared")
    assert (report["source_image_id"], report["source"]) == (ident, other)
    assert names(client, pools[0]) == ["disk"], "the image with the source's former name stays"
    assert digests(client, target) == before


@pytest.mark.parametrize("command", ["commit", "abort"])
def test_a_waiting_commit_or_abort_follows_its_target(
    command: str,
    cluster: Cluster,
    migration: Commands,
    client: rados.Rados,
    pools: "tuple[str, str]",
) -> None:
    """The other migration, whose target has the name now, is neither committed nor aborted.

    To rename a target is to change it: the abort is not begun without force.
    """
    before = {}
    for name in ("disk", "other"):
        source = f"{pools[0]}/{name}"
        make_image(client, source, size=MIB, seed=len(name))
        before[name] = digests(client, source)
        migration.text(
            "run", "--method", "live", source, f"{pools[1]}/{name}", "--goal", "executed"
        )
        migration.wait(f"{pools[1]}/{name}", "executed")
    ident = migration.report(f"{pools[1]}/disk")["id"]
    with nothing_begins(migration):
        migration.ask(command, target_image=f"{pools[1]}/disk")
        swap(cluster, f"{pools[1]}/disk", f"{pools[1]}/other")
    if command == "abort":
        cluster.wait_for(lambda: migration.report(f"{pools[1]}/other")["paused"], 30, "the refusal")
        migration.ask("abort", target_image=f"{pools[1]}/other", force=True)
    ended = cluster.wait_for(
        lambda: [r for r in migration.ended(f"{pools[1]}/other") if r["id"] == ident],
        30,
        "the migration to be over",
    )
    over = {"commit": "committed", "abort": "aborted"}[command]
    assert (ended[0]["source"], ended[0]["state"]) == (f"{pools[0]}/disk", over)
    assert migration.wait(f"{pools[1]}/disk", "executed")["source"] == f"{pools[0]}/other"
    assert trash(client, pools[0]) != [], "the other source is still there"
    assert digests(client, f"{pools[1]}/disk") == before["other"]
    left = f"{pools[1]}/other" if command == "commit" else f"{pools[0]}/disk"
    assert digests(client, left) == before["disk"]


@pytest.fixture(scope="module")
def session(cluster: Cluster) -> Session:
    return Session(Identity("client.admin", str(cluster.conf), ""))


def ends_of(report: "dict[str, Any]", client: rados.Rados) -> ImageEnds:
    """What the engine knew of both images when it looked last."""

    def end_of(end: str) -> Place:
        pool, _, image = report[end].partition("/")
        ident = report[f"{end}_image_id"]
        return Place(pool, "", image, int(client.pool_lookup(pool)), ident)

    return ImageEnds(end_of("source"), end_of("target"))


def act(op: str, client: rados.Rados, report: "dict[str, Any]") -> Act:
    if op == "abort":
        return Abort(allowed_version=version(client, report))
    return Execute() if op == "execute" else Commit()


def version(client: rados.Rados, report: "dict[str, Any]") -> Any:
    """The version of the target's header, as the engine tells it to a worker that aborts."""
    with place(client, report["target"]) as ioctx:
        return headers.version(ioctx, report["target_image_id"])


@pytest.mark.parametrize("op", ["execute", "commit", "abort"])
def test_an_act_on_a_name_that_leads_to_another_image_is_refused_and_changes_nothing(
    op: str,
    session: Session,
    cluster: Cluster,
    migration: Commands,
    client: rados.Rados,
    pools: "tuple[str, str]",
) -> None:
    """The names were exchanged after the engine had looked."""
    goal = "prepared" if op == "execute" else "executed"
    for name in ("disk", "other"):
        make_image(client, f"{pools[0]}/{name}", size=MIB)
        migration.text(
            "run", "--method", "live", f"{pools[0]}/{name}", f"{pools[1]}/{name}", "--goal", goal
        )
        migration.wait(f"{pools[1]}/{name}", goal)
    report = migration.report(f"{pools[1]}/disk")
    ends = ends_of(report, client)
    swap(cluster, f"{pools[1]}/disk", f"{pools[1]}/other")
    job = ActOn(ends, act(op, client, report))
    with pytest.raises(MigrationError, match="not the image with the id") as refused:
        perform(session, job, lambda report: None)
    assert refused.value.errno == ESTALE
    for name in ("disk", "other"):
        assert f'"state": "{goal}"' in cluster.rbd(
            "status", f"{pools[1]}/{name}", "--format", "json"
        ).replace('":"', '": "')


def test_a_prepare_of_a_name_that_leads_to_another_image_is_refused(
    session: Session,
    cluster: Cluster,
    client: rados.Rados,
    migration: Commands,
    pools: "tuple[str, str]",
) -> None:
    for name in ("disk", "other"):
        make_image(client, f"{pools[0]}/{name}", size=MIB)
    report = {
        "id": "1", "source": f"{pools[0]}/disk", "target": f"{pools[1]}/disk",
        "source_image_id": image_id(client, f"{pools[0]}/disk"), "target_image_id": "",
    }  # fmt: skip
    ends = ends_of(report, client)
    swap(cluster, f"{pools[0]}/disk", f"{pools[0]}/other")
    with pytest.raises(MigrationError) as refused:
        perform(session, ActOn(ends, Prepare(LayoutOptions())), lambda report: None)
    assert refused.value.errno == ESTALE
    assert names(client, pools[0]) == ["disk", "other"]
    assert names(client, pools[1]) == []
