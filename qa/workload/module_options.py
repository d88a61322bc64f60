"""Options of the module that are set for a while."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

from qa.devcluster import Cluster
from qa.devcluster.modules import MODULE

_PREFIX = f"mgr/{MODULE}/"

# Nothing uses this option without `log_to_graylog`, and daemons take a new value of it at once.
_MARK = "log_graylog_host"
_numbers = itertools.count(1)


@contextmanager
def module_options(cluster: Cluster, **values: str) -> Iterator[None]:
    """Set options by name (or ``manager/name``); they get back what they were at the end.

    Returns once the active manager knows them. They get their default back by its value: a manager
    keeps the value of an option that is removed until it restarts (Ceph 16.2).
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
    mark = f"options-{next(_numbers)}"  # a manager hears of changes in their order
    cluster.mon_command("config set", who="mgr", name=_MARK, value=mark)
    cluster.wait_for(lambda: _knows(cluster, mark), 60, "the manager to know its options", 0.05)


def _knows(cluster: Cluster, mark: str) -> bool:
    """Whether the active manager has this mark.

    Where none runs there is nothing to wait for: a manager that starts asks the monitors.
    """
    name = cluster.active_mgr()
    if name is None or cluster.daemons.find(f"mgr.{name}") is None:
        return True
    asked = ["ceph", "daemon", f"mgr.{name}", "config", "get", _MARK]
    return f'"{mark}"' in cluster.run(asked, check=False).stdout


def _stored(cluster: Cluster, names: "dict[str, str]") -> "dict[str, str]":
    """The values of these options that the monitors have."""
    stored = cluster.mon_command("config dump")
    found = {each["name"]: str(each["value"]) for each in stored if each["section"] == "mgr"}
    return {name: found[_PREFIX + name] for name in names if _PREFIX + name in found}


def _defaults(cluster: Cluster, names: "dict[str, str]") -> "dict[str, str]":
    modules = cluster.mon_command("mgr dump")["available_modules"]
    (options,) = (each["module_options"] for each in modules if each["name"] == MODULE)
    return {name: str(options[name.split("/")[-1]]["default_value"]) for name in names}
