"""The addresses that hooks may be at: the rules of imports, and nothing on the manager's host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Optional
from urllib.parse import urlsplit

from .import_policy import ImportPolicy, parse_hosts, plain_address

OPTION_HOOK_HOSTS = "hook_hosts"
OPTION_HOOK_HTTP = "hook_http"


@dataclass(frozen=True)
class HookPolicy(ImportPolicy):
    """As the import policy; loopback addresses are refused too unless ``hosts`` has them.

    ``http``: messages may be sent without encryption.
    """

    http: bool = False
    option: ClassVar[str] = OPTION_HOOK_HOSTS
    users: ClassVar[str] = "hooks"

    def refuse_address(self, host: str, address: str) -> Optional[str]:
        """Why a hook may not be at the current address of its name; None if it may."""
        ip = plain_address(address)
        own = ip is not None and (ip.is_loopback or ip.is_unspecified or ip.is_multicast)
        if ip is not None and own and not self.lists(ip):
            return (
                f"{host} may not be reached: {ip} is an address of the manager's own host, or of "
                f"many; an administrator allows it with the option {self.option}"
            )
        return super().refuse_address(host, address)


def parse_hook_policy(hosts: str, http: bool) -> HookPolicy:
    """Return the HookPolicy of the module options. Raises ValueError."""
    return HookPolicy(hosts=parse_hosts(hosts), http=http)


@dataclass(frozen=True)
class HookUrl:
    """The parts of a hook's URL. ``target`` is the path with the query, as it is sent."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def place(self) -> str:
        """The server, for messages."""
        return f"{self.host}:{self.port}"


def parse_hook_url(text: str) -> HookUrl:
    """Return the parts of a URL. Raises ValueError with the end of a sentence that says why not."""
    if not text.isascii() or any(letter.isspace() or not letter.isprintable() for letter in text):
        raise ValueError("holds a space or a letter outside ASCII, which has to be encoded")
    parts = urlsplit(text)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("is not of the form https://host[:port]/path")
    if "@" in parts.netloc:
        raise ValueError("holds a user or a password; messages are signed instead")
    if parts.fragment:
        raise ValueError("has a fragment ('#'), which is not sent")
    try:
        port = parts.port
    except ValueError:
        raise ValueError("has no valid port") from None
    default = 443 if parts.scheme == "https" else 80
    query = f"?{parts.query}" if parts.query else ""
    return HookUrl(parts.scheme, parts.hostname, port or default, (parts.path or "/") + query)


def shown_url(text: str) -> str:
    """The URL as everybody may see it: without its query, in which servers take secrets."""
    base, mark, _ = text.partition("?")
    return f"{base}?..." if mark else base
