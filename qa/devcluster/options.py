"""The options of a development cluster."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from qa.devcluster.errors import DevClusterError

GIB = 1 << 30
MAX_MONS = MAX_MGRS = 9

#: For tests that kill managers: a dead one is replaced after about 5 s instead of 30 s.
FAST_FAILOVER: Mapping[str, str] = {
    "mon_mgr_beacon_grace": "5",
    "mgr_tick_period": "1",
    "mon_tick_interval": "1",
}  # fmt: skip

# Other clusters of ours have monitors that answer sooner, so that they start sooner.
SHIPPED_MONITORS: Mapping[str, str] = {"paxos_propose_interval": "1.0"}


@dataclass(frozen=True)
class ClusterOptions:
    """The size and the parts of a cluster."""

    mons: int = 1
    mgrs: int = 1
    osds: int = 1
    osd_size: int = 20 * GIB  # size of the sparse file behind each OSD, in bytes
    rgw: bool = False
    dashboard: bool = False
    module: bool = True  # link our manager module from the repository and enable it
    conf: Mapping[str, str] = field(default_factory=dict)  # more lines for ceph.conf, [global]

    def __post_init__(self) -> None:
        for what, number, most in (
            ("mons", self.mons, MAX_MONS),
            ("mgrs", self.mgrs, MAX_MGRS),
            ("osds", self.osds, 99),
        ):
            if not 1 <= number <= most:
                raise DevClusterError(f"A cluster has 1 to {most} {what}, not {number}.")
        if self.osd_size < GIB:
            raise DevClusterError("An OSD needs a size of 1 GiB or more.")

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "conf": dict(self.conf)}


def parse_conf_line(text: str) -> "tuple[str, str]":
    """'key=value' of ``--conf``; the key may be written with blanks or dashes."""
    key, equals, value = text.partition("=")
    key = key.strip().replace(" ", "_").replace("-", "_")
    if not equals or not key:
        raise DevClusterError(f"--conf takes key=value, not {text!r}.")
    return key, value.strip()
