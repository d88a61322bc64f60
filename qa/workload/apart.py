"""Calls a function in a process of its own: librbd ends its process at some answers of a server.

``python3 -m qa.workload.apart`` reads from standard input, as JSON, which function to call.
"""

import importlib
import json
import os
import subprocess
import sys
from typing import Any, Callable

import rados

from qa.devcluster import Cluster
from qa.devcluster.layout import REPOSITORY


class Crashed(Exception):
    """The process did not come to its end; the message says how."""


def apart(
    cluster: Cluster, function: Callable[..., Any], *args: Any, timeout: float = 120.0
) -> Any:
    """Return what ``function(client, *args)`` returns, with a client of that process.

    Arguments and result go through JSON. Raises Crashed.
    """
    asked = [str(cluster.conf), function.__module__, function.__qualname__, args]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "qa.workload.apart"],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'src'}"},
        )
    except subprocess.TimeoutExpired as error:
        raise Crashed(f"a client that calls {function.__name__} hangs") from error
    if done.returncode:
        last = " ".join(done.stderr.strip().splitlines()[-1:])
        raise Crashed(f"a client ended with {done.returncode}: {last}")
    return json.loads(done.stdout)


def main() -> None:
    """Call what standard input names."""
    conf, module, name, args = json.load(sys.stdin)
    function = getattr(importlib.import_module(module), name)
    with rados.Rados(conffile=conf, name="client.admin") as client:
        json.dump(function(client, *args), sys.stdout)


if __name__ == "__main__":
    main()
