"""Migrations by the method warm from another cluster: what their records and targets tell."""

import json
from dataclasses import replace

import pytest

from rbdmigrate.control.health.warnings import keys_needed
from rbdmigrate.control.lifecycle.cutover import in_another_cluster, to_cut_over, waits_for_clients
from rbdmigrate.control.lifecycle.cutover_policy import with_cutover_policy
from rbdmigrate.control.lifecycle.decide import decide
from rbdmigrate.control.lifecycle.decision import End, Rest, RunAct
from rbdmigrate.control.lifecycle.situation import Situation, diagnose
from rbdmigrate.control.lifecycle.warm import removes_snapshots
from rbdmigrate.model.codec import from_plain, to_plain
from rbdmigrate.model.cutover import CutoverMode, CutoverPolicy
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.import_source import ImageIdentity, Import
from rbdmigrate.model.migration import Migration, Place
from rbdmigrate.model.observation import HeaderState, ImageView, NamesNow, Observation
from rbdmigrate.model.report import Live, report
from rbdmigrate.model.request import MigrationRequest
from rbdmigrate.model.rounds import Rounds, hidden_name
from rbdmigrate.model.source_spec import parse_source_spec
from rbdmigrate.model.states import ActKind, Goal, Method, State
from tests.unit.test_warm import target

NOW = 10_000.0
SPEC = json.dumps({
    "type": "native", "mon_host": "10.0.0.1", "key": "config://rbd/migration/m1/key",
    "pool_name": "hdd", "image_name": "vm",
})  # fmt: skip
IDENTITY = ImageIdentity("8a7f", 3, "src")
HIDDEN = hidden_name("m1")
EXECUTED = HeaderState.EXECUTED


def record(state: State = State.EXECUTED, **changes) -> Migration:
    plain = Migration(
        id="m1",
        source=Place("", "", "hdd/vm at 10.0.0.1", -1, "src"),
        target=Place("nvme", "", "vm", 5, "dst"),
        goal=Goal.EXECUTED,
        state=state,
        created=1.0,
        method=Method.WARM,
        prepared_at=2.0,
        comparison_snapshot=".rbd_migration.m1.1",
        imported=Import(SPEC, image=IDENTITY),
        rounds=Rounds(count=1, bytes=0, seconds=0.1, at=NOW),
    )
    return replace(plain, **changes)


def seen(view, *, published=False, complete=False, **more) -> Observation:
    names = NamesNow(source=not published, target=published, complete=complete)
    return Observation(None, view, names=names, **more)


SITUATIONS = [
    (record(), Observation(None, None), Situation.HALF_ABORTED),
    (record(comparison_snapshot=""), Observation(None, None), Situation.UNTOUCHED),
    (record(comparison_snapshot="", prepared_at=None), Observation(None, None, target_gone=True),
     Situation.TARGET_POOL_GONE),
    (record(comparison_snapshot=""), Observation(None, None, target_gone=True),
     Situation.UNTOUCHED),
    (record(), Observation(None, None, target_gone=True), Situation.HALF_ABORTED),
    (record(), seen(target(HeaderState.PREPARED)), Situation.PREPARED),
    (record(), seen(target(EXECUTED)), Situation.EXECUTED),
    (record(State.CUTTING_OVER), seen(target(EXECUTED)), Situation.EXECUTED),
    (record(State.CUTTING_OVER), seen(target(EXECUTED, "vm"), published=True),
     Situation.HALF_CUT_OVER),
    (record(State.CUT_OVER, cut_over_at=3.0), seen(target(EXECUTED, "vm"), published=True,
     complete=True), Situation.CUT_OVER),
    (record(State.CUT_OVER, cut_over_at=3.0), seen(target(EXECUTED, "renamed")),
     Situation.CUT_OVER),
    (record(State.COMMITTING, cut_over_at=3.0), seen(target(None, "vm"), published=True,
     complete=True), Situation.COMMITTED),
    (record(State.PREPARING, prepared_at=None, target=Place("nvme", "", "vm", 5)),
     seen(target(None)), Situation.HALF_PREPARED),
    (record(State.ABORTING), seen(ImageView("dst", HIDDEN, True, False, None, exists=False)),
     Situation.HALF_ABORTED),
]  # fmt: skip


