"""What an import of a recorded store comes from where it is transplanted to.

The recorded source is gone: one of the same format and content is made, and served over a stream of
the same type. So the path or the URL, the host, and what the source is known again by are adapted.
The references to secrets stay as they were recorded; those of the gateway here are put behind them.
"""

import json
from typing import Any

import rados
import rbd

from qa.devcluster import Cluster
from qa.workload.apart import apart
from qa.workload.images import digests, place, split
from qa.workload.sources import make_source
from rbdmigrate.model.import_policy import ImportPolicy
from rbdmigrate.model.source_spec import parse_source_spec
from rbdmigrate.sources import identify
from tests.cluster.importing import Place, text

_KINDS = {"raw": "raw", "qcow": "qcow3-snapshots"}
_CONFIG = "config://"
_HOSTS = {"file": "", "http": "localhost", "s3": "127.0.0.1"}


def adapted_import(record: "dict[str, Any]", cluster: Cluster, sources: Place) -> "dict[str, Any]":
    """The field ``imported`` of a record, of a source that is made here, its secrets put."""
    recorded = record["imported"]
    spec = json.loads(recorded["spec"])
    stream, kind = spec["stream"], spec["type"]
    file = make_source(sources.folder, _KINDS[kind], seed=int(record["id"], 16)).files[0]
    here = sources.stream(stream["type"])(file)
    plain = {"type": kind, "stream": here}
    found = identify(parse_source_spec(text(plain)), ImportPolicy((str(sources.folder),)))
    assert found.keys() == recorded["identity"].keys()
    referring = {name: value for name, value in stream.items() if value.startswith(_CONFIG)}
    for name, reference in referring.items():
        key = reference[len(_CONFIG) :]
        assert key in recorded["secrets"]
        cluster.mon_command("config-key set", key=key, input=here[name])
    return {
        **recorded,
        "spec": parse_source_spec(text({**plain, "stream": {**here, **referring}})).to_json(),
        "host": _HOSTS[stream["type"]],
        # What the version did not look at yet is not in its records.
        "identity": {
            path: {name: found[path][name] for name in known}
            for path, known in recorded["identity"].items()
        },
        "makers": [],
    }


def prepare_import(
    cluster: Cluster, imported: "dict[str, Any]", target: str, layout: "dict[str, Any]"
) -> None:
    """Prepare the target in a process of its own, which is its maker then."""
    size = layout["object_size"]
    order = size.bit_length() - 1 if size else 0
    imported["makers"] = [apart(cluster, prepared_by, target, order, imported["spec"])]


def prepared_by(client: rados.Rados, target: str, order: int, spec: str) -> int:
    """Prepare the target and return the client's number."""
    options = {"order": order} if order else {}
    with place(client, target) as ioctx:
        rbd.RBD().migration_prepare_import(spec, ioctx, split(target)[2], **options)
    return int(client.get_instance_id())


def import_digests(cluster: Cluster, target: str) -> "dict[str, str]":
    """The digests of an image that may still read from its source (see ``images.digests``)."""
    found: dict[str, str] = apart(cluster, digests, target)
    return found
