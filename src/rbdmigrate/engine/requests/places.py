"""The pools, namespaces and images that there are, for whoever has to name one."""

from __future__ import annotations

from collections.abc import Callable
from errno import EACCES
from itertools import islice
from typing import TypedDict

import rados

from ...cluster.directory import names
from ...cluster.pools import namespaces, rbd_pools
from ...model.errors import MigrationError
from ...model.spec import ImageSpec
from ..caller import access
from ..records.loader import Loader
from .errors import TranslatedErrors

LONGEST = 1000  # images in an answer
_ANY = ImageSpec("", "", "the cluster")


class PoolPlace(TypedDict):
    """A pool for RBD. ``answers`` false: its namespaces cannot be listed now."""

    pool: str
    namespaces: list[str]
    answers: bool


class ImageNames(TypedDict):
    """Names of images in their order. ``more``: there are more than these."""

    images: list[str]
    more: bool


class Places:
    """Lists pools and images that the caller may use. Thread-safe; changes nothing."""

    def __init__(
        self,
        client: rados.Rados,
        loader: Loader,
        translated: Callable[[ImageSpec], TranslatedErrors],
    ) -> None:
        self._client = client
        self._loader = loader
        self._translated = translated

    def pools(self) -> list[PoolPlace]:
        """Every pool for RBD by name, with its namespaces; "" is the default one.

        A pool that does not answer is not asked for its namespaces. Raises MigrationError.
        """
        caller = access()
        silent = set(self._loader.unread())
        found = []
        with self._translated(_ANY):
            for pool_id, pool in sorted(rbd_pools(self._client).items(), key=lambda one: one[1]):
                answers = pool not in silent
                there = namespaces(self._client, pool_id) if answers else [""]
                seen = [name for name in there if caller.covers(pool, name)]
                if seen:
                    found.append(PoolPlace(pool=pool, namespaces=seen, answers=answers))
        return found

    def images(self, pool: str, namespace: str, search: str, limit: int) -> ImageNames:
        """The images of a pool's namespace whose name has ``search`` in it, at most ``limit``.

        Raises MigrationError: ENOENT for a pool that is not there, EACCES, EAGAIN for a pool
        that does not answer.
        """
        where = ImageSpec(pool, namespace, "image")
        if not access().covers(pool, namespace):
            raise MigrationError(EACCES, f"Your capabilities do not cover {pool}, which you named.")
        wanted = search.casefold()
        with self._translated(where):
            those = (one for one in names(self._client, where) if wanted in one.casefold())
            found = list(islice(those, limit + 1))
        return ImageNames(images=sorted(found[:limit]), more=len(found) > limit)
