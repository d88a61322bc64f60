"""The routes in the dashboard, with a stand-in for cherrypy: what is passed on and answered."""

import json
import sys
from types import ModuleType, SimpleNamespace

import pytest


class Refused(Exception):
    """Stands in for the dashboard's own exception."""

    def __init__(self, msg, code, component, http_status_code):
        super().__init__(msg)
        self.code, self.status = code, http_status_code


@pytest.fixture
def cherrypy(monkeypatch):
    """Replies have headers and a status, requests an address and a body."""
    names = {name: ModuleType(name) for name in ("cherrypy", "cherrypy.lib", "cherrypy.lib.static")}
    for name, module in names.items():
        monkeypatch.setitem(sys.modules, name, module)
    names["cherrypy.lib.static"].serve_file = None
    found = names["cherrypy"]
    found.response = SimpleNamespace(headers={}, status=None)
    found.request = SimpleNamespace(
        path_info="/api/block/migration", query_string="", wsgi_environ={}, json={}
    )
    return found


@pytest.fixture
def ask(front_end, front_end_again, cherrypy):
    """Send the request to list migrations; ``remote`` is what the other module does."""
    dashboard = front_end_again("http.dashboard")
    routes = front_end("http.api.routes").BY_NAME

    def ask(remote, name="list"):
        route = routes[name]
        known = object.__new__(dashboard._Dashboard)
        known.mgr, known.exception = SimpleNamespace(remote=remote), Refused
        controller = SimpleNamespace(_has_permissions=lambda name: name == "read")
        return dashboard._ask(known, controller, route)

    return ask


def answered(status, body, **headers):
    text = json.dumps({"status": status, "body": body, "headers": headers})
    return lambda *args: text


def test_an_answer_is_passed_on_with_its_headers(ask, cherrypy):
    assert ask(answered(200, [1], **{"X-Total-Count": "1"})) == [1]
    assert cherrypy.response.status == 200
    assert cherrypy.response.headers == {"X-Total-Count": "1"}


def test_a_file_is_passed_on_in_pieces_that_the_dashboard_leaves_alone(ask, cherrypy):
    text = "ä" * 100_000
    pieces = ask(answered(200, text, **{"Content-Type": "text/csv"}), "plan_report")
    assert len(pieces) > 1
    assert b"".join(pieces).decode() == text
    assert cherrypy.response.headers == {"Content-Type": "text/csv"}


def test_while_the_module_does_not_run_clients_are_told_when_to_ask_again(ask, cherrypy):
    def broken(*args):
        raise ImportError("it is disabled")

    with pytest.raises(Refused, match="does not run") as caught:
        ask(broken)
    assert (caught.value.status, caught.value.code) == (503, "EAGAIN")
    assert cherrypy.response.headers == {"Retry-After": "5"}


@pytest.mark.parametrize(("status", "headers"), [(503, {"Retry-After": "5"}), (400, {}), (403, {})])
def test_a_refusal_says_when_to_ask_again_only_if_that_helps(ask, cherrypy, status, headers):
    refusal = {"detail": "Not now.", "code": "EAGAIN", "component": "rbd_migration"}
    with pytest.raises(Refused, match="Not now") as caught:
        ask(answered(status, refusal, **headers))
    assert caught.value.status == status
    assert cherrypy.response.headers == headers
