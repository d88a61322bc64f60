"""Which images of other clusters no client has open."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress

import rados
import rbd

from ...model.errors import MigrationError
from ...model.jobs.acts import ImportEnds
from ...model.jobs.answers import ClosedImages
from ...model.jobs.protocol import Tell
from ...model.jobs.questions import FindClosedSources
from ..session import Session
from ..users import writers
from .other_cluster import OtherCluster, connected
from .source_access import resolver_of
from .warm_source import place_of, require_same_cluster


def find_closed_sources(session: Session, question: FindClosedSources, tell: Tell) -> ClosedImages:
    """The images that no client has open for writing.

    A cluster that cannot be reached, and an image that cannot be opened, tell nothing.
    """
    by_cluster: dict[tuple[str, str, str], list[ImportEnds]] = defaultdict(list)
    for ends in question.sources:
        spec = ends.imported.source
        by_cluster[spec.mon_host or "", spec.client_name or "", spec.key].append(ends)
    closed: list[str] = []
    for some in by_cluster.values():
        with suppress(MigrationError):  # what it is is told when it is copied
            closed += _closed(session, some)
    return ClosedImages(tuple(closed))


def _closed(session: Session, some: list[ImportEnds]) -> list[str]:
    """Those of one cluster. Raises MigrationError where that cannot be reached."""
    spec, policy = some[0].imported.source, some[0].policy
    with (
        connected(spec, policy, resolver_of(session, some[0])) as other,
        session.joined(other.rados),
    ):
        return [
            ends.imported.image.image_id
            for ends in some
            if ends.imported.image is not None and _is_closed(session, other, ends)
        ]


def _is_closed(session: Session, other: OtherCluster, ends: ImportEnds) -> bool:
    spec, known = ends.imported.source, ends.imported.image
    assert known is not None
    require_same_cluster(other, spec, known)
    try:
        place = place_of(other, spec, known)
        with (
            other.open(place) as ioctx,
            rbd.Image(ioctx, image_id=place.image_id, read_only=True) as image,
        ):
            return not writers(session, place, ioctx, image, ())
    except (rbd.Error, rados.Error):
        return False
