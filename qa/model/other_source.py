"""The ends of a migration by the method warm whose source is an image of another cluster."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import rados

from qa.devcluster import Cluster
from qa.workload.images import opened, split
from rbdmigrate.model.import_policy import ImportPolicy
from rbdmigrate.model.import_source import ImageIdentity, Import
from rbdmigrate.model.jobs import acts
from rbdmigrate.model.migration import Place
from rbdmigrate.model.states import Method


@dataclass(frozen=True)
class OtherSource:
    """A cluster of sources. ``client`` is the tests' own, ``user`` with its key the worker's."""

    cluster: Cluster
    client: rados.Rados
    mon_host: str
    user: str
    key: str

    @classmethod
    def of(cls, cluster: Cluster, client: rados.Rados, user: str, pools: str) -> "OtherSource":
        """For a user with write access to these pools (``pool=one, profile rbd pool=two``)."""
        osd = ("osd", f"profile rbd pool={pools}")
        cluster.ceph("auth", "get-or-create", user, "mon", "profile rbd", *osd)
        key = cluster.ceph("auth", "print-key", user).strip()
        return cls(cluster, client, cluster.blueprint.mon_host, user, key)

    @classmethod
    @contextmanager
    def with_pool(
        cls, cluster: Cluster, client: rados.Rados, user: str, pool: str
    ) -> "Iterator[OtherSource]":
        """The same for a pool that is made, and removed after the block."""
        cluster.create_pool(pool)
        yield cls.of(cluster, client, user, pool)
        cluster.delete_pool(pool)

    def spec(self, source: str) -> "dict[str, str]":
        """The source-spec of an image."""
        pool, namespace, name = split(source)
        named = {"pool_name": pool, "image_name": name}
        if namespace:
            named["pool_namespace"] = namespace
        reached = {"mon_host": self.mon_host, "client_name": self.user, "key": self.key}
        return {"type": "native", **named, **reached}

    def ends(self, ident: str, source: str, target: Place) -> acts.WarmEnds:
        """The ends as an engine gives them to a worker; the target has no id yet."""
        with opened(self.client, source) as image:
            image_id = str(image.id())
        pool = int(self.client.pool_lookup(split(source)[0]))
        identity = ImageIdentity(str(self.client.get_fsid()), pool, image_id)
        imported = Import(json.dumps(self.spec(source)), image=identity)
        elsewhere = acts.ImportEnds(ident, imported, target, ImportPolicy(), Method.WARM)
        return acts.WarmEnds(ident, Place("", "", source, -1, image_id), target, elsewhere)
