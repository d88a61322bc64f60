"""Options of the module that are set for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

from qa.devcluster import Cluster
from qa.devcluster.modules import MODULE

_PREFIX = f"mgr/{MODULE}/"


@contextmanager
def module_options(cluster: Cluster, **values: str) -> Iterator[None]:
    """Set options by name (or ``manager/name``); they get back what they were at the end.

    They get their default back by its value: a manager keeps the value of an option that is
    removed until it restarts (Ceph 16.2).
    """
    before = {**_defaults(cluster, values), **_stored(cluster, values)}
    try:
        _set(cluster, values)
        yield
    finally:
        _set(cluster, before)


def _set(cluster: Cluster, values: "dict[str, str]") -> None:
    for name, value in values.items():
        cluster.mon_command("config set", who="mgr", name=_PREFIX + name, value=value, force=True)


def _stored(cluster: Cluster, names: "dict[str, str]") -> "dict[str, str]":
    """The values of these options that the monitors have."""
    stored = cluster.mon_command("config dump")
    found = {each["name"]: str(each["value"]) for each in stored if each["section"] == "mgr"}
    return {name: found[_PREFIX + name] for name in names if _PREFIX + name in found}


def _defaults(cluster: Cluster, names: "dict[str, str]") -> "dict[str, str]":
    modules = cluster.mon_command("mgr dump")["available_modules"]
    (options,) = (each["module_options"] for each in modules if each["name"] == MODULE)
    return {name: str(options[name.split("/")[-1]]["default_value"]) for name in names}
