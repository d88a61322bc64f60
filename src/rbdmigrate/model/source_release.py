"""Which Ceph releases can read a source of an import."""

from __future__ import annotations

from typing import NamedTuple, Optional

from .source import SourceSpec


class Needs(NamedTuple):
    """The first release that supports a source: ``(20, "Tentacle", "an nbd stream")``."""

    major: int
    name: str
    what: str


def required_release(spec: SourceSpec) -> Optional[Needs]:
    """Return the lowest release that supports a source; None when all with imports do."""
    if any(stream.type == "nbd" for _, stream in spec.streams()):
        return Needs(20, "Tentacle", "an nbd stream")
    return None


def unsupported(spec: SourceSpec, release: tuple[int, ...]) -> Optional[str]:
    """Return why a cluster of this release cannot read the source, for EOPNOTSUPP; None if it can.

    Releases before 20 read the local cluster in place of another one, and 20 copies wrong bytes.
    """
    if spec.cluster_name is not None:
        return (
            f"{spec.label()} is in another cluster, whose live head librbd would copy in place of "
            "the snapshot; export the snapshot there with `rbd export` and import that as raw."
        )
    needs = required_release(spec)
    if needs is None or release[:1] >= (needs.major,):
        return None
    runs = f"runs {'.'.join(map(str, release))}" if any(release) else "did not tell its release"
    return (
        f"{needs.what[0].upper()}{needs.what[1:]} needs Ceph {needs.major} ({needs.name}) or "
        f"newer, and this cluster {runs}; upgrade it, or export the source to a file, HTTP or S3."
    )
