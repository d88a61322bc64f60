"""The demo's own RADOS client, whose I/O times out if the cluster does not answer."""

import contextlib
from collections.abc import Iterator

import rados

from qa.demo.errors import DemoError
from qa.devcluster import Cluster

_TIMEOUTS = {
    "client_mount_timeout": "20",
    "rados_mon_op_timeout": "0",  # it would end the process, see devcluster's ``connect``
    "rados_osd_op_timeout": "60",
}


@contextlib.contextmanager
def connect(cluster: Cluster) -> Iterator[rados.Rados]:
    client = rados.Rados(conffile=str(cluster.conf), name="client.admin", conf=_TIMEOUTS)
    try:
        try:
            client.connect()
        except rados.Error as error:
            raise DemoError(f"The cluster cannot be reached: {error}.") from error
        yield client
    finally:
        client.shutdown()
