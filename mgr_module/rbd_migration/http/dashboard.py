"""The routes as controllers of the Ceph dashboard, the web page, and the entry in its menu.

Loaded by a file among the dashboard's controllers, in the dashboard's interpreter. Uses only names
that the dashboards of Ceph 16 to 20 share.
"""

import functools
import importlib
import inspect
import json
import logging
from typing import Any, Callable, Dict, List

import cherrypy
from cherrypy.lib.static import serve_file

from . import page
from .api import retry
from .api import urls as wire
from .api.fields import Field, FieldError
from .api.openapi import document
from .api.route import PERMISSIONS, Route
from .api.routes import ROUTES

logger = logging.getLogger(__name__)

MODULE = "rbd_migration"
_PIECE = 64 << 10  # bytes
_MENU = b'<script src="rbd-migration/menu.js"></script>'


def declare(package: str) -> None:
    """Declare the controllers. ``package`` is the name of the dashboard's ``controllers``."""
    dashboard = _Dashboard(package)
    _declare_api(dashboard)
    _declare_page(dashboard)
    _add_menu(dashboard)


class _Dashboard:
    """The parts of the dashboard that are used here."""

    def __init__(self, package: str) -> None:
        root = package.rsplit(".", maxsplit=1)[0]
        self.controllers = importlib.import_module(package)
        self.home = importlib.import_module(f"{package}.home").HomeController
        self.mgr = importlib.import_module(root).mgr
        self.scope = importlib.import_module(f"{root}.security").Scope.RBD_IMAGE
        self.exception = importlib.import_module(f"{root}.exceptions").DashboardException
        auth = importlib.import_module(f"{root}.services.auth")
        self.username: Callable[[], Any] = auth.JwtManager.get_username
        self.permissions: Dict[str, Callable[[Any], Any]] = {
            "read": self.controllers.ReadPermission,
            "create": self.controllers.CreatePermission,
            "update": self.controllers.UpdatePermission,
            "delete": self.controllers.DeletePermission,
        }

    def refuse(self, status: int, code: str, sentence: str) -> None:
        """Raise the exception that the dashboard turns into an error response."""
        cherrypy.response.headers.update(retry.headers(status))
        raise self.exception(
            msg=sentence, code=code, component=MODULE, http_status_code=status
        ) from None


# -- the API ---------------------------------------------------------------------------------


def _declare_api(dashboard: _Dashboard) -> None:
    controllers = dashboard.controllers
    methods = {f"migration_{route.name}": _endpoint(dashboard, route) for route in ROUTES}
    controller = type("RbdMigration", (controllers.BaseController,), methods)
    controllers.APIDoc("Live migration of RBD images", "RbdMigration")(controller)
    controllers.APIRouter("/block/migration", dashboard.scope)(controller)


def _endpoint(dashboard: _Dashboard, route: Route) -> Any:
    """Return a method of the controller, with the signature that the dashboard reads."""

    def handler(self: Any, **given: Any) -> Any:
        return _ask(dashboard, self, route)

    optional = [*route.query, *route.body]
    named = [] if route.parameter is None else [route.parameter.name]
    handler.__name__ = f"migration_{route.name}"
    handler.__doc__ = route.description
    handler.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD),
            *(_parameter(name, inspect.Parameter.empty) for name in named),
            *(_parameter(field.name, None) for field in optional),
            inspect.Parameter("given", inspect.Parameter.VAR_KEYWORD),
        ]
    )
    controllers = dashboard.controllers
    answer: Any = _documented(route.answer)
    handler = controllers.EndpointDoc(
        route.summary,
        parameters={field.name: _described(field) for field in optional},
        responses={route.status: [answer] if route.many else answer},
    )(handler)
    more: Dict[str, Any] = {}
    if route.method in ("POST", "PUT"):
        more["path_params"] = named
        handler = controllers.allow_empty_body(handler)
    else:
        more["query_params"] = [field.name for field in route.query]
    if route.download:
        more["json_response"] = False
    handler = controllers.Endpoint(route.method, path=route.path or "/", **more)(handler)
    return dashboard.permissions[route.permission](handler)


def _parameter(name: str, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default)


def _ask(dashboard: _Dashboard, controller: Any, route: Route) -> Any:
    """Pass a request on to the module, and return its answer."""
    try:
        asked = _request(route)
        asked["who"] = _user(dashboard)
        asked["permissions"] = [name for name in PERMISSIONS if controller._has_permissions(name)]
    except FieldError as error:
        dashboard.refuse(400, "EINVAL", str(error))
    try:
        answer = json.loads(dashboard.mgr.remote(MODULE, "api", route.name, json.dumps(asked)))
    except Exception as error:
        logger.warning("%s does not answer: %s", MODULE, error)
        dashboard.refuse(
            503,
            "EAGAIN",
            f"The manager's module {MODULE} does not run; look at `ceph mgr module ls` and "
            f"`ceph health`, or enable it with `ceph mgr module enable {MODULE}`.",
        )
    body = answer["body"]
    for name, value in answer["headers"].items():
        cherrypy.response.headers[name] = value
    if answer["status"] >= 400:
        dashboard.refuse(answer["status"], body["code"], body["detail"])
    cherrypy.response.status = answer["status"]
    return _pieces(body) if route.download else body


