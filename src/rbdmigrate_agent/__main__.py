"""The program ``rbd-migration-agent``."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Optional

from .agent import Agent
from .connections import RENAMES, connections
from .guests.errors import GuestError
from .journal import Journal
from .rados_manager import RadosManager
from .settings import Invalid, read


def main(arguments: Sequence[str]) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code."""
    try:
        settings = read(arguments)
        reached = connections(settings)
    except (Invalid, GuestError) as error:
        print(f"rbd-migration-agent: {error}", file=sys.stderr)
        return 2
    logging.basicConfig(
        level=logging.DEBUG if settings.verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        stream=sys.stderr,
    )
    manager = RadosManager(conf=settings.conf, user=settings.user, host=settings.host)
    agent = Agent(
        manager=manager,
        journal=Journal(settings.state),
        connections=reached,
        renames=RENAMES,
        pools=frozenset(settings.pools),
    )

    def stop(number: int, frame: Optional[FrameType]) -> None:
        agent.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    agent.run()
    return 0


def entry() -> None:
    """The entry point of the installed program."""
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    entry()
