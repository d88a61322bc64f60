"""TLS with librbd's checks: the system's authorities and the host's name; readable errors."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from errno import EPROTO
from typing import Any

from .errors import SourceError
from .net import Rules, lost, too_slow, trouble

# OpenSSL's numbers for errors of certificates (X509_V_ERR_*).
_VERIFY = {
    9: "it is not valid yet; check the clocks",
    10: "it has expired",
    18: "it is self-signed, and the manager's host does not trust it",
    19: "one of its issuers is self-signed, and the manager's host does not trust it",
    20: "the manager's host does not know its issuer",
    21: "the manager's host does not know its issuer, or the server does not send the chain",
    23: "it was revoked",
    62: "it is for another name",
    64: "it is for another address",
}


MAX_CA = 64 << 10  # characters of certificates


@dataclass(frozen=True)
class Trust:
    """Whose certificates are trusted. ``ca``: certificates in PEM that are, instead of the
    system's. ``advice`` ends the sentence about one that is not.
    """

    ca: str = ""
    advice: str = "every host that opens the target has to trust it"


def are_certificates(text: str) -> bool:
    """Whether a text is certificates in PEM, of a sensible length."""
    if len(text) > MAX_CA or not text.isascii() or not text.strip():
        return False
    try:
        ssl.create_default_context(cadata=text)
    except (ssl.SSLError, ValueError):
        return False
    return True


def secure(sock: Any, host: str, port: int, rules: Rules, trust: Trust) -> Any:
    """Wrap the socket in TLS and do the handshake. Closes it on failure."""
    peer = f"{host}:{port}"
    try:
        sock.settimeout(rules.deadline.left(rules.limits.answer))
        context = ssl.create_default_context(cadata=trust.ca or None)
        return context.wrap_socket(sock, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        sock.close()
        why = _VERIFY.get(error.verify_code, error.verify_message)
        raise SourceError(
            "TLS_CERTIFICATE",
            EPROTO,
            f"The certificate of {peer} is not trusted: {why}; {trust.advice}.",
        ) from None
    except ssl.SSLError as error:
        sock.close()
        if error.reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"}:
            raise SourceError(
                "TLS_NONE",
                EPROTO,
                f"{peer} does not speak TLS; use http:// or the port of its TLS.",
            ) from None
        reason = (error.reason or "no reason given").lower().replace("_", " ")
        raise SourceError(
            "TLS_FAILED", EPROTO, f"TLS with {peer} cannot be set up: {reason}."
        ) from None
    except TimeoutError:
        sock.close()
        raise too_slow(peer) from None
    except ConnectionError:
        sock.close()
        raise lost(peer) from None
    except OSError as error:
        sock.close()
        raise trouble(peer, error) from None
