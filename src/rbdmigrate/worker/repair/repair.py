"""Completing what librbd left half-done when its process was killed.

Which half-done states there are, how each was found and why each repair is right is in
``doc/design/recovery.rst``. Every procedure looks first and does the first thing that is missing,
so one that is killed itself is simply run again. They run in the worker like every librbd call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from errno import EEXIST, EOPNOTSUPP, EUCLEAN
from typing import Optional

import rados

from ...cluster import headers, surgery
from ...model.errors import MigrationError
from ...model.image_ident import is_old_format
from ...model.jobs.acts import Abort, ImageEnds
from ...model.migration import Place
from ...model.observation import USABLE, HeaderState, ImageView
from ..identity import require_no_other_image, require_same_image
from ..session import Session
from ..users import require_unchanged, require_unlocked


class BothImages:
    """Source and target of a migration, opened and looked at again with every question."""

    def __init__(
        self, *, source_ioctx: rados.Ioctx, target_ioctx: rados.Ioctx, source: Place, target: Place
    ) -> None:
        self.source_ioctx = source_ioctx
        self.target_ioctx = target_ioctx
        self._source = source
        self._target = target

    def source(self) -> Optional[ImageView]:
        """The source, by the id that was recorded before anything was done to it."""
        return headers.view_by_id(self.source_ioctx, self._source.image_id)

    def target_id(self) -> str:
        """The target's id: recorded, or named by the source's header."""
        view = self.source()
        if view is not None and view.header is not None and view.header.is_source:
            return view.header.image_id
        return self._target.image_id

    def target_has_object(self) -> bool:
        """Whether the target has a header object at all."""
        ident = self.target_id()
        return bool(ident) and headers.image_exists(self.target_ioctx, ident)

    def usable(self) -> bool:
        """Whether clients use the target: both images are linked, and no abort has begun."""
        source = self.source()
        if source is None or source.header is None or source.header.state not in USABLE:
            return False
        target = headers.migration_header(self.target_ioctx, self.target_id())
        return target is not None and target.state in USABLE

    def target_linked(self) -> bool:
        """Whether the target's header links it to a source."""
        ident = self.target_id()
        return bool(ident) and headers.migration_header(self.target_ioctx, ident) is not None


@contextmanager
def opened(session: Session, source: Place, target: Place) -> Iterator[BothImages]:
    """Source and target of a migration, for the time of a repair."""
    with ExitStack() as stack:
        yield BothImages(
            source_ioctx=stack.enter_context(session.open(source)),
            target_ioctx=stack.enter_context(session.open(target, frees_space=True)),
            source=source,
            target=target,
        )


def undo_prepare(session: Session, source: Place, target: Place) -> None:
    """Bring the source back as it was before a prepare that was cut off, and remove the target."""
    with opened(session, source, target) as images:
        view = images.source()
        linked = view is not None and view.header is not None and view.header.is_source
        if view is not None and linked and view.trashed:
            _give_back(session, images, view, target)
        _relink_source(images, source)


def abort(
    session: Session, both: ImageEnds, act: Abort, on_progress: Callable[[int, int], int]
) -> None:
    """Abort, also one that was cut off anywhere, and one whose target's pool was removed."""
    source, target = both.source, both.target
    if not session.has_pool(target):
        _give_back_alone(session, source)
        return
    if not _exists(session, source):
        _make_ordinary(session, source, target)
        return
    with opened(session, source, target) as images:
        if images.target_linked():
            ident = images.target_id()
            linked = replace(target, image_id=ident)
            if images.usable():
                require_unchanged(session, images.target_ioctx, linked, act)
            else:  # its journal may tell of snapshots that are removed already
                surgery.drop_journaling(images.target_ioctx, ident)
            require_no_other_image(images.target_ioctx, linked)
            require_unlocked(images.target_ioctx, linked)
            surgery.drop_lost_journaling(images.target_ioctx, ident)
            with data_ioctx(session, images.target_ioctx, ident) as data:
                surgery.purge_trashed_snapshots(images.target_ioctx, data, ident)
            session.rbd.migration_abort(images.target_ioctx, target.image, on_progress=on_progress)
        else:
            view = images.source()
            if view is not None and view.header is not None and view.trashed:
                _give_back(session, images, view, target)
        _relink_source(images, source)


def _give_back_alone(session: Session, source: Place) -> None:
    """Give the source back when nothing of the target can exist any more."""
    with session.open(source) as ioctx:
        _relink(ioctx, headers.view_by_id(ioctx, source.image_id), source)


