"""The images that a trial of the method warm moves: clones, striped ones, and others."""

import contextlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Optional

import rados
import rbd

from qa.workload.images import FEATURES, opened, place, split
from rbdmigrate.model.layout import LayoutOptions

from .operations import Model

KINDS = ("plain", "striped", "odd", "namespaces", "data pool", "clone", "clone", "encrypted")
_PARENTS = "parents"  # the namespace with parents of clones of version 2
_SIZES = (16, 18, 20)
_PASSPHRASE = "open sesame"
_HEADER = 4 << 20  # bytes of LUKS 1, and more than it needs


@dataclass
class Shape:
    """A kind of image. ``data_pool``: for the kind of that name; empty: it is a plain one then.

    ``parent``: of a clone, once it is made.
    """

    kind: str
    object_size: int
    features: "tuple[str, ...]"
    data_pool: str = ""
    about: str = ""
    parent: str = ""
    _in_trash: str = ""

    @property
    def namespaces(self) -> "tuple[str, str]":
        """Those of source and target."""
        return ("before", "after") if self.kind == "namespaces" else ("", "")

    @property
    def without(self) -> "tuple[str, ...]":
        """What clients do not do to an encrypted one, which librbd 16 does not do right.

        It resizes without the header. What is read of holes depends on the length: librbd asks for
        holes in long reads only, and decrypts zeros in the others.
        """
        return ("resize", "discard", "zeroes") if self.kind == "encrypted" else ()

    def layout(self, chance: random.Random, *, in_place: bool) -> LayoutOptions:
        """What is asked for of the target."""
        size: Optional[int] = None
        if in_place or chance.random() < 0.3:
            size = 1 << chance.choice(_SIZES)
        striped = size if self.kind == "striped" and chance.random() < 0.5 else None
        moved = self.data_pool if self.kind == "data pool" and chance.random() < 0.7 else None
        return LayoutOptions(
            object_size=size,
            stripe_unit=None if striped is None else striped // 8,
            stripe_count=None if striped is None else 3,
            data_pool=moved,
            flatten=self.kind == "clone"
            and (
                bool(self._in_trash)
                or (size is not None and size < self.object_size)
                or chance.random() < 0.5
            ),
        )

    def make(self, client: rados.Rados, spec: str, chance: random.Random) -> Model:
        """Make the image; what it holds."""
        for namespace in {split(spec)[1], *([_PARENTS] if self.kind == "clone" else [])}:
            make_namespace(client, split(spec)[0], namespace)
        if self.kind == "clone":
            return self._clone(client, spec, chance)
        size = self.object_size * chance.randrange(3, 10)
        more: dict[str, Any] = {}
        if self.kind == "striped":
            more = {"stripe_unit": self.object_size // 4, "stripe_count": chance.randrange(2, 5)}
        elif self.kind == "odd":
            size -= chance.randrange(1, self.object_size)
        elif self.kind == "data pool" and self.data_pool and chance.random() < 0.6:
            more = {"data_pool": self.data_pool}
        elif self.kind == "encrypted":
            size += _HEADER
        self._create(client, spec, size, **more)
        if self.kind == "encrypted":
            with opened(client, spec, read_only=False) as image:
                image.encryption_format(rbd.RBD_ENCRYPTION_FORMAT_LUKS1, _PASSPHRASE)
        with self.opened(client, spec) as image:
            return Model(bytearray(int(image.size())))

    def _create(self, client: rados.Rados, spec: str, size: int, **more: Any) -> None:
        with place(client, spec) as ioctx:
            rbd.RBD().create(
                ioctx, split(spec)[2], size, order=self.object_size.bit_length() - 1,
                features=self._bits, **more,
            )  # fmt: skip

    @property
    def _bits(self) -> int:
        return sum(FEATURES[feature] for feature in self.features)

    def _clone(self, client: rados.Rados, spec: str, chance: random.Random) -> Model:
        """A clone of either version; the parent of one of version 2 may be in the trash."""
        pool, _, name = split(spec)
        version = chance.choice((1, 2))
        self.parent = (
            f"{pool}/{name}-parent" if version == 1 else f"{pool}/{_PARENTS}/{name}-parent"
        )
        size = self.object_size * chance.randrange(3, 10)
        self._create(client, self.parent, size)
        model = Model(bytearray(size))
        with opened(client, self.parent, read_only=False) as image:
            for _ in range(chance.randrange(1, 6)):
                at = chance.randrange(size // 512) * 512
                data = chance.randbytes(min(size - at, chance.randrange(1, self.object_size)))
                image.write(data, at)
                model.head[at : at + len(data)] = data
            image.create_snap("base")
            if version == 1:
                image.protect_snap("base")
            ident = image.id()
        with place(client, self.parent) as parents, place(client, spec) as ioctx:
            # Release 16's binding has no argument for the version.
            client.conf_set("rbd_default_clone_format", str(version))
            try:
                rbd.RBD().clone(
                    parents, split(self.parent)[2], "base", ioctx, name, features=self._bits,
                    order=self.object_size.bit_length() - 1,
                )  # fmt: skip
            finally:
                client.conf_set("rbd_default_clone_format", "auto")
            if version == 2 and chance.random() < 0.5:
                rbd.RBD().trash_move(parents, split(self.parent)[2])
                self._in_trash = ident
        trashed = ", in the trash" if self._in_trash else ""
        self.about = f"clone v{version} of {self.parent}{trashed}"
        return model

    @contextlib.contextmanager
    def opened(
        self, client: rados.Rados, spec: str, *, read_only: bool = True
    ) -> Iterator[rbd.Image]:
        """Open an image of this shape as a client would."""
        with opened(client, spec, read_only=read_only) as image:
            if self.kind == "encrypted":
                image.encryption_load(rbd.RBD_ENCRYPTION_FORMAT_LUKS1, _PASSPHRASE)
            yield image

    def restore_parent(self, client: rados.Rados) -> None:
        """Take the parent out of the trash, where :func:`~qa.workload.images.wipe` leaves it."""
        if self._in_trash:
            with place(client, self.parent) as ioctx:
                rbd.RBD().trash_restore(ioctx, self._in_trash, split(self.parent)[2])


def make_namespace(client: rados.Rados, pool: str, namespace: str) -> None:
    """Make an RBD namespace, if it is one and does not exist."""
    if not namespace:
        return
    with place(client, f"{pool}/-") as ioctx, contextlib.suppress(rbd.ImageExists):
        rbd.RBD().namespace_create(ioctx, namespace)


def chosen(chance: random.Random, features: "tuple[tuple[str, ...], ...]", data_pool: str) -> Shape:
    """A random shape."""
    return Shape(
        chance.choice(KINDS), 1 << chance.choice(_SIZES), chance.choice(features), data_pool
    )
