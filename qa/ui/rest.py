"""The tables of the module's REST API: routes, checks of fields, headers of the page.

They are pure and are loaded without the module, as the dashboard does it.
"""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

_FOLDER = Path(__file__).parents[2] / "mgr_module" / "rbd_migration" / "http"
_ALIAS = "rbd_migration_http"


def _load(name: str) -> ModuleType:
    if _ALIAS not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            _ALIAS, _FOLDER / "__init__.py", submodule_search_locations=[str(_FOLDER)]
        )
        assert spec is not None
        assert spec.loader is not None
        package = importlib.util.module_from_spec(spec)
        sys.modules[_ALIAS] = package
        spec.loader.exec_module(package)
    return importlib.import_module(f"{_ALIAS}.{name}")


fields, page, retry, route, routes, urls = (
    _load(name)
    for name in ("api.fields", "page", "api.retry", "api.route", "api.routes", "api.urls")
)
BASE: str = route.BASE
