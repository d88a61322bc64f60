"""One source of most kinds is imported (``./run qa imports`` tries many more)."""

import rados

from qa.devcluster import Cluster
from qa.imports.cli import import_all
from qa.imports.outcome import Outcome

_KINDS = [
    "raw",
    "qcow2",
    "qcow2 with snapshots",
    "raw with snapshots",
    "qcow2, compressed",
    "qcow2, zeroed in place",
    "vdi declared raw",
    "packed, declared raw",
    "another type",
    "qcow, cut off",
    "no disk",
    "http, faulty server",
    "http, redirect",
]


def test_sources_are_imported_right_or_refused_with_a_remedy_that_works(
    cluster: Cluster, client: rados.Rados
) -> None:
    sources = [(kind, seed) for seed, kind in enumerate(_KINDS)]
    trials = list(import_all(cluster, client, sources))
    good = (Outcome.RIGHT, Outcome.REMEDIED, Outcome.REFUSED)
    assert [trial for trial in trials if trial.outcome not in good] == []
    found = {trial.kind: trial.outcome for trial in trials}
    assert found["raw"] is Outcome.RIGHT
    assert found["qcow2, zeroed in place"] is Outcome.REMEDIED
    assert found["no disk"] is Outcome.REFUSED
