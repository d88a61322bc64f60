"""The managers of a cluster, and the rbd_migration module in them."""

import signal
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Optional

from qa.devcluster import modules, processes
from qa.devcluster.access import START_TIMEOUT, STOP_GRACE, Access
from qa.devcluster.errors import DevClusterError, WaitTimeout


def in_parallel(function: Callable[[str], Any], names: Iterable[str]) -> list[Any]:
    """Call the function for each name at the same time; raises the first error."""
    todo = list(names)
    with ThreadPoolExecutor(len(todo)) as pool:
        return list(pool.map(function, todo))


class Managers(Access):
    """Starts, stops and kills managers, and waits until they are ready."""

    def mgrs(self) -> list[str]:
        return list(self.blueprint.mgrs)

    def active_mgr(self) -> Optional[str]:
        """Return the active manager known to the mons, which may be dead until they notice."""
        return self.mon_command("mgr dump")["active_name"] or None

    def mgr_pid(self, name: str) -> int:
        return self.daemons.get(f"mgr.{name}").pid

    def mgr_log(self, name: str) -> Path:
        return self.layout.log_of(f"mgr.{name}")

    def mgr_signal(self, name: str, sig: int) -> None:
        self.daemons.signal(f"mgr.{name}", sig)

    def mgr_kill(self, name: Optional[str] = None) -> str:
        """Kill a manager (by default the active one) with SIGKILL and return its name."""
        name = name or self._require_active()
        process = self.daemons.signal(f"mgr.{name}", signal.SIGKILL)
        processes.wait_gone(process, 10)
        return name

    def mgr_stop(self, name: str) -> None:
        self.daemons.stop(f"mgr.{name}", STOP_GRACE)

    def mgr_start(self, name: str) -> None:
        """Start a manager with the current module code; does not wait."""
        self._known(name, self.blueprint.mgrs, "manager")
        if self.daemons.find(f"mgr.{name}") is None:
            modules.fill(
                self.layout.modules_of(name),
                linked=self.options.module,
                # An installer also puts a file into the dashboard.
                dashboard=self.options.dashboard or not self.options.module,
            )
        self.daemons.start(f"mgr.{name}")

    def mgr_restart(self, timeout: float = START_TIMEOUT) -> str:
        """Stop all managers and start them with the current module code; return the active one."""
        before = self._mgr_ids()
        names = self.mgrs()
        in_parallel(self.mgr_stop, names)
        self.enable_module()
        for name in names:
            self.mgr_start(name)
        return self.wait_mgrs(timeout, not_these=before)

    def mgr_fail(self, wait: bool = True) -> str:
        """Have the mons fail the active manager; return its name."""
        name = self._require_active()
        before = {self.mon_command("mgr dump")["active_gid"]}
        self.mon_command("mgr fail", who=name)
        if wait:
            self.wait_active(not_these=before)
        return name

    def wait_active(
        self, timeout: float = START_TIMEOUT, not_these: "frozenset[int] | set[int]" = frozenset()
    ) -> str:
        """Wait for an active manager that takes commands; `not_these`: ids of former ones."""

        def usable() -> Optional[str]:
            seen = self.mon_command("mgr dump")
            ready = seen["available"] and seen["active_gid"] not in not_these
            return seen["active_name"] if ready else None

        self.wait_for(usable, timeout, "an active manager")
        self.wait_module(timeout)
        # Again: a module that was just enabled has managers restart, and another one may be active.
        name = self.wait_for(usable, timeout, "an active manager")
        assert name is not None
        return name

    def wait_mgrs(
        self, timeout: float = START_TIMEOUT, not_these: "frozenset[int] | set[int]" = frozenset()
    ) -> str:
        """Wait as wait_active does, and for all other running managers as standbys."""
        self.wait_active(timeout, not_these)
        running = {each for each in self.mgrs() if self.daemons.find(f"mgr.{each}")}

        def all_there() -> Optional[str]:
            seen = self.mon_command("mgr dump")
            standbys = {each["name"] for each in seen["standbys"] if each["gid"] not in not_these}
            active = seen["active_name"] if seen["available"] else None
            return active if running <= standbys | {active} else None

        name = self.wait_for(all_there, timeout, "the standby managers")
        assert name is not None
        return name

    def enable_module(self) -> None:
        """Enable the module if this cluster wants it and the repository has it."""
        if self.options.module and modules.module_exists() and not self.module_enabled():
            # The disk of a developer's machine may be nearly full.
            free = f"mgr/{modules.MODULE}/import_spool_min_free"
            self.mon_command("config set", who="mgr", name=free, value="1", force=True)
            self.ceph("mgr", "module", "enable", modules.MODULE, "--force")

    def module_enabled(self) -> bool:
        return modules.MODULE in self.mon_command("mgr dump")["modules"]

    def wait_module(self, timeout: float = START_TIMEOUT) -> None:
        """Wait until the module answers its command, if it is enabled."""
        if not self.module_enabled():
            return
        said = ""

        def answers() -> bool:
            nonlocal said
            one = ["ceph", "rbd", "migration", "ls", "--limit", "1"]
            done = self.run(one, timeout=timeout, check=False)
            said = done.stderr.strip()
            return done.returncode == 0

        try:
            self.wait_for(answers, timeout, "'ceph rbd migration ls' to work")
        except WaitTimeout as error:
            raise WaitTimeout(f"{error} It said: {said}") from None

    def _require_active(self) -> str:
        name = self.active_mgr()
        if name is None:
            raise DevClusterError("No manager is active now; wait until one has taken over.")
        return name

    def _mgr_ids(self) -> "set[int]":
        seen = self.mon_command("mgr dump")
        return {seen["active_gid"], *(each["gid"] for each in seen["standbys"])}
