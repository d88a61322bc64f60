"""Loads the engine and the worker over the fakes, whatever else is imported.

The modules get ``rados`` and ``rbd`` of the fake cluster, and threads, clocks and random numbers of
the simulation. ``sys.modules`` is left as it was, so no other test sees any of it, and it does not
matter whether Ceph's bindings are installed.
"""

from __future__ import annotations

import concurrent.futures
import importlib
import logging
import os
import queue
import random
import secrets
import socket
import sys
import threading
import time
from functools import lru_cache
from types import ModuleType, SimpleNamespace
from typing import Any

from . import rados_module, rbd_module, stdlib
from .simulation import active

_PARTS = ("cluster", "engine", "faults", "worker")
_REPLACED = {
    id(threading): stdlib.threading,
    id(time): stdlib.time,
    id(queue): stdlib.queue,
    id(secrets): stdlib.secrets,
    id(random): stdlib.random,
    id(socket): stdlib.socket,
    id(os): stdlib.os,
    id(concurrent.futures): stdlib.futures,
    id(concurrent.futures.Future): stdlib.Future,
    id(concurrent.futures.ThreadPoolExecutor): stdlib.ThreadPoolExecutor,
}


def _ours(name: str) -> bool:
    return name in ("rados", "rbd") or name.startswith(
        tuple(f"rbdmigrate.{part}" for part in _PARTS)
    )


def _faults() -> ModuleType:
    """Fault points are points where another thread may run, and where a process can be killed."""
    module = ModuleType("rbdmigrate.faults")
    vars(module).update(
        fault_point=lambda name, detail="": active().step(), fault_switch=lambda name: False
    )
    return module


@lru_cache(maxsize=1)
def load() -> SimpleNamespace:
    """The modules under test: ``api``, ``settings``, ``host`` and others.

    ``module("engine.records.registry")`` is any other one that these import.
    """
    library = importlib.import_module("rbdmigrate")
    saved = {name: module for name, module in sys.modules.items() if _ours(name)}
    attributes = {part: vars(library).get(part) for part in _PARTS}
    for name in saved:
        del sys.modules[name]
    sys.modules.update({"rados": rados_module, "rbd": rbd_module, "rbdmigrate.faults": _faults()})
    try:
        return _import()
    finally:
        for name in [name for name in sys.modules if _ours(name)]:
            del sys.modules[name]
        sys.modules.update(saved)
        for part, module in attributes.items():
            if module is not None:
                setattr(library, part, module)
            else:
                vars(library).pop(part, None)


def _import() -> SimpleNamespace:
    from . import worker

    process = importlib.import_module("rbdmigrate.cluster.worker_process")
    capi = importlib.import_module("rbdmigrate.cluster.capi")
    main = importlib.import_module("rbdmigrate.worker.main")
    perform = importlib.import_module("rbdmigrate.worker.perform")
    session = importlib.import_module("rbdmigrate.worker.session")
    image_objects = importlib.import_module("rbdmigrate.worker.image_objects")
    worker.bind(process, capi, main, perform, session, image_objects)
    found = SimpleNamespace(
        api=importlib.import_module("rbdmigrate.engine.engine"),
        host=importlib.import_module("rbdmigrate.engine.host"),
        settings=importlib.import_module("rbdmigrate.engine.settings"),
        client=importlib.import_module("rbdmigrate.cluster.client"),
        store=importlib.import_module("rbdmigrate.cluster.store"),
    )
    loaded = {n: m for n, m in sys.modules.items() if n.startswith("rbdmigrate.") and _ours(n)}
    found.module = lambda name: loaded[f"rbdmigrate.{name}"]
    for name, module in loaded.items():
        if name != "rbdmigrate.faults":
            _replace(module)
            log = vars(module).get("log")
            if isinstance(log, logging.Logger):
                module.log = logging.getLogger(f"fake.{name}")
    logging.getLogger("fake").setLevel(logging.CRITICAL)
    return found


def _replace(module: Any) -> None:
    for name, value in list(vars(module).items()):
        stand_in = _REPLACED.get(id(value))
        if stand_in is not None:
            setattr(module, name, stand_in)
