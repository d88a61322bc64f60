"""Requests to the REST API of rbd_migration."""

from __future__ import annotations

import json
import ssl
import time
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit

from ansible.module_utils import urls
from ansible.module_utils.basic import env_fallback

_BASE = "/api/block/migration"
_ACCEPT = "application/vnd.ceph.api.v1.0+json"  # the dashboard wants it, the own server takes it
_REDIRECTS = 3
_PATIENCE = 60.0  # seconds in which a manager that takes over is waited for
_PAUSE = 2.0  # seconds between two attempts

OPTIONS = {
    "url": {
        "type": "list",
        "elements": "str",
        "required": True,
        "fallback": (env_fallback, ["RBD_MIGRATION_URL"]),
    },
    "key": {
        "type": "str",
        "required": True,
        "no_log": True,
        "aliases": ["token"],
        "fallback": (env_fallback, ["RBD_MIGRATION_KEY"]),
    },
    "validate_certs": {"type": "bool", "default": True},
    "ca_path": {"type": "path"},
    "timeout": {"type": "int", "default": 60},
}


class Refusal(Exception):
    """The API refused a request. ``code`` is an errno's name, or empty."""

    def __init__(self, status, detail, code):
        super().__init__(detail)
        self.status = status
        self.code = code


class Unreachable(Exception):
    """No server answered."""


class Api:
    """The API, for the options of a module. Methods raise Refusal and Unreachable."""

    def __init__(self, params):
        self._urls = [url.rstrip("/") for url in params["url"]]
        self._params = params

    def get(self, path, query=None):
        """Return the answer to a GET request."""
        return self._ask("GET", path, query=query)

    def find(self, path):
        """Return the answer to a GET request; None where there is no such thing."""
        try:
            return self.get(path)
        except Refusal as error:
            if error.status == 404:
                return None
            raise

    def post(self, path, body=None):
        """Return the answer to a POST request."""
        return self._ask("POST", path, body=body or {})

    def put(self, path, body):
        """Return the answer to a PUT request."""
        return self._ask("PUT", path, body=body)

    def delete(self, path):
        """Return the answer to a DELETE request."""
        return self._ask("DELETE", path)

    def _ask(self, method, path, query=None, body=None):
        """Ask one server after another; while a manager takes over, ask again."""
        address = _BASE + path + (f"?{urlencode(query)}" if query else "")
        until = time.monotonic() + _PATIENCE
        while True:
            said = []
            for url in self._urls:
                try:
                    return self._ask_one(method, url + address, body)
                except Unreachable as error:
                    said.append(str(error))
            if time.monotonic() > until:
                raise Unreachable(" ".join(said))
            time.sleep(_PAUSE)

    def _ask_one(self, method, url, body):
        for _redirect in range(_REDIRECTS):
            status, headers, text = self._send(method, url, body)
            if status != 307:
                return _answer(url, status, text)
            url = self._active(url, headers.get("Location") or "")
        raise Unreachable(f"{_place(url)}: too many redirects.")

    def _send(self, method, url, body):
        headers = {"Accept": _ACCEPT, "Authorization": f"Bearer {self._params['key']}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            reply = urls.open_url(
                url,
                data=None if body is None else json.dumps(body),
                headers=headers,
                method=method,
                timeout=self._params["timeout"],
                validate_certs=self._params["validate_certs"],
                ca_path=self._params["ca_path"],
                follow_redirects="none",
                http_agent="rbd_migration-ansible",
            )
        except HTTPError as error:
            reply = error
        except (urls.ConnectionError, URLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, (ssl.SSLError, urls.SSLValidationError)):
                raise Refusal(
                    0,
                    f"The certificate of {_place(url)} is not trusted ({reason}); give the one "
                    "that signed it as ca_path.",
                    "",
                ) from error
            raise Unreachable(f"{_place(url)}: {error}.") from error
        with reply:
            return reply.status, reply.headers, reply.read()

    def _active(self, url, place):
        """Return the address at the active manager. The key is not sent without encryption."""
        if urlsplit(url).scheme == "https" and urlsplit(place).scheme != "https":
            raise Unreachable(f"{_place(url)} redirects to {_place(place)}, without encryption.")
        return place


def at(target):
    """Return the path of a migration."""
    return f"/at/{quote(target, safe='')}"


def plan_at(name):
    """Return the path of a plan."""
    return f"/plan/{quote(name, safe='')}"


def _place(url):
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _answer(url, status, text):
    try:
        plain = json.loads(text) if text else None
    except ValueError as error:
        raise Unreachable(f"{_place(url)} answers {status}, and no JSON.") from error
    if status < 400:
        return plain
    known = plain if isinstance(plain, dict) else {}
    detail = known.get("detail") or f"{_place(url)} answers {status}."
    if status == 503:
        raise Unreachable(detail)
    raise Refusal(status, detail, known.get("code") or "")
