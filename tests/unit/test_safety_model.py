"""The rules of safety (``tests/fakes/safety.py``) over random runs; that breaking them is seen.

``RBD_MIGRATION_SAFETY_EXAMPLES`` is the number of random runs. ``./run qa safety`` makes as many as
there is time for.
"""

import os
import random
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rbdmigrate.model.cutover import CutoverMode
from rbdmigrate.model.jobs import acts
from rbdmigrate.model.states import Goal, Method
from rbdmigrate.model.verification import Verify
from tests.fakes import warm
from tests.fakes.safety import NAMES, STEPS, Run, Step, carry_out, outcome, random_steps, shortest
from tests.fakes.safety_hooks import NO

EXAMPLES = int(os.environ.get("RBD_MIGRATION_SAFETY_EXAMPLES", "40"))
DAY = 86400.0


def _with_arguments(name):
    choices = STEPS[name][1]
    arguments = (st.tuples(st.just(key), st.sampled_from(of)) for key, of in choices.items())
    return st.tuples(*arguments).map(lambda found: Step(name, found))


steps = st.sampled_from(NAMES).flatmap(_with_arguments)


@pytest.mark.timeout(900)  # a run that breaks a rule is made as short as it can be
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
@given(seed=st.integers(0, 9999), taken=st.lists(steps, min_size=6, max_size=24))
def test_no_random_run_breaks_a_rule(seed, taken):
    carry_out(seed, taken)


def step(name, **arguments):
    return Step(name, tuple(arguments.items()))


def linked(run, **policy):
    """The disk a, prepared as far as ``policy`` says, and the id of its migration."""
    run.prepare(
        **{"disk": "a", "goal": Goal.EXECUTED, "verify": Verify.NONE, "soak": 0.0, **policy}
    )
    assert run.world.wait_until_quiet()
    return run.world.record("nvme/a").id


def worker_does(run, command):
    """A worker that goes about it without being told to."""
    run.world.client("worker-astray").rbd(command, "nvme/a")
    return run.judge.wrong


def stray_worker(run):
    """A worker that works on the warm migration of the disk a without being told to."""
    record, guest = run.world.record("nvme/a"), run.world.client("worker-astray")
    session = SimpleNamespace(open=lambda place: guest.ioctx(str(place.spec)))
    return session, acts.WarmEnds(record.id, record.source, record.target)


def exchange(run):
    """A cutover by a worker that goes about it without being told to."""
    warm.Sides(*stray_worker(run)).exchange().run(undo=False, told=lambda: None)
    return run.judge.wrong


@pytest.fixture
def run():
    with Run(0) as made:
        yield made


def test_a_commit_that_nobody_asked_for_is_seen(run):
    linked(run)
    assert "nobody asked" in worker_does(run, "commit")[0]


def test_a_commit_without_the_verification_that_was_asked_for_is_seen(run):
    linked(run, verify=Verify.FULL)
    run.judge.of(run.world.record("nvme/a").id).commit = True
    assert "without the verification full" in worker_does(run, "commit")[0]


def test_a_commit_before_the_end_of_the_soak_time_is_seen(run):
    linked(run, soak=7 * DAY)
    run.judge.of(run.world.record("nvme/a").id).commit = True
    assert "before its soak time" in worker_does(run, "commit")[0]


def test_a_commit_after_an_accepted_abort_is_seen(run):
    ident = linked(run, goal=Goal.EXECUTED)
    run.judge.of(ident).commit = True
    run.judge.abort_accepted(ident, force=False, began=0.0)
    assert "an abort of it was accepted" in worker_does(run, "commit")[0]


def test_a_commit_that_an_administrator_forced_is_right(run):
    linked(run, verify=Verify.FULL, soak=7 * DAY)
    run.commit("a", force=True)
    run.end()
    assert run.world.names("nvme") == ["a"]


