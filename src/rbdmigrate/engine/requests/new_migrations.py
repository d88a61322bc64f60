"""The requests for new migrations: check, prepare. Thread-safe; plain data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Optional

from ...model.layout import LayoutOptions
from ...model.policy import Policy
from ...model.request import MigrationRequest
from ...model.source_spec import SourceSpec
from ...model.spec import ImageSpec
from ...model.states import Method
from . import preflight
from .errors import TranslatedErrors
from .preflight import Preflight
from .preparation import Preparation
from .report import view

Report = dict[str, Any]


class NewMigrations:
    """What can be migrated, and how it begins. Pools that are closed to the caller are refused."""

    def __init__(
        self,
        *,
        preflight: Preflight,
        preparation: Preparation,
        translated: Callable[[ImageSpec], TranslatedErrors],
    ) -> None:
        self._preflight = preflight
        self._preparation = preparation
        self._translated = translated

    def check(
        self,
        source: ImageSpec,
        target: Optional[ImageSpec],
        layout: LayoutOptions,
        *,
        force: bool = False,
        method: Optional[Method] = None,
        auto: bool = False,
    ) -> Report:
        """What preflight finds about such a migration; changes nothing (``target`` None: in place).

        ``force``, ``method`` and ``auto``: see :meth:`prepare`. Raises MigrationError when the
        cluster does not answer.
        """
        request = MigrationRequest(source, target or source, layout, force=force)
        return self._check(request.by(method, auto=auto))

    def check_import(
        self,
        spec: SourceSpec,
        target: ImageSpec,
        layout: LayoutOptions,
        *,
        inline: bool = False,
        logged: bool = False,
        as_raw: bool = False,
        method: Optional[Method] = None,
    ) -> Report:
        """The same for an import; see :meth:`prepare_import`."""
        request = self._preparation.import_request(spec, target, layout).by(method)
        return self._check(replace(request, inline=inline, logged=logged, as_raw=as_raw))

    def prepare(
        self,
        source: ImageSpec,
        target: Optional[ImageSpec],
        layout: LayoutOptions,
        policy: Policy = Policy(),  # noqa: B008 - frozen
        *,
        force: bool = False,
        method: Optional[Method] = None,
        auto: bool = False,
    ) -> Report:
        """Begin a migration. The same request twice is one migration.

        ``target`` None: in place. ``force``: also in place without a new layout. ``method`` None:
        ``live``, or with ``auto`` the best one for the image and the policy. Raises MigrationError
        for every refusal, having changed nothing.
        """
        request = MigrationRequest(source, target or source, layout, force=force)
        request = request.by(method, auto=auto)
        return view(self._preparation.prepare(request, policy))

    def prepare_import(
        self,
        spec: SourceSpec,
        target: ImageSpec,
        layout: LayoutOptions,
        policy: Policy = Policy(),  # noqa: B008 - frozen
        *,
        inline: bool = False,
        logged: bool = False,
        as_raw: bool = False,
        method: Optional[Method] = None,
    ) -> Report:
        """Begin to import a source from outside. The same request twice is one migration.

        ``inline``: librbd keeps the source's secrets in the target's header, where every
        reader of the image sees them. ``logged``: they came by a way that is written into a log.
        ``as_raw``: a file of another format is imported byte by byte, instead of refused.
        ``method`` None: the best one for the source.
        Raises MigrationError for every refusal, having changed nothing.
        """
        with self._translated(target):
            request = self._preparation.import_request(spec, target, layout).by(method)
        request = replace(request, inline=inline, logged=logged, as_raw=as_raw)
        return view(self._preparation.prepare(request, policy))

    def _check(self, request: MigrationRequest) -> Report:
        with self._translated(request.target):
            return preflight.check(self._preflight, request)
