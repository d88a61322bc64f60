"""The differences between managers of release 16 to 20. No other file checks the release."""

import logging
from typing import Any, List

import mgr_module

_LIBRARY = "rbdmigrate"  # the logger above those of the library


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


class _AsModule(logging.Handler):
    """Hands records to the handlers of the module's logger."""

    def __init__(self, module_name: str) -> None:
        super().__init__()
        self._logger = logging.getLogger(module_name)

    def emit(self, record: logging.LogRecord) -> None:
        """Log it, if the level of one of the module's handlers allows that."""
        self._logger.handle(record)


def log_library_as(module_name: str) -> None:
    """Have what the library logs follow the module's options, such as ``log_level``.

    Call it once the module's logging is configured. In 20.2.4 those options count for the loggers
    below the module's name alone; before that for all loggers of the module's interpreter.
    """
    library = logging.getLogger(_LIBRARY)
    if logging.getLogger(module_name).propagate or not library.propagate:
        return  # all loggers count, or it was done for this interpreter's standby module
    library.addHandler(_AsModule(module_name))
    library.propagate = False


NOTIFY_TYPES: List[Any] = []  # none; without the attribute 18 and later write a crash dump
