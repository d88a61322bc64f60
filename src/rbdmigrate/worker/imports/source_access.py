"""What reading an external source needs of a job: the reach policy, and config-keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from errno import EPERM
from typing import Any

import rbd

from ...cluster import config_keys, headers
from ...model.codec import from_plain
from ...model.errors import MigrationError
from ...model.import_policy import ImportPolicy
from ...model.import_source import Import
from ...model.migration import Place
from ...model.observation import HeaderState
from ...model.references import own_keys, refuse_reference, refuse_references
from ...model.source import SourceSpec, StreamSpec
from ...model.source_spec import parse_source_spec
from ...sources.stream import key_forbidden
from ..session import Session
from .open_files import CheckedFiles


def reach_of(args: dict[str, Any]) -> ImportPolicy:
    """The reach policy that the job was given."""
    return from_plain(ImportPolicy, args["reach"], "reach")


def own_keys_of(args: dict[str, Any]) -> frozenset[str]:
    """The config-keys that were stored for the import that the job is about; none without one."""
    if not args.get("import"):
        return frozenset()
    return own_keys(args["id"], from_plain(Import, args["import"], "import").secrets)


def resolver(session: Session, args: dict[str, Any]) -> Callable[[str, str], str]:
    """From a config-key, and the URL whose server gets it, to its value.

    The function raises SourceError for a key that may not be sent there, and MigrationError for
    one that cannot be read.
    """
    reach, own = reach_of(args), own_keys_of(args)

    def resolve(key: str, url: str) -> str:
        refused = refuse_reference(reach, key, url, own)
        if refused:
            raise key_forbidden(refused)
        return config_keys.get(session.rados, key)

    return resolve


def require_allowed(spec: SourceSpec, args: dict[str, Any], what: str) -> None:
    """Before librbd gets the spec: it resolves every reference, with the manager's rights.

    ``what`` is done with it, at the beginning of a sentence. Raises MigrationError(EPERM).
    """
    refused = refuse_references(spec, reach_of(args), own_keys_of(args))
    if refused:
        raise MigrationError(EPERM, f"{what} was refused: {refused}.")


def require_allowed_source(session: Session, args: dict[str, Any]) -> None:
    """Before librbd opens the target of an import: it opens the source that the *header* names.

    Whoever may write to the target's pool can write another source into the header than was asked
    for, or did so before the import was adopted; and whoever may write to the folder of a file can
    exchange that. Raises MigrationError(EPERM). An executed target is opened without its source.
    """
    imported = from_plain(Import, args["import"], "import")
    target = from_plain(Place, args["target"], "place")
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
    require_allowed(spec, args, f"Opening {target.spec}")
    require_checked_files(session, target, CheckedFiles.of(spec, reach_of(args)))


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