def _give_back(session: Session, images: BothImages, source: ImageView, target: Place) -> None:
    """Have librbd abort a migration whose target is missing, a mere name, or was never linked."""
    assert source.header is not None
    name = source.header.image or target.image
    if images.target_has_object():
        if not images.target_linked():
            if source.header.state is not HeaderState.PREPARING:
                raise _unknown_state(images.target_id())
            surgery.drop_journaling(images.target_ioctx, images.target_id())
            surgery.set_target_header(
                images.target_ioctx,
                images.target_id(),
                images.source_ioctx,
                source,
                HeaderState.PREPARING,
            )
        linked = replace(target, image=name, image_id=images.target_id())
        with data_ioctx(session, images.target_ioctx, linked.image_id) as data:
            surgery.purge_trashed_snapshots(images.target_ioctx, data, linked.image_id)
        require_no_other_image(images.target_ioctx, linked)
        session.rbd.migration_abort(images.target_ioctx, name)
        return
    # In place the ghost has the source's name and librbd would take it for the source.
    surgery.unlink_ghost(images.target_ioctx, name, images.target_id())
    if headers.image_id(images.source_ioctx, source.name) not in (None, source.image_id):
        raise _name_taken(source.name, source.image_id)
    session.rbd.migration_abort(images.source_ioctx, source.name)


def _unknown_state(ident: str) -> MigrationError:
    return MigrationError(
        EUCLEAN,
        f"The image {ident} was changed by other means than a migration; nothing was touched. "
        "Compare its header with the other end's before you go on by hand.",
    )


def _relink_source(images: BothImages, source: Place) -> None:
    """Whatever librbd left undone of giving the source back."""
    _relink(images.source_ioctx, images.source(), source)


def _relink(ioctx: rados.Ioctx, view: Optional[ImageView], source: Place) -> None:
    if view is None:
        return
    name = view.name or source.image
    holder = headers.image_id(ioctx, name)
    if holder not in (None, source.image_id):
        raise _name_taken(name, source.image_id)
    if view.trashed or not view.listed or holder is None:
        surgery.relink(ioctx, name, source.image_id)
    if view.header is not None:
        surgery.drop_migration_header(ioctx, source.image_id)


def _name_taken(name: str, ident: str) -> MigrationError:
    return MigrationError(
        EEXIST,
        f"The source with the id {ident} cannot get its name {name!r} back, because another image "
        "has that name now; rename that image, then retry.",
    )


def finish_commit(
    session: Session, source: Place, target: Place, on_progress: Callable[[int, int], int]
) -> None:
    """Remove what is left of the source after a commit that was cut off.

    The target stands alone already and clients may be using it; they are not disturbed.
    """
    if not _exists(session, source):
        _make_ordinary(session, source, target)
        return
    with opened(session, source, target) as images:
        view = images.source()
        if view is None:
            return
        if not headers.image_exists(images.source_ioctx, source.image_id):
            surgery.remove_leftovers(images.source_ioctx, source.image_id)
            surgery.drop_trash_entry(images.source_ioctx, source.image_id)
            return
        surgery.drop_journaling(images.source_ioctx, source.image_id)  # as for an abort
        with data_ioctx(session, images.source_ioctx, source.image_id) as data:
            surgery.purge_trashed_snapshots(images.source_ioctx, data, source.image_id)
        if not images.target_linked():
            if view.header is None or view.header.image_id != target.image_id:
                raise _unknown_state(source.image_id)
            surgery.set_target_header(
                images.target_ioctx,
                target.image_id,
                images.source_ioctx,
                view,
                HeaderState.EXECUTED,
            )
        require_same_image(images.target_ioctx, target)
        session.rbd.migration_commit(images.target_ioctx, target.image, on_progress=on_progress)


def _exists(session: Session, place: Place) -> bool:
    """Whether any trace of the image is left."""
    if not session.has_pool(place):
        return False
    with session.open(place) as ioctx:
        return headers.view_by_id(ioctx, place.image_id) is not None


def _make_ordinary(session: Session, source: Place, target: Place) -> None:
    """Make the target of a source that does not exist any more an ordinary image."""
    with session.open(target) as ioctx:
        header = headers.migration_header(ioctx, target.image_id)
        if header is not None and header.old_format_source and _has_old_format(session, source):
            raise MigrationError(
                EOPNOTSUPP,
                f"The source of {target.spec} is an image of format 1, and there is one called "
                f"{source.spec}; use `rbd migration abort {target.spec}`.",
            )
        if header is not None:
            surgery.drop_migration_header(ioctx, target.image_id)


def _has_old_format(session: Session, place: Place) -> bool:
    """Whether an image of format 1 has this name."""
    if not session.has_pool(place):
        return False
    with session.open(place) as ioctx:
        return is_old_format(headers.image_id(ioctx, place.image) or "")


@contextmanager
def data_ioctx(session: Session, ioctx: rados.Ioctx, ident: str) -> Iterator[rados.Ioctx]:
    """An ioctx on the pool that holds the image's data."""
    pool_id = headers.separate_data_pool_id(ioctx, ident)
    if pool_id < 0:
        yield ioctx
        return
    with session.rados.open_ioctx2(pool_id) as data:
        data.set_namespace(ioctx.get_namespace())
        yield data
