"""What librbd forgets of an image when an act is cut off is given back: group and mirroring."""

import pytest
import rados
import rbd

from qa.devcluster import Cluster
from qa.workload.images import MIB, image_id, make_image
from rbdmigrate.cluster.client import Identity
from rbdmigrate.model.migration import Place
from rbdmigrate.worker.repair.group_mirror import give_back, group_of, mirror_mode_of
from rbdmigrate.worker.session import Session


@pytest.mark.parametrize("mode", [rbd.RBD_MIRROR_IMAGE_MODE_SNAPSHOT, None])
def test_an_image_gets_its_group_and_its_mirroring_back(
    mode: "int | None", cluster: Cluster, client: rados.Rados, pool: str
) -> None:
    make_image(client, f"{pool}/disk", size=MIB)
    cluster.rbd("mirror", "pool", "enable", pool, "image")
    cluster.rbd("group", "create", f"{pool}/backup")
    number = int(client.pool_lookup(pool))
    source = Place(pool, "", "disk", number, image_id(client, f"{pool}/disk"))
    session = Session(Identity("client.admin", str(cluster.conf), ""))
    for _ in range(2):  # an act that is repeated finds it given back already
        give_back(session, source, f"{number}/backup", mode)
        with session.open(source) as ioctx, rbd.Image(ioctx, "disk", read_only=True) as image:
            assert group_of(image) == f"{number}/backup"
            assert mirror_mode_of(image) == mode
    cluster.rbd("group", "image", "remove", f"{pool}/backup", f"{pool}/disk")
    if mode is not None:
        cluster.rbd("mirror", "image", "disable", f"{pool}/disk", "--force")
    cluster.rbd("mirror", "pool", "disable", pool)
