"""What the engine has done by a worker: each act has a job, and each job a function."""

from typing import get_args

import pytest

from rbdmigrate.model.jobs import acts
from rbdmigrate.model.states import ActKind, Method
from rbdmigrate.model.verification import Verification, Verify
from tests.fakes.bare import bare_cluster
from tests.fakes.loading import load

from .builders import migration

ACTS = set(get_args(acts.Act))
WARM_ONLY = {acts.Arm, acts.ReverseRound, acts.CutOver}
# A warm migration has no objects that librbd copied in part, and no lock that a client passes on.
# The target of an import that was committed in part is an ordinary image already.
NOT_THERE = {
    acts.ImageEnds: WARM_ONLY,
    acts.WarmEnds: {acts.CompleteObjects, acts.TakeLock},
    acts.ImportEnds: {*WARM_ONLY, acts.FinishCommit},
}


@pytest.fixture
def jobs():
    with bare_cluster("hdd", "nvme"):
        yield load().module("engine.reconcile.worker_jobs")


@pytest.mark.parametrize("act", ActKind)
def test_each_act_of_the_engine_has_the_job_of_its_name(act, jobs):
    m = migration(verification=Verification(Verify.FULL, 1, 1.0, 1.0))
    assert jobs.act_of(act, m, jobs.ActContext()).name == act.value


def test_an_execute_can_be_a_job_of_another_name(jobs):
    warm = migration(method=Method.WARM)
    assert isinstance(jobs.act_of(ActKind.EXECUTE, warm, jobs.ActContext(arm=True)), acts.Arm)


def test_what_is_no_act_has_no_job(jobs):
    with pytest.raises(ValueError, match="no job is known"):
        jobs.act_of(Method.LIVE, migration(), jobs.ActContext())


@pytest.mark.parametrize("ends", get_args(acts.Ends))
def test_a_worker_has_a_function_for_each_job(ends):
    with bare_cluster("hdd", "nvme"):
        known = set(load().module("worker.perform").functions_of(ends))
    assert known == ACTS - NOT_THERE[ends]
