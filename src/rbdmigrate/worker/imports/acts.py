"""The acts of a migration whose source is outside, or a mere snapshot.

librbd opens the source whenever the target is opened, until that is executed; some sources crash
it. All of this runs in a worker for that reason too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from errno import EIO, ENOENT
from typing import Any, Optional

import rados

from ...cluster import headers, surgery
from ...faults import fault_point, fault_switch
from ...model.errors import MigrationError
from ...model.inspection import Inspection
from ...model.jobs.acts import Abort, Commit, Execute, ImportEnds, Prepare, UndoPrepare
from ...model.jobs.answers import Copied, Examined, Finished, Prepared
from ...model.jobs.protocol import Tell
from ...model.jobs.questions import InspectSource
from ...model.layout import FEATURES, SINGLE_CLIENT, LayoutOptions
from ...model.migration import Place
from ...model.source import CONFIG
from ...model.source_spec import SourceSpec, StreamSpec, parse_source_spec
from ...model.states import Method
from ...sources import Content, Limits, changes, identify, inspect, open_content
from ...sources.copying import CopySource, identify_copied, inspect_copied
from ...sources.limits import Deadline
from ..copy.concurrency import limited_concurrency
from ..copy.estimate import survey_import
from ..copy.librbd_copy import librbd_copy
from ..copy.lock_requests import yielding_lock
from ..copy.progress import objects
from ..identity import (
    prepared_target,
    renamed,
    require_committed,
    require_executed,
    require_same_image,
)
from ..repair import comparison_snapshot
from ..session import Session
from ..users import lock_holders, naming_users
from . import external_copy, native, native_copy, removal, warm_source
from .known_streams import unknown_streams
from .open_files import CheckedFiles
from .source_access import require_allowed, require_checked_files, resolver, resolver_of

_SURVEY = Limits(total=None)
_LOOK_AGAIN = Limits(total=20)  # seconds for looking whether the source is still the same


def inspect_source(session: Session, question: InspectSource, tell: Tell) -> Inspection:
    """What a source is, and what of it librbd cannot read."""
    spec = parse_source_spec(question.spec)
    if spec.format == "native":
        if question.method is Method.WARM:
            return warm_source.inspect(session, spec, question.policy, question.own_keys)
        if question.method is Method.COPY:
            return native_copy.inspect(session, spec, question.policy, question.own_keys)
        return native.inspect(session, spec)
    limits = Limits(total=question.seconds)
    if question.method is Method.COPY:
        return inspect_copied(spec, question.policy, limits, resolver(session, question.policy))
    unknown = unknown_streams(session, spec, question.pool_id)
    if unknown:
        return Inspection(unknown_streams=unknown)
    return inspect(spec, question.policy, limits, resolver(session, question.policy))


def prepare(session: Session, ends: ImportEnds, act: Prepare, tell: Tell) -> Prepared:
    """Make the target, linked to the source."""
    imported, target, layout = ends.imported, ends.target, act.layout
    features = _features(session, layout)
    if layout.object_size is not None and layout.stripe_unit is None:
        layout = replace(layout, stripe_unit=layout.object_size, stripe_count=1)
    files = CheckedFiles.of(imported.source, ends.policy)
    fault_point("librbd.before", "prepare")
    if ends.method is Method.COPY and not imported.native:
        external_copy.prepare(session, ends, layout, features)
    elif ends.method is Method.COPY:
        native_copy.prepare(session, ends, layout, features)
    elif imported.native:
        native.prepare(session, imported.source, target, layout, features, ends.id)
    else:
        require_allowed(imported.source, ends, f"Preparing {target.spec}")
        with _explained(session, ends, f"Preparing {target.spec}"):
            session.c_client.prepare_import(_for_librbd(session, ends), target, layout, features)
        _remove_if_exchanged(session, ends, files)
    fault_point("librbd.after", "prepare")
    with session.open(target) as ioctx:
        ident = headers.image_id(ioctx, target.image) or ""
        if not imported.made(ident):
            raise renamed(target)
        made = replace(target, image_id=ident)
        later = ends.method is Method.COPY  # the mover takes it of what it copied
        no_comparison_snapshot = (
            comparison_snapshot.take(session, made, act.comparison_snapshot)
            if act.comparison_snapshot and not later
            else ""
        )
        return prepared_target(ioctx, ident, no_comparison_snapshot)


def _remove_if_exchanged(session: Session, ends: ImportEnds, files: CheckedFiles) -> None:
    """Remove a target that was prepared from another file than the one that was checked.

    Raises MigrationError(EPERM) then.
    """
    try:
        require_checked_files(session, ends.target, files)
    except MigrationError:
        removal.remove(session, ends)
        raise


def _features(session: Session, layout: LayoutOptions) -> Optional[int]:
    """The target's feature mask; None leaves that to librbd."""
    bits = layout.feature_bits()
    if not layout.shared:
        return bits
    if bits is None:
        bits = _default_features(str(session.rados.conf_get("rbd_default_features")))
    for name in SINGLE_CLIENT:
        bits &= ~FEATURES[name]
    return bits


