"""The engine in a process of its own, driven by JSON lines on its standard input.

``{"call": "run"|"abort", "source": [pool, namespace, image], "target": [...], "goal": ...}`` is
answered by ``{"errno": 0}`` or by the errno and the sentence. It ends when its input does.
"""

import json
import sys
import threading
from typing import Any

from rbdmigrate.cluster import worker_process
from rbdmigrate.cluster.client import Identity
from rbdmigrate.engine import Engine, Host, Settings
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.policy import Policy
from rbdmigrate.model.spec import ImageSpec
from rbdmigrate.model.states import Goal

SETTINGS = Settings(max_copies=4, max_steps=4, command_wait=0, retry_first=0.2, retry_cap=1)

# The worker starts itself a second time, now with the library preloaded.
_BOOT = """
import os, sys
os.environ.update({environment!r})
code = "import sys; sys.path.insert(0, {repository!r}); "
code += "from qa.faults.sends.worker import main; main()"
os.execv({python!r}, [{python!r}, "-I", "-B", "-c", code, *sys.argv[1:]])
"""


def main() -> None:
    """Run the engine; the first line of the input has its settings."""
    first = json.loads(sys.stdin.readline())
    worker_process._BOOT = _BOOT.format(
        environment=first["environment"], repository=first["repository"], python=sys.executable
    )
    engine = Engine(
        Host(
            identity=Identity(**first["identity"]),
            manager=first["manager"],
            generation=first["generation"],
            settings=lambda: SETTINGS,
        )
    )
    engine.start()
    threading.Thread(target=_end_when_fenced, args=(engine,), daemon=True).start()
    _answer({"errno": 0, "text": "started"})
    for line in sys.stdin:
        _answer(_call(engine, json.loads(line)))
    engine.stop()


def _end_when_fenced(engine: Engine) -> None:
    engine.ended.wait()
    print(f"the engine ended: {engine.ended_reason}", file=sys.stderr, flush=True)


def _answer(message: "dict[str, Any]") -> None:
    print(json.dumps(message), flush=True)


def _call(engine: Engine, message: "dict[str, Any]") -> "dict[str, Any]":
    source, target = ImageSpec(*message["source"]), ImageSpec(*message["target"])
    try:
        if message["call"] == "run":
            in_place = source == target
            policy = Policy(Goal(message["goal"]))
            engine.new_migrations.prepare(
                source, None if in_place else target, LayoutOptions(), policy, force=True
            )
        elif message["call"] == "execute":
            engine.migrations.execute(target)
        elif message["call"] == "commit":
            engine.migrations.commit(target, force=True)
        else:
            engine.migrations.abort(target, force=True)
    except MigrationError as error:
        return {"errno": error.errno, "text": str(error)}
    return {"errno": 0, "text": ""}


if __name__ == "__main__":
    main()
