"""The options of imports: which files and hosts they may reach, and the limits for sources."""

from errno import EINVAL
from typing import Any, Callable, Dict, List

from rbdmigrate.engine import Settings
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.import_policy import (
    OPTION_CONFIG_KEYS,
    OPTION_FOLDERS,
    OPTION_HOSTS,
    OPTION_HTTP,
    OPTION_SPOOL_FOLDER,
    OPTION_SPOOL_MIN_FREE,
    OPTION_SPOOL_SIZE,
    SOURCE_KEYS,
    SPOOL_FOLDER,
    SPOOL_MIN_FREE,
    SPOOL_SIZE,
    ImportPolicy,
    parse_import_policy,
)

IMPORT_OPTIONS: List[Dict[str, Any]] = [
    {
        "name": OPTION_FOLDERS,
        "type": "str",
        "default": "",
        "desc": "folders of the managers' hosts that files may be imported from, separated by "
        "commas; empty is none",
        "runtime": True,
    },
    {
        "name": OPTION_HOSTS,
        "type": "str",
        "default": "",
        "desc": "hosts that may be imported from (names, *.domain, addresses, networks), separated "
        "by commas; empty allows all but link-local addresses and the metadata services of clouds",
        "runtime": True,
    },
    {
        "name": OPTION_CONFIG_KEYS,
        "type": "str",
        "default": SOURCE_KEYS,
        "desc": "config-keys that source-specs may refer to, separated by commas; a prefix ends "
        "with a slash",
        "runtime": True,
    },
    {
        "name": OPTION_HTTP,
        "type": "bool",
        "default": False,
        "desc": "whether values of these config-keys may be sent over http, without encryption",
        "runtime": True,
    },
    {
        "name": OPTION_SPOOL_FOLDER,
        "type": "str",
        "default": SPOOL_FOLDER,
        "desc": "folder of the managers' hosts for disks that come compressed, or from servers "
        "without ranges, and are read in any order; their files there have no names",
        "runtime": True,
    },
    {
        "name": OPTION_SPOOL_SIZE,
        "type": "size",
        "default": SPOOL_SIZE,
        "desc": "bytes that one such disk may take there",
        "runtime": True,
    },
    {
        "name": OPTION_SPOOL_MIN_FREE,
        "type": "uint",
        "default": SPOOL_MIN_FREE,
        "min": 0,
        "max": 100,
        "desc": "percent of that file system that such disks leave free",
        "runtime": True,
    },
    {
        "name": "per_source_host",
        "type": "uint",
        "default": Settings.per_source_host,
        "desc": "maximum number of copies at once that read from one external host; 0 is no limit",
        "runtime": True,
    },
    {
        "name": "source_timeout",
        "type": "float",
        "default": Settings.source_timeout,
        "desc": "seconds without data from an import's source after which its worker is killed",
        "runtime": True,
    },
    {
        "name": "worker_memory",
        "type": "size",
        "default": Settings.worker_memory,
        "desc": "bytes of memory that a worker may use; its act fails if it needs more",
        "runtime": True,
    },
]


def import_policy(get: Callable[[str], Any]) -> ImportPolicy:
    """Return what imports may reach. Raises MigrationError."""
    try:
        return parse_import_policy(
            str(get(OPTION_FOLDERS) or ""),
            str(get(OPTION_HOSTS) or ""),
            str(get(OPTION_CONFIG_KEYS) or ""),
            bool(get(OPTION_HTTP)),
            str(get(OPTION_SPOOL_FOLDER) or SPOOL_FOLDER),
            int(get(OPTION_SPOOL_SIZE)),
            int(get(OPTION_SPOOL_MIN_FREE)),
        )
    except ValueError as error:
        raise MigrationError(
            EINVAL,
            f"{error} ({OPTION_FOLDERS}, {OPTION_HOSTS} and {OPTION_CONFIG_KEYS} are lists with "
            f"commas, {OPTION_SPOOL_FOLDER} is a path).",
        ) from error