def _pieces(text: str) -> List[bytes]:
    """Return a text for CherryPy; the dashboard would decode it if it were one piece."""
    raw = text.encode()
    return [raw[at : at + _PIECE] for at in range(0, len(raw), _PIECE)]


def _user(dashboard: _Dashboard) -> str:
    """Return the name of who is logged in, as the dashboard tells it to its own controllers."""
    try:
        name = dashboard.username()
    except Exception as error:
        logger.debug("the user's name is not known: %s", error)
        name = ""
    return f"dashboard user {name}" if name else "dashboard"


def _request(route: Route) -> Dict[str, Any]:
    """Return target, query and body as they were sent: the dashboard decodes URLs twice."""
    request = cherrypy.request
    address = getattr(request, "wsgi_environ", {}).get("REQUEST_URI")
    path, query = wire.split(address or f"{request.path_info}?{request.query_string}")
    return {
        "target": wire.match(route.method, path).target,
        "query": wire.arguments(query),
        "body": getattr(request, "json", None),
    }


def _documented(fields: Any) -> Dict[str, Any]:
    return {field.name: _described(field, nested=True) for field in fields}


def _described(field: Field, nested: bool = False) -> Any:
    """Return a field as ``EndpointDoc`` expects it: type, text, whether it is optional."""
    text = field.text
    if field.choices:
        text += " One of: " + ", ".join(field.choices) + "."
    if field.example is not None:
        text += f" Example: {json.dumps(field.example)}."
    return (_type(field), text, not (field.required and nested))


def _type(field: Field) -> Any:
    plain: Dict[str, Any] = {"integer": int, "number": float, "boolean": bool}
    if field.type == "array":
        return [_documented(field.fields)] if field.fields else [str]
    if field.type == "object":
        return _documented(field.fields) or {"<name>": (str, "A value of any type.", True)}
    return plain.get(field.type, str)


# -- the page --------------------------------------------------------------------------------


def _declare_page(dashboard: _Dashboard) -> None:
    controllers = dashboard.controllers

    @controllers.Proxy()
    def serve(self: Any, path: str = "", **given: Any) -> Any:
        return _serve(dashboard, path)

    serve.__name__ = "__call__"
    controller = type("RbdMigrationPage", (controllers.BaseController,), {"__call__": serve})
    controllers.Router(page.ADDRESS.rstrip("/"), secure=False)(controller)


def _serve(dashboard: _Dashboard, path: str) -> Any:
    """Return a file of the page. Needs no login: the files contain nothing secret."""
    if cherrypy.request.method not in ("GET", "HEAD"):
        raise cherrypy.HTTPError(405)
    cherrypy.response.headers.update(page.HEADERS)
    if path.strip("/") == page.METRICS:
        return _metrics(dashboard)
    if path.strip("/") == page.OPENAPI:
        cherrypy.response.headers["Content-Type"] = "application/json"
        return document(_version()).encode()
    found = page.find(path)
    if found is None:
        raise cherrypy.HTTPError(404)
    return serve_file(str(found), content_type=page.content_type(found))


def _metrics(dashboard: _Dashboard) -> bytes:
    """Return the metrics, which have no names of images, if the option for them is set."""
    headers = cherrypy.response.headers
    headers["Content-Type"] = "text/plain; charset=utf-8"
    try:
        answer = json.loads(dashboard.mgr.remote(MODULE, "metrics"))
    except Exception as error:
        logger.warning("%s does not answer: %s", MODULE, error)
        answer = {"status": 503, "text": f"The module {MODULE} does not run.\n"}
    cherrypy.response.status = answer["status"]
    return str(answer["text"]).encode()


@functools.lru_cache(maxsize=1)
def _version() -> str:
    return str(importlib.import_module("rbdmigrate").__version__)


# -- the menu --------------------------------------------------------------------------------


def _add_menu(dashboard: _Dashboard) -> None:
    """Make the dashboard's start page load the script that adds "Live migration" to its menu."""
    stock = dashboard.home.__call__

    @functools.wraps(stock)
    def home(self: Any, path: str = "", **given: Any) -> Any:
        if path not in ("", "index.html") or not _menu_wanted(dashboard):
            return stock(self, path, **given)
        # A copy in the browser's cache may lack the entry; it cannot be added to a range.
        for name in ("If-Modified-Since", "If-None-Match", "Range", "If-Range"):
            cherrypy.request.headers.pop(name, None)
        return _with_menu(stock(self, path, **given))

    dashboard.home.__call__ = home


def _menu_wanted(dashboard: _Dashboard) -> bool:
    """Whether the option ``dashboard_menu`` is set; False when the module does not run."""
    try:
        return bool(dashboard.mgr.remote(MODULE, "get_module_option", "dashboard_menu"))
    except Exception as error:
        logger.debug("no entry in the menu: %s", error)
        return False


def _with_menu(answer: Any) -> Any:
    """Add the script to the start page. An answer without ``</body>`` is returned unchanged."""
    parts: List[bytes] = list(answer)
    text = b"".join(parts)
    head, tag, rest = text.rpartition(b"</body>")
    if not tag:
        return [text]
    headers = cherrypy.response.headers
    changed = head + _MENU + tag + rest
    headers["Content-Length"] = str(len(changed))
    for name in ("Last-Modified", "ETag", "Accept-Ranges"):
        headers.pop(name, None)
    return [changed]