@pytest.mark.parametrize(("m", "observed", "situation"), SITUATIONS)
def test_the_target_alone_tells_the_situation(m, observed, situation):
    assert diagnose(m, observed) is situation


def test_an_abort_is_over_when_its_answer_says_that_the_source_is_as_it_was():
    """Somebody who removes the copy has its source cleaned up."""
    gone = Observation(None, None)
    m = record()
    assert decide(m, diagnose(m, gone), NOW) == RunAct(ActKind.ABORT)
    for act in (ActKind.ABORT, ActKind.COMMIT, ActKind.REMOVE_COMPARISON_SNAPSHOT):
        assert removes_snapshots(m, act)
    assert not removes_snapshots(replace(m, imported=None), ActKind.ABORT)
    done = replace(m, state=State.ABORTING, comparison_snapshot="")
    assert isinstance(decide(done, diagnose(done, gone), NOW), End)


def test_a_cutover_that_was_cut_off_is_repeated_though_the_source_is_not_seen():
    m = record(State.CUTTING_OVER, goal=Goal.CUT_OVER)
    for observed in (seen(target(EXECUTED)), seen(target(EXECUTED, "vm"), published=True)):
        assert decide(m, diagnose(m, observed), NOW) == RunAct(ActKind.CUT_OVER)


def test_how_clients_are_made_to_leave_the_source():
    closed = CutoverPolicy(CutoverMode.WHEN_CLOSED, name_changes=True)
    m = to_cut_over(record(), closed)
    assert waits_for_clients(m)
    assert in_another_cluster(m)
    assert decide(m, Situation.EXECUTED, NOW) == Rest()
    back = replace(m, cut_over_at=3.0, goal=Goal.ABORTED, cutover=CutoverPolicy(CutoverMode.HOOK))
    assert waits_for_clients(back)
    assert not in_another_cluster(back)
    with pytest.raises(MigrationError, match="agents move guests within one cluster"):
        with_cutover_policy(m, CutoverPolicy(CutoverMode.AGENT))


def test_the_report_says_where_the_source_is():
    said = report(record(), Live())
    assert (said["source_cluster"], said["import_only"]) == ("8a7f", False)
    assert (said["source"], said["source_image_id"]) == ("hdd/vm at 10.0.0.1", "src")
    assert said["source_spec"]["key"].startswith("config://")
    after = report(record(State.CUT_OVER, cut_over_at=3.0, goal=Goal.CUT_OVER), Live())
    assert "leaves the source in the trash of its cluster" in after["next"]
    assert report(replace(record(), imported=None), Live())["source_cluster"] is None
    assert keys_needed(record()) == ("rbd/migration/m1/key",)


def test_a_place_of_this_cluster_is_stored_as_before():
    here = Place("hdd", "", "vm", 3, "src")
    assert "cluster" not in to_plain(here)
    there = replace(here, cluster="10.0.0.1")
    assert (str(here), str(there)) == ("hdd/vm", "hdd/vm at 10.0.0.1")
    assert [from_plain(Place, to_plain(place)) for place in (here, there)] == [here, there]


def test_a_whole_image_is_migrated_by_warm_alone():
    spec = parse_source_spec(SPEC)
    assert (spec.is_image, spec.label()) == (True, "hdd/vm at 10.0.0.1")
    asked = MigrationRequest(spec.name, record().target.spec, spec=spec)
    assert asked.method is Method.WARM
    assert str(asked.rbd_source) == "hdd/vm"
    assert asked.by(Method.WARM).method is Method.WARM
    for method in (Method.COPY, Method.LIVE):
        with pytest.raises(MigrationError, match="add snap_name"):
            asked.by(method)
    snapshot = replace(spec, snap_name="monday")
    assert not snapshot.is_image
    of_snapshot = MigrationRequest(snapshot.name, record().target.spec, spec=snapshot)
    assert of_snapshot.method is Method.COPY
    with pytest.raises(MigrationError, match="its snapshot"):
        of_snapshot.by(Method.WARM)
    with pytest.raises(MigrationError, match="name the snapshot, which an import needs"):
        parse_source_spec('{"type": "native", "pool_name": "hdd", "image_name": "vm"}')
