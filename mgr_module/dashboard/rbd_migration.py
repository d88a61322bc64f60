"""Load RBD live migration into the Ceph dashboard. Install in the folder ``dashboard/controllers``.

The dashboard imports every file there and does not start when one fails. This file therefore only
looks for the module rbd_migration in the folder next to the dashboard and lets it declare its
pages. Any error is logged, and the dashboard starts without these pages.
"""

import importlib
import importlib.util
import logging
import sys
from pathlib import Path

logger = logging.getLogger(__name__)

_ALIAS = "rbd_migration_http"  # its real name would load the whole module, with its engine


def _load():
    folder = Path(__file__).parents[2] / "rbd_migration" / "http"
    start = folder / "__init__.py"
    if not start.is_file():
        logger.info("the module rbd_migration is not installed next to the dashboard")
        return
    spec = importlib.util.spec_from_file_location(
        _ALIAS, str(start), submodule_search_locations=[str(folder)]
    )
    package = importlib.util.module_from_spec(spec)
    sys.modules[_ALIAS] = package
    spec.loader.exec_module(package)
    importlib.import_module(_ALIAS + ".dashboard").declare(__package__)


try:
    _load()
except Exception:  # any error: the dashboard has to start
    logger.exception("RBD live migration is not in the dashboard")
