"""The module in a standby manager: its server redirects clients to the active manager."""

import threading
from typing import Any, ClassVar, List

from mgr_module import MgrStandbyModule, Option

from . import compat
from .http.server.standby import redirect_to
from .http.server.supervisor import ServerSupervisor
from .options import OPTIONS


class StandbyModule(MgrStandbyModule):
    """Runs until its manager becomes the active one."""

    MODULE_OPTIONS: ClassVar[List[Option]] = [Option(**option) for option in OPTIONS]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        compat.log_library_as(self.module_name)
        self._stopping = threading.Event()
        self._server = ServerSupervisor(
            module=self, application=redirect_to(lambda: str(self.get_active_uri() or ""))
        )

    def serve(self) -> None:
        """Called by the manager in a thread of its own."""
        self._server.start()
        self._stopping.wait()

    def shutdown(self) -> None:
        """Called when the manager becomes the active one, or ends: the port has to be free."""
        self._stopping.set()
        self._server.stop()

    def __del__(self) -> None:
        """Do nothing: the base class would remove the log's handlers.

        When this runs, the manager has already created the active module in the same interpreter,
        and the handlers are that module's. Adding its own, it has removed those of this one.
        """
