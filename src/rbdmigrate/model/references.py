"""References: which config-keys a source-spec may use, and which servers may get their values.

The manager can read the whole config-key store of the monitors, in which other modules store
secrets of the cluster. The user of an import names the server that gets the S3 keys. So imports
use only config-keys that an administrator allows for them, and send these only to servers that an
administrator allows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple, Optional

from .errors import MigrationError
from .import_policy import (
    OPTION_CONFIG_KEYS,
    OPTION_HOSTS,
    OPTION_HTTP,
    STORED,
    ImportPolicy,
    is_closed,
)
from .import_source import Import
from .source import CONFIG, HIDDEN, SECRETS, SourceSpec
from .url import parse_url

# librbd puts a config-key into a JSON command without quoting: a quotation mark would turn it
# into another command.
_NAME = re.compile(r"[A-Za-z0-9._/:+=@-]+")


class Reference(NamedTuple):
    """A config-key in a source-spec at ``path``; the server of ``url`` gets its value.

    No URL: it stays in the manager's host.
    """

    path: str
    key: str
    url: str


def references(spec: SourceSpec) -> Iterator[Reference]:
    """All references to config-keys in the spec."""
    for path, stream in spec.streams():
        for name in SECRETS:
            value = getattr(stream, name)
            if value.startswith(CONFIG):
                yield Reference(f"{path}.{name}", value[len(CONFIG) :], stream.url)
        if stream.ca:
            yield Reference(f"{path}.ca", stream.ca[len(CONFIG) :], "")
    for name in ("passphrase", "key"):
        value = getattr(spec, name)
        if value.startswith(CONFIG):
            yield Reference(name, value[len(CONFIG) :], "")  # cephx sends no key


def own_keys(ident: str, stored: Iterable[str]) -> frozenset[str]:
    """Those of the ``stored`` config-keys that belong to the migration ``ident``."""
    prefix = f"{STORED}{ident}/"
    return frozenset(key for key in stored if ident and key.startswith(prefix))


def refuse_reference(
    policy: ImportPolicy, key: str, url: str, own: frozenset[str]
) -> Optional[str]:
    """Why the value of ``key`` may not be sent to the server of ``url``; None when it may.

    ``own``: the config-keys that were stored for this import, whose secrets were given with it.
    The sentence has no full stop. ``url`` is empty for a value that no server gets.
    """
    if key in own:
        return None
    if not _NAME.fullmatch(key):
        return "A config-key has letters, digits and . _ - / : + = @ in its name, and no others"
    if is_closed(key):
        return f"The config-key {key} holds another secret and is never used by imports"
    if not policy.opens_key(key):
        opened = ", ".join(policy.config_keys) or "none"
        return (
            f"The config-key {key} is not open to imports (open: {opened}); an administrator adds "
            f"it to the option {OPTION_CONFIG_KEYS}"
        )
    if not url:
        return None
    target = parse_url(url)
    if target.scheme != "https" and not policy.config_keys_over_http:
        return (
            f"The config-key {key} is not sent to {target.host} without encryption (https); an "
            f"administrator allows it with the option {OPTION_HTTP}"
        )
    if not policy.names(target.host):
        return (
            f"The config-key {key} is not sent to {target.host}, which the option {OPTION_HOSTS} "
            "does not name; an administrator adds it there"
        )
    return None


def refuse_references(
    spec: SourceSpec, policy: ImportPolicy, own: frozenset[str] = frozenset()
) -> Optional[str]:
    """Why a reference in the spec may not be used; None when all may."""
    for reference in references(spec):
        refused = refuse_reference(policy, reference.key, reference.url, own)
        if refused:
            return refused
    return None


@lru_cache(maxsize=1024)
def _refuse_recorded(
    spec: str, stored: tuple[str, ...], ident: str, policy: ImportPolicy
) -> Optional[str]:
    try:
        source = Import(spec).source
    except MigrationError as error:
        return f"Its source-spec cannot be read: {error.message.rstrip('.')}"
    if HIDDEN in source.secrets().values():
        return (
            "The S3 keys of its source are only in the target's header, where plain rbd put them; "
            "an administrator finishes it with `rbd migration execute` and `rbd migration commit`"
        )
    return refuse_references(source, policy, own_keys(ident, stored))


def refuse_import(imported: Import, ident: str, policy: ImportPolicy) -> Optional[str]:
    """Why the stored import ``ident`` may not read its source now; None when it may.

    Options may have changed since it was accepted, and version 0.1 accepted any config-key.
    """
    return _refuse_recorded(imported.spec, imported.secrets, ident, policy)
