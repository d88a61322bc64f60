"""The options of hooks and of the limits of cutovers."""

from errno import EINVAL
from typing import Any, Callable, Dict, List

from rbdmigrate.engine import Settings
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.hook_policy import (
    OPTION_HOOK_HOSTS,
    OPTION_HOOK_HTTP,
    HookPolicy,
    parse_hook_policy,
)

HOOK_OPTIONS: List[Dict[str, Any]] = [
    {
        "name": "max_cutovers",
        "type": "uint",
        "default": Settings.max_cutovers,
        "desc": "maximum number of images that cut over at once; 0 is no limit",
        "runtime": True,
    },
    {
        "name": OPTION_HOOK_HOSTS,
        "type": "str",
        "default": "",
        "desc": "hosts that hooks may be at (names, *.domain, addresses, networks), separated by "
        "commas; empty allows all but loopback and link-local addresses and the metadata services "
        "of clouds",
        "runtime": True,
    },
    {
        "name": OPTION_HOOK_HTTP,
        "type": "bool",
        "default": False,
        "desc": "whether messages to hooks may be sent over http, without encryption",
        "runtime": True,
    },
    {
        "name": "hook_close_wait",
        "type": "float",
        "default": Settings.hook_close_wait,
        "min": 1.0,
        "max": 3600.0,
        "desc": "seconds for which an image may still be open after hooks agreed to its cutover",
        "runtime": True,
    },
]


def hook_policy(get: Callable[[str], Any]) -> HookPolicy:
    """Return the hosts that hooks may be at. Raises MigrationError(EINVAL)."""
    try:
        return parse_hook_policy(str(get(OPTION_HOOK_HOSTS) or ""), bool(get(OPTION_HOOK_HTTP)))
    except ValueError as error:
        raise MigrationError(EINVAL, f"{OPTION_HOOK_HOSTS}: {error}.") from error
