"""Random images are migrated to what the model says (``./run qa model`` tries many more)."""

import pytest
import rados

from qa.devcluster import Cluster
from qa.model.trial import Trimming, run_batch


@pytest.mark.parametrize(
    ("how", "first"), [(Trimming.NORMAL, 100), (Trimming.STOPPED, 200)], ids=["normal", "stopped"]
)
def test_no_committed_image_has_a_wrong_byte_however_snapshots_are_trimmed(
    cluster: Cluster, client: rados.Rados, pools: "tuple[str, str]", how: Trimming, first: int
) -> None:
    trials = run_batch(cluster, client, pools, [first + index for index in range(3)], how)
    assert [(trial.seed, trial.wrong) for trial in trials if trial.wrong] == []
    assert all(trial.committed for trial in trials)
