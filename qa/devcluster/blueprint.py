"""The properties of a cluster that are fixed before its first daemon starts."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from qa.devcluster.options import ClusterOptions


@dataclass(frozen=True)
class Blueprint:
    """A cluster's identity: names, ports, UUIDs and the options it was made with."""

    fsid: str
    options: ClusterOptions
    mons: Mapping[str, tuple[int, int]]  # name -> ports of the protocols 2 and 1
    mgrs: Mapping[str, int]  # name -> port of its dashboard
    osds: Mapping[str, str]  # id -> UUID
    rgw_port: int

    @property
    def mon_host(self) -> str:
        return ",".join(f"[{mon_address(*ports)}]" for ports in self.mons.values())

    def to_json(self) -> str:
        return json.dumps({**asdict(self), "options": self.options.to_json()}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Blueprint":
        data: dict[str, Any] = json.loads(text)
        data["options"] = ClusterOptions(**data["options"])
        data["mons"] = {name: (ports[0], ports[1]) for name, ports in data["mons"].items()}
        return cls(**data)


def ports_needed(options: ClusterOptions) -> int:
    return 2 * options.mons + options.mgrs + 1


def draw(options: ClusterOptions, ports: list[int]) -> Blueprint:
    """Choose names and ports."""
    left = iter(ports)
    return Blueprint(
        fsid=str(uuid.uuid4()),
        options=options,
        mons={name: (next(left), next(left)) for name in _letters(options.mons)},
        mgrs={name: next(left) for name in _letters(options.mgrs)},
        osds={str(number): str(uuid.uuid4()) for number in range(options.osds)},
        rgw_port=next(left),
    )


def mon_address(v2: int, v1: int) -> str:
    return f"v2:127.0.0.1:{v2},v1:127.0.0.1:{v1}"


def _letters(count: int) -> str:
    return "abcdefghi"[:count]
