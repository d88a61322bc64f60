"""What reading an external source needs of a job: the import policy, and config-keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from errno import EPERM

import rbd

from ...cluster import config_keys, headers
from ...model.errors import MigrationError
from ...model.import_policy import ImportPolicy
from ...model.jobs.acts import ImportEnds
from ...model.migration import Place
from ...model.observation import HeaderState
from ...model.references import own_keys, refuse_reference, refuse_references
from ...model.source import SourceSpec, StreamSpec
from ...model.source_spec import parse_source_spec
from ...sources.stream import key_forbidden
from ..session import Session
from .open_files import CheckedFiles


def own_keys_of(ends: ImportEnds) -> frozenset[str]:
    """The config-keys that were stored for this import."""
    return own_keys(ends.id, ends.imported.secrets)


def resolver_of(session: Session, ends: ImportEnds) -> Callable[[str, str], str]:
    """The resolver for the source of an import."""
    return resolver(session, ends.policy, own_keys_of(ends))


def resolver(
    session: Session, policy: ImportPolicy, own: frozenset[str] = frozenset()
) -> Callable[[str, str], str]:
    """From a config-key, and the URL whose server gets it, to its value.

    ``own``: the config-keys that were stored for the import itself. The function raises SourceError
    for a key that may not be sent there, and MigrationError for one that cannot be read.
    """

    def resolve(key: str, url: str) -> str:
        refused = refuse_reference(policy, key, url, own)
        if refused:
            raise key_forbidden(refused)
        return config_keys.get(session.rados, key)

    return resolve


def require_allowed(spec: SourceSpec, ends: ImportEnds, what: str) -> None:
    """Before librbd gets the spec: it resolves every reference, with the manager's rights.

    ``what`` is done with it, at the beginning of a sentence. Raises MigrationError(EPERM).
    """
    refused = refuse_references(spec, ends.policy, own_keys_of(ends))
    if refused:
        raise MigrationError(EPERM, f"{what} was refused: {refused}.")


def require_allowed_source(session: Session, ends: ImportEnds) -> None:
    """Before librbd opens the target of an import: it opens the source that the *header* names.

    Whoever may write to the target's pool can write another source into the header than was asked
    for, or did so before the import was adopted; and whoever may write to the folder of a file can
    exchange that. Raises MigrationError(EPERM). An executed target is opened without its source.
    """
    imported, target = ends.imported, ends.target
    with session.open(target) as ioctx:
        ident = target.image_id or headers.image_id(ioctx, target.image)
        header = headers.migration_header(ioctx, ident) if ident else None
    if header is None or not header.import_only or header.state is HeaderState.EXECUTED:
        return
    spec = parse_source_spec(header.source_spec)
    if imported.native or _without_keys(spec) != _without_keys(imported.source):
        raise MigrationError(
            EPERM,
            f"The header of {target.spec} names another source than the one that was asked for, so "
            "it is not opened; find out who may write to its pool, and abort this import.",
        )
    require_allowed(spec, ends, f"Opening {target.spec}")
    require_checked_files(session, target, CheckedFiles.of(spec, ends.policy))


def require_checked_files(session: Session, target: Place, files: CheckedFiles) -> None:
    """Open the target, and with it its source: librbd has to open the files that were checked.

    Raises MigrationError(EPERM) when it opened others.
    """
    if files:
        with session.open(target) as ioctx, rbd.Image(ioctx, target.image, read_only=True):
            files.require_open()


def _without_keys(spec: SourceSpec) -> SourceSpec:
    """The spec with no S3 keys: a header may hold those that a record has references to."""

    def bare(stream: StreamSpec) -> StreamSpec:
        return replace(stream, access_key="", secret_key="")

    return replace(
        spec,
        stream=None if spec.stream is None else bare(spec.stream),
        snapshots=tuple(replace(s, stream=bare(s.stream)) for s in spec.snapshots),
    )
