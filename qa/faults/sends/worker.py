"""The product's worker with a counter of messages around each act.

A file ``ACT.IMAGE`` (the target's name) in the folder of the environment's KILLSEND_ARMS arms it:
``N`` to die at the N-th message, ``N both`` to take the engine along, ``-1`` to count only. The
file is removed when the act begins; ``ACT.IMAGE.count`` is written when the act ends alive.
"""

import ctypes
import os
import sys
from pathlib import Path
from typing import Any, Callable, get_args

_ActFunction = Callable[[Any, Any, Any, Any], Any]


def main() -> None:
    """Run in place of ``rbdmigrate.worker.main.main``, and call it at the end."""
    sys.path.append(sys.argv[1])
    from rbdmigrate.model.jobs.acts import Ends  # noqa: PLC0415 - found now
    from rbdmigrate.worker import main as product  # noqa: PLC0415
    from rbdmigrate.worker.perform import functions_of  # noqa: PLC0415

    for table in map(functions_of, get_args(Ends)):
        for act, function in table.items():
            table[act] = _counted(act.name, function)
    product.main()


def _counted(name: str, function: _ActFunction) -> _ActFunction:
    library = ctypes.CDLL(None)
    folder = Path(os.environ["KILLSEND_ARMS"])

    def counted(session: Any, ends: Any, act: Any, tell: Any) -> Any:
        path = folder / f"{name}.{ends.target.image}"
        try:
            words = path.read_text(encoding="ascii").split()
        except OSError:
            return function(session, ends, act, tell)
        path.unlink()
        library.killsend_arm(int(words[0]), int("both" in words))
        try:
            return function(session, ends, act, tell)
        finally:
            count = library.killsend_count()
            library.killsend_arm(0, 0)
            path.with_name(f"{path.name}.count").write_text(str(count), encoding="ascii")

    return counted
