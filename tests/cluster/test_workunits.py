"""The shortest of the scripts for Ceph's lab; ``./run qa workunits`` runs them all."""

from qa.devcluster import Cluster
from qa.workunits.cli import named_by_suites, run


def test_a_single_image(cluster: Cluster) -> None:
    (unit,) = (unit for unit in named_by_suites() if "single" in unit.name)
    output, passed = run(cluster, unit)
    assert passed, output
    assert "\nOK\n" in output