def _default_features(text: str) -> int:
    """The mask of the option's value, a number or names."""
    if text.isdigit():
        return int(text)
    return sum(FEATURES.get(name.strip(), 0) for name in text.split(","))


def _for_librbd(session: Session, ends: ImportEnds) -> str:
    """The source-spec that librbd keeps in the target's header."""
    imported = ends.imported
    if not imported.inline:
        return imported.spec
    spec = imported.source
    known = {CONFIG + key for key in imported.secrets}
    return _with_secrets(spec, known, resolver_of(session, ends)).to_json()


def _with_secrets(
    spec: SourceSpec, known: set[str], resolve: Callable[[str, str], str]
) -> SourceSpec:
    """The spec with the secrets themselves, for clients that may not read config-keys."""

    def filled(stream: StreamSpec) -> StreamSpec:
        keys = {name: getattr(stream, name) for name in ("access_key", "secret_key")}
        values: dict[str, Any] = {
            name: resolve(value[len(CONFIG) :], stream.url)
            for name, value in keys.items()
            if value in known
        }
        return replace(stream, **values)

    stream = None if spec.stream is None else filled(spec.stream)
    snapshots = tuple(replace(s, stream=filled(s.stream)) for s in spec.snapshots)
    return replace(spec, stream=stream, snapshots=snapshots)


def execute(session: Session, ends: ImportEnds, act: Execute, tell: Tell) -> Copied:
    """Copy until everything is there; goes on where an interrupted copy stopped."""
    imported, target = ends.imported, ends.target
    if ends.method is Method.COPY and not imported.native:
        return external_copy.execute(session, ends, act, tell, lambda: _changes(session, ends))
    if ends.method is Method.COPY:
        return native_copy.execute(session, ends, act, tell)
    changed: list[str] = []
    source: Optional[list[tuple[int, int]]] = None if imported.native else []
    if not fault_switch("inspection.skip"):
        changed = _changes(session, ends)
        source = None if imported.native else list(_extents(session, ends))
    found = survey_import(session, target, source)
    files = CheckedFiles.of(imported.source, ends.policy)
    with librbd_copy(session, target, act, found, tell) as copy:
        ioctx = copy.ioctx
        if imported.native:
            copy.watch.begins()
            native.execute(ioctx, target, copy.progress.next)
        else:
            told = files.watched(copy.progress.next, session.give_up)
            with (
                limited_concurrency(session, ioctx, target, act, found.to_copy, imported=True),
                yielding_lock(ioctx, target.image_id, session.pace),
                _explained(session, ends, f"Copying {target.spec}"),
            ):
                require_same_image(ioctx, target)
                copy.watch.begins()
                session.rbd.migration_execute(ioctx, target.image, on_progress=told)
        fault_point("librbd.after", "execute")
        version = copy.watch.ended()
        if not imported.native:
            require_executed(ioctx, target)
        changed += _changes(session, ends)
        return Copied(version, copy.watch.alone, found.total, tuple(dict.fromkeys(changed)))


