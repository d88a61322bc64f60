"""A cluster that images are imported from: images of many kinds, and a user who may only read.

``python3 -m qa.imports.source_cluster FOLDER`` fills the running cluster in FOLDER. What each view
reads as is kept there too, as the release that wrote it reads it. ``--older-clients``: clients
of releases before 20 can use it too.
"""

import argparse
import json
import random
import sys
from collections.abc import Sequence
from typing import Optional

import rados

from qa.devcluster import Cluster
from qa.model.operations import operate
from qa.model.shapes import KINDS, Shape
from qa.workload.images import KIB, digests, make_image, place

POOL, USER = "far", "client.reader"
SNAPSHOT = "last"  # of the images of many kinds
_DATA = "far-data"
_DIGESTS = "digests"  # the object with what the images of many kinds have to read as
_FEATURES = ("layering", "exclusive-lock", "object-map", "fast-diff", "deep-flatten")
_OPERATIONS = 25


def admit_older_clients(cluster: Cluster) -> None:
    """Have a cluster of release 20 use keys and tickets of the former type, AES.

    Its keyring has the admin's key only then: older clients read no file with keys of the new type.
    Daemons have read theirs.
    """
    cluster.ceph("mon", "set", "auth_allowed_ciphers", "aes,aes256k")
    cluster.ceph("mon", "set", "auth_service_cipher", "aes")
    cluster.ceph("mon", "set", "auth_preferred_cipher", "aes")
    # The monitors need a moment until they make such keys.
    admin = cluster.wait_for(lambda: _new_key(cluster), 30, "a key of the type AES")
    cluster.layout.keyring.write_text(admin, encoding="utf-8")


def _new_key(cluster: Cluster) -> str:
    """A keyring with a new key of the admin; empty while the monitors refuse to make it."""
    done = cluster.run(["ceph", "auth", "rotate", "client.admin", "--key_type", "aes"], check=False)
    return done.stdout if done.returncode == 0 else ""


def fill(cluster: Cluster) -> None:
    """Make pools, user and images: ``src``, the same in a namespace, and one of each kind."""
    cluster.create_pool(POOL)
    erasure = len(cluster.blueprint.osds) >= 3
    cluster.create_pool(_DATA, pool_type="erasure" if erasure else "replicated")
    cluster.rbd("namespace", "create", f"{POOL}/tenant")
    osd = f"profile rbd-read-only pool={POOL}, profile rbd-read-only pool={_DATA}"
    cluster.ceph("auth", "get-or-create", USER, "mon", "profile rbd-read-only", "osd", osd)
    with cluster.connect() as client:
        for spec in (f"{POOL}/src", f"{POOL}/tenant/src"):
            make_image(client, spec, snapshots=("one", "two", "three"), protect=("one",))
        wanted = {}
        for seed, kind in enumerate(KINDS):
            spec, shape = f"{POOL}/{seed}", Shape(kind, 256 * KIB, _FEATURES, _DATA)
            _make(client, spec, shape, random.Random(seed))
            wanted[spec] = digests(client, spec)
        with place(client, f"{POOL}/-") as ioctx:
            ioctx.write_full(_DIGESTS, json.dumps(wanted).encode())


def _make(client: rados.Rados, spec: str, shape: Shape, chance: random.Random) -> None:
    """Make an image with random content and snapshots, and a head that is newer than those."""
    model = shape.make(client, spec, chance)
    with shape.opened(client, spec, read_only=False) as image:
        for _ in range(_OPERATIONS):
            operate(image, model, chance, shape.object_size, without=shape.without)
        image.flush()
        image.create_snap(SNAPSHOT)
        image.write(b"later", 0)


def wanted_digests(client: rados.Rados) -> "dict[str, dict[str, str]]":
    """By spec of the images of many kinds, what each view read as when the cluster was filled."""
    with place(client, f"{POOL}/-") as ioctx:
        size, _ = ioctx.stat(_DIGESTS)
        found: dict[str, dict[str, str]] = json.loads(ioctx.read(_DIGESTS, size))
    return found


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Fill the cluster in the folder that the command line names."""
    parser = argparse.ArgumentParser(prog="qa.imports.source_cluster", description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--older-clients", action="store_true")
    options = parser.parse_args(argv)
    cluster = Cluster(options.folder)
    if options.older_clients:
        admit_older_clients(cluster)
    fill(cluster)
    return 0


if __name__ == "__main__":
    sys.exit(main())
