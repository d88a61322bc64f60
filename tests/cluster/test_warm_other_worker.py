"""The worker's acts of the method warm with the source in another cluster, killed anywhere."""

from dataclasses import replace
from errno import EINVAL

import pytest

from qa.model.killed_worker import ActFailed
from qa.model.other_source import OtherSource
from qa.model.warm_trial import run_trial
from qa.workload.images import content, make_image, names, opened, trash, wipe
from rbdmigrate.model.jobs import acts
from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.migration import Place
from tests.cluster.test_import_other_cluster import other  # noqa: F401 - a fixture
from tests.cluster.test_warm_worker import BACK, FORWARD, Chosen

POOL = "leaving-too"
pytestmark = pytest.mark.timeout(900)  # each kill starts a worker again, on a busy machine in 10 s


@pytest.fixture(scope="module")
def far(other):  # noqa: F811
    """The other cluster, with a pool of its own, and a user with write access."""
    with OtherSource.with_pool(*other, "client.move-too", POOL) as made:
        yield made


@pytest.fixture(autouse=True)
def empty(far):
    yield
    assert wipe(far.client, [POOL])


def write(client, spec, data, offset):
    with opened(client, spec, read_only=False) as image:
        image.write(data, offset)


def prepared(client, worker, far, number, source, target):
    """The ends of a migration that is prepared."""
    pool, name = target.split("/")
    ends = far.ends(f"{number:012x}", source, Place(pool, "", name, client.pool_lookup(pool)))
    made = worker.run(ends, acts.Prepare(LayoutOptions(object_size=1 << 18)))
    return replace(ends, target=replace(ends.target, image_id=made.target_id))


def test_a_worker_that_dies_between_any_two_steps_of_a_cutover(client, pools, worker, far):
    source, target = f"{POOL}/cut", f"{pools[0]}/moved"
    make_image(far.client, source, size=1 << 20, object_size=1 << 16, snapshots=("one",))
    for number, point in enumerate((*FORWARD, *BACK)):
        forward = number < len(FORWARD)
        ends = prepared(client, worker, far, number, source, target)
        worker.run(ends, acts.Execute())
        write(far.client, source, b"last" * 128, 4096 * number)
        wanted = {view: content(far.client, source, view) for view in ("one", None)}
        kills = worker.kills
        if forward:
            worker.arm(Chosen(point), (), 1.0)
        worker.run(ends, acts.CutOver())
        assert {view: content(client, target, view) for view in wanted} == wanted, point
        assert names(far.client, POOL) == [], point
        write(client, target, b"back" * 128, 4096 * number + 2048)
        wanted[None] = content(client, target)
        if not forward:
            worker.arm(Chosen(point), (), 1.0)
        worker.run(ends, acts.Abort())
        assert worker.kills == kills + 1, f"{point} was not reached"
        assert {view: content(far.client, source, view) for view in wanted} == wanted, point
        assert names(far.client, POOL) == ["cut"], point
        assert (trash(far.client, POOL), trash(client, pools[0])) == ([], []), point
        assert names(client, pools[0]) == [], point


@pytest.mark.parametrize("seed", [11, 12, 13, 14])
def test_random_images_with_a_client_at_work_and_workers_that_die(client, pools, worker, far, seed):
    trial = run_trial(client, (POOL, pools[0]), worker, seed, 0.8, other=far)
    assert trial.wrong == [], trial.about
    assert trial.end


def test_another_cluster_behind_the_same_address_is_refused(client, pools, worker, far):
    source, target = f"{POOL}/cut", f"{pools[0]}/moved"
    make_image(far.client, source, size=1 << 20, snapshots=())
    ends = prepared(client, worker, far, 99, source, target)
    imported = ends.elsewhere.imported
    wrong = replace(imported.image, fsid="00000000-0000-0000-0000-000000000000")
    exchanged = replace(ends.elsewhere, imported=replace(imported, image=wrong))
    for act in (acts.Execute(), acts.CutOver(), acts.Abort()):
        with pytest.raises(ActFailed, match="are those of the cluster") as error:
            worker.run(replace(ends, elsewhere=exchanged), act)
        assert error.value.errno == EINVAL
    worker.run(ends, acts.Abort())
    assert names(client, pools[0]) == []
