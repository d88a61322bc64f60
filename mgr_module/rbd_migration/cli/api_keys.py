"""The commands that create, list and revoke API keys of the module's own server."""

from typing import Any, Dict, List

from . import tables
from .command import Arg, Call, Command

Key = Dict[str, Any]


def _create(call: Call) -> Key:
    found: Key = call.keys.create(call.text("key_name") or "", call.text("role") or "read")
    return found


def _ls(call: Call) -> List[Key]:
    found: List[Key] = call.keys.list()
    return found


def _rm(call: Call) -> Key:
    found: Key = call.keys.remove(call.text("key_name") or "")
    return found


def _made(key: Key) -> str:
    return f"{key['key']}\nStore it now; it is not shown again."


def _gone(key: Key) -> str:
    return f"The key {key['name']} is revoked."


_NAME = Arg("key_name", required=True)
TABLE = (
    Command(
        "api key create",
        (_NAME, Arg("role")),
        "Create an API key for the module's own server; --role read or write",
        "w",
        _create,
        _made,
    ),
    Command("api key ls", (), "List the API keys", "r", _ls, tables.keys),
    Command("api key rm", (_NAME,), "Revoke an API key", "w", _rm, _gone),
)
