"""Preparing migrations and imports, and making images and clones, through librbd's C interface.

The Python binding of release 16 has neither flatten nor the journal options, later releases lack
the latter; the C interface (rbd/librbd.h) has had them all since 16. It needs a RADOS handle of
its own, because the binding does not expose its handle.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import byref, c_char_p, c_int, c_int64, c_uint64, c_void_p
from typing import Any, Optional

from ..model.errors import MigrationError, errno_text
from ..model.layout import LayoutOptions
from ..model.migration import Place
from .client import QUIET, Identity

# Image option numbers (rbd/librbd.h, RBD_IMAGE_OPTION_...).
_FEATURES, _ORDER, _STRIPE_UNIT, _STRIPE_COUNT = 1, 2, 3, 4
_JOURNAL_ORDER, _JOURNAL_SPLAY_WIDTH, _JOURNAL_POOL = 5, 6, 7
_DATA_POOL, _FLATTEN, _CLONE_FORMAT = 10, 11, 12


class CApiError(Exception):
    """A C call answered with a negative errno."""

    def __init__(self, call: str, errno: int) -> None:
        super().__init__(f"{call}: {errno_text(errno)}")
        self.call = call
        self.errno = errno


def _check(call: str, result: int) -> None:
    if result < 0:
        raise CApiError(call, -result)


class CClient:
    """A RADOS handle of the C interface, for preparing migrations."""

    def __init__(self, identity: Identity) -> None:
        self._rados: Any = ctypes.CDLL("librados.so.2")
        self._rbd: Any = ctypes.CDLL("librbd.so.1")
        self._rados.rados_get_instance_id.restype = c_uint64
        self._cluster = c_void_p()
        _check(
            "rados_create2",
            self._rados.rados_create2(
                byref(self._cluster), b"ceph", identity.name.encode(), c_uint64(0)
            ),
        )
        _check(
            "rados_conf_read_file",
            self._rados.rados_conf_read_file(self._cluster, identity.conf.encode()),
        )
        options = {**QUIET, **({"keyring": identity.keyring} if identity.keyring else {})}
        for key, value in options.items():
            self._rados.rados_conf_set(self._cluster, key.encode(), value.encode())
        result = self._rados.rados_connect(self._cluster)
        if result < 0:
            raise MigrationError(-result, f"Could not connect to the cluster as {identity.name}.")

    @property
    def instance_id(self) -> int:
        """The client's number in the cluster."""
        return int(self._rados.rados_get_instance_id(self._cluster))

    def addresses(self) -> str:
        """The client's addresses, in Ceph's own notation."""
        text = c_char_p()
        _check("rados_getaddrs", self._rados.rados_getaddrs(self._cluster, byref(text)))
        try:
            return (text.value or b"").decode()
        finally:
            self._rados.rados_buffer_free(text)

    def prepare(
        self, source: Place, target: Place, layout: LayoutOptions, features: Optional[int]
    ) -> None:
        """Prepare the migration of ``source`` to ``target``.

        ``features`` is the mask for the target, None for the source's. Raises CApiError.
        """
        with (
            self._options(_option_values(layout, features)) as options,
            self._opened(source) as source_ioctx,
            self._opened(target) as target_ioctx,
        ):
            _check(
                "rbd_migration_prepare",
                self._rbd.rbd_migration_prepare(
                    source_ioctx,
                    source.image.encode(),
                    target_ioctx,
                    target.image.encode(),
                    options,
                ),
            )

    def prepare_import(
        self, spec: str, target: Place, layout: LayoutOptions, features: Optional[int]
    ) -> None:
        """Prepare the import of a source-spec (JSON) to ``target``. Raises CApiError."""
        with (
            self._options(_option_values(layout, features)) as options,
            self._opened(target) as ioctx,
        ):
            _check(
                "rbd_migration_prepare_import",
                self._rbd.rbd_migration_prepare_import(
                    spec.encode(), ioctx, target.image.encode(), options
                ),
            )

    def create(
        self, target: Place, size: int, layout: LayoutOptions, features: Optional[int]
    ) -> None:
        """Make an image of ``size`` bytes. ``features`` None: the cluster's default ones.

        Raises CApiError.
        """
        with (
            self._options(_option_values(layout, features)) as options,
            self._opened(target) as ioctx,
        ):
            _check(
                "rbd_create4",
                self._rbd.rbd_create4(ioctx, target.image.encode(), c_uint64(size), options),
            )

    def clone(
        self,
        parent: Place,
        snapshot: str,
        target: Place,
        layout: LayoutOptions,
        features: Optional[int],
        version: int = 2,
    ) -> None:
        """Clone a snapshot of ``parent`` to ``target``.

        ``version`` 2 needs no protected snapshot. Raises CApiError.
        """
        values = [*_option_values(layout, features), (_CLONE_FORMAT, version)]
        with (
            self._options(values) as options,
            self._opened(parent) as parent_ioctx,
            self._opened(target) as ioctx,
        ):
            _check(
                "rbd_clone3",
                self._rbd.rbd_clone3(
                    parent_ioctx,
                    parent.image.encode(),
                    snapshot.encode(),
                    ioctx,
                    target.image.encode(),
                    options,
                ),
            )

    @contextmanager
    def pool(self, pool_id: int, namespace: str) -> Iterator[c_void_p]:
        """A handle on a pool and namespace, with the latest OSD map. Raises CApiError."""
        _check("wait", self._rados.rados_wait_for_latest_osdmap(self._cluster))
        with self._opened(Place("", namespace, "", pool_id)) as ioctx:
            yield ioctx

    @contextmanager
    def _options(self, values: list[tuple[int, Any]]) -> Iterator[c_void_p]:
        _check("wait", self._rados.rados_wait_for_latest_osdmap(self._cluster))
        options = c_void_p()
        self._rbd.rbd_image_options_create(byref(options))
        try:
            for key, value in values:
                self._set(options, key, value)
            yield options
        finally:
            self._rbd.rbd_image_options_destroy(options)

    @contextmanager
    def _opened(self, place: Place) -> Iterator[c_void_p]:
        ioctx = self._open(place)
        try:
            yield ioctx
        finally:
            self._rados.rados_ioctx_destroy(ioctx)

    def _open(self, place: Place) -> c_void_p:
        ioctx = c_void_p()
        _check(
            "rados_ioctx_create2",
            self._rados.rados_ioctx_create2(self._cluster, c_int64(place.pool_id), byref(ioctx)),
        )
        self._rados.rados_ioctx_set_namespace(ioctx, place.namespace.encode())
        return ioctx

    def _set(self, options: c_void_p, key: int, value: Any) -> None:
        if isinstance(value, str):
            result = self._rbd.rbd_image_options_set_string(options, c_int(key), value.encode())
        else:
            result = self._rbd.rbd_image_options_set_uint64(options, c_int(key), c_uint64(value))
        _check("rbd_image_options_set", result)


def _option_values(layout: LayoutOptions, features: Optional[int]) -> list[tuple[int, Any]]:
    def order(size: Optional[int]) -> Optional[int]:
        return None if size is None else size.bit_length() - 1

    values = [
        (_FEATURES, features),
        (_ORDER, order(layout.object_size)),
        (_STRIPE_UNIT, layout.stripe_unit),
        (_STRIPE_COUNT, layout.stripe_count),
        (_DATA_POOL, layout.data_pool),
        (_JOURNAL_ORDER, order(layout.journal_object_size)),
        (_JOURNAL_SPLAY_WIDTH, layout.journal_splay_width),
        (_JOURNAL_POOL, layout.journal_pool),
        (_FLATTEN, 1 if layout.flatten else None),
    ]
    return [(key, value) for key, value in values if value is not None]
