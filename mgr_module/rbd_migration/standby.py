"""The module in a manager that is not the active one: its server sends clients to that one."""

import threading
from typing import Any, ClassVar, List

from mgr_module import MgrStandbyModule, Option

from .http.server.standby import redirect_to
from .http.server.supervisor import ServerSupervisor
from .options import OPTIONS


class StandbyModule(MgrStandbyModule):
    """Runs until its manager becomes the active one."""

    MODULE_OPTIONS: ClassVar[List[Option]] = [Option(**option) for option in OPTIONS]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stopping = threading.Event()
        self._server = ServerSupervisor(self, redirect_to(lambda: str(self.get_active_uri() or "")))

    def serve(self) -> None:
        """Called by the manager in a thread of its own."""
        self._server.start()
        self._stopping.wait()

    def shutdown(self) -> None:
        """The manager becomes the active one, or ends: the port has to be free."""
        self._stopping.set()
        self._server.stop()

    def __del__(self) -> None:
        """Leave the log alone, which the base class would take its handlers from.

        The manager has made the active module by then, in the same interpreter: the handlers are
        that one's, which would log no more. It has removed ours itself when it added its own.
        """