def _extents(session: Session, ends: ImportEnds) -> Iterator[tuple[int, int]]:
    """What has to be copied: all data of the first view, and of each later one what changed."""
    views = [*ends.imported.snapshots, None]
    resolve = resolver_of(session, ends)
    with ExitStack() as opened:

        def view(name: Optional[str]) -> Content:
            source = ends.imported.source
            return opened.enter_context(open_content(source, name, ends.policy, _SURVEY, resolve))

        for number, name in enumerate(views):
            content = view(name)
            if number:
                yield from content.changed(view(views[number - 1]))
            else:
                yield from content.extents(0, content.size)
            opened.close()


@contextmanager
def _explained(session: Session, ends: ImportEnds, doing: str) -> Iterator[None]:
    """Where librbd fails the source is looked at: it may say why, which librbd does not."""
    try:
        yield
    except session.librbd_errors as error:
        source, resolve = ends.imported.source, resolver_of(session, ends)
        found = inspect(source, ends.policy, _LOOK_AGAIN, resolve)
        for finding in found.as_raw().errors:  # what it is was allowed when it was asked for
            raise MigrationError(
                finding.errno, f"{doing} failed, because of its source: {finding.message}"
            ) from None  # librbd's text repeats the spec
        for sentence in changes(ends.imported.identity, found.identity):
            errno = abs(getattr(error, "errno", None) or EIO)
            raise MigrationError(errno, f"{doing} failed: {sentence}") from None
        raise


def _changes(session: Session, ends: ImportEnds) -> list[str]:
    """What changed about the source since it was prepared. A source that is gone says nothing."""
    if ends.imported.native:
        return []
    source, resolve = ends.imported.source, resolver_of(session, ends)
    if ends.method is Method.COPY:
        deadline = Deadline(_LOOK_AGAIN)
        now = identify_copied(CopySource(source, ends.policy, _LOOK_AGAIN, resolve, deadline))
    else:
        now = identify(source, ends.policy, _LOOK_AGAIN, resolve)
    return changes(ends.imported.identity, now)


def commit(session: Session, ends: ImportEnds, act: Commit, tell: Tell) -> Finished:
    """Make the target independent of the source, which is not touched."""
    target = ends.target
    with session.open(target) as ioctx:
        fault_point("librbd.before", "commit")
        require_same_image(ioctx, target)
        if not ends.opens_source:
            for key in reversed(headers.OWN_KEYS):
                surgery.drop_metadata(ioctx, target.image_id, key)
        else:
            session.rbd.migration_commit(ioctx, target.image)
        fault_point("librbd.after", "commit")
        require_committed(ioctx, target)
    return Finished()


def undo_prepare(session: Session, ends: ImportEnds, act: UndoPrepare, tell: Tell) -> Finished:
    """Remove a target whose preparation was interrupted, wherever that was."""
    fault_point("librbd.before", "undo_prepare")
    removal.remove(session, ends)
    fault_point("librbd.after", "undo_prepare")
    return Finished()


def abort(session: Session, ends: ImportEnds, act: Abort, tell: Tell) -> Finished:
    """Remove the target, wherever an earlier abort was interrupted."""
    fault_point("librbd.before", "abort")
    with naming_users(session, ends.target, side="target"):
        removal.remove(session, ends, act, objects(tell))
    fault_point("librbd.after", "abort")
    return Finished()


def examine(session: Session, ioctx: rados.Ioctx, place: Place) -> Examined:
    """What can be said of a target without opening it: the holder of its lock, and its features."""
    ident = place.image_id
    if not headers.image_exists(ioctx, ident):
        raise MigrationError(ENOENT, f"{place.spec} does not exist.")
    locks = bool(headers.features(ioctx, ident) & FEATURES["exclusive-lock"])
    return Examined(users=tuple(lock_holders(session, ioctx, ident)), locks=locks)
