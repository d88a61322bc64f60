"""The differences between managers of release 16 to 20. No other file checks the release."""

from typing import Any, List

import mgr_module


def command_registry() -> Any:
    """Return a registry for the class attribute ``CLICommand``, which release 20 requires.

    The module declares its commands as a table (``commands``), so the registry stays empty.
    """
    base = getattr(mgr_module, "CLICommandBase", None)
    if base is not None:
        return base.make_registry_subtype("RbdMigrationCLICommand")
    return mgr_module.CLICommand


def register_client(module: Any, addresses: str) -> None:
    """Have the monitors fence the module's RADOS client when another manager takes over."""
    try:
        module._ceph_register_client(None, addresses, False)  # from 18 on
    except TypeError:
        module._ceph_register_client(addresses)


def unregister_client(module: Any, addresses: str) -> None:
    """Unregister a client that was shut down."""
    try:
        module._ceph_unregister_client(None, addresses)  # from 18 on
    except TypeError:
        module._ceph_unregister_client(addresses)


NOTIFY_TYPES: List[Any] = []  # none; without the attribute 18 and later write a crash dump