@pytest.mark.parametrize("kind", ["snap_create", "resize"])
def test_an_abort_that_loses_what_a_client_did_is_seen(run, kind):
    linked(run)
    arguments = {"size": 6} if kind == "resize" else {}
    getattr(run.guests, kind)("a", **arguments)
    assert f"loses what a client did: {kind}" in worker_does(run, "abort")[0]


def test_an_abort_that_loses_a_write_is_seen(run):
    ident = linked(run)
    target = run.world.record("nvme/a").target.image_id
    assert ident
    run.guests.client_opens("a")
    run.guests.client_writes("a", 2)
    run.guests.client_closes("a")
    pool = run.world.cluster.pool_named("nvme")
    del pool.objects[("", f"rbd_header.{target}")].header.blocks[2]
    assert "a write to object 2 of a was lost" in worker_does(run, "abort")[-1]


def test_a_cutover_that_nobody_asked_for_is_seen(run):
    linked(run, method=Method.WARM)
    assert "is cut over, and nobody asked for that" in exchange(run)[0]


def test_a_cutover_that_was_asked_for_is_right(run):
    linked(run, method=Method.WARM)
    run.cutover("a", None)
    run.end()
    assert "a" in run.world.names("nvme")


def test_a_write_that_a_cutover_leaves_behind_is_seen(run, monkeypatch):
    ident = linked(run, method=Method.WARM)
    run.judge.of(ident).cut_over = True
    run.guests.client_opens("a")
    run.guests.client_writes("a", 2)
    run.guests.client_closes("a")
    monkeypatch.setattr(warm, "copy_round", lambda *_: ("", 0))
    monkeypatch.setattr(warm.Exchange, "_require_unchanged", lambda *_: None)
    assert "the disk a reads otherwise than what was written" in exchange(run)[0]


def test_a_cutover_against_the_veto_of_a_hook_is_seen(run):
    run.hooks.hook_add("one")
    run.hooks.hook_says("one", NO)
    linked(run, goal=Goal.CUT_OVER, method=Method.WARM, cutover=CutoverMode.HOOK)
    assert "although the hook one answered before_cutover with 409" in exchange(run)[0]


def test_a_warm_migration_that_is_aborted_although_nobody_asked_is_seen(run):
    linked(run, method=Method.WARM)
    warm.abort(*stray_worker(run), acts.Abort(), None)
    assert "is aborted, and nobody asked for that" in run.judge.wrong[0]


def test_a_target_that_clients_use_is_not_removed_unseen(run):
    ident = linked(run, method=Method.WARM)
    run.cutover("a", None)
    run.judge.of(ident).may_abort = True
    warm.Sides(*stray_worker(run)).event("copy_removed")
    assert "is removed, which clients use" in run.judge.wrong[0]


def test_a_refusal_that_changes_something_is_seen(run, monkeypatch):
    def refuse(request):
        run.world.cluster.config_keys["left"] = b"behind"
        return run._refusal(request)

    monkeypatch.setattr(run, "_refusal", run._carry_out, raising=False)
    monkeypatch.setattr(run, "_carry_out", refuse)
    with pytest.raises(AssertionError, match="was refused"):
        run.refused("a", "commit", force=False)


def test_a_lost_disk_is_seen(run):
    linked(run)
    target = run.world.record("nvme/a").target.image_id
    del run.world.cluster.pool_named("nvme").objects[("", f"rbd_header.{target}")]
    assert "is gone" in "".join(run.judge.contents())


def test_a_run_is_the_same_with_the_same_seed():
    def operations(seed):
        with Run(seed) as run:
            for taken in random_steps(random.Random(seed), 12):
                run.take(taken)
            return run.world.cluster.operations, run.world.simulation.now

    assert operations(3) == operations(3)


def test_a_run_that_breaks_a_rule_is_made_short():
    broken = [step("time_passes", seconds=0.05), step("nothing"), step("days_pass", days=1)]
    assert "nothing" in outcome(0, broken)
    assert shortest(0, broken, lambda wrong: "nothing" in wrong) == [step("nothing")]
