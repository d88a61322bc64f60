"""The stream ``s3`` as the method ``copy`` reads it: with version 4 of AWS's signature.

botocore makes the signature, and the request goes over a connection of ours, to an address that the
import policy allowed: a client of the provider would choose its own address. Without botocore the
signature is the one that librbd makes, which old services and Ceph's RADOS Gateway accept.
"""

from __future__ import annotations

import importlib
from dataclasses import replace
from errno import EINVAL, ENOENT, EOPNOTSUPP, EPERM
from typing import Any, Optional
from urllib.parse import quote, unquote_to_bytes

from ..model.source import StreamSpec
from ..model.url import Url
from .errors import SourceError
from .http import PROBE
from .http_connection import Answer, length_of, range_of, tags_in
from .net import Rules
from .s3 import S3Stream, resolved_key, tags_of
from .stream import Resolve
from .tls import Trust

_REGION = "us-east-1"  # where a service that has no regions thinks it is
_ELSEWHERE = {"AuthorizationHeaderMalformed", "IncorrectEndpoint"}
PACKAGE = "python3-botocore"


def _signers() -> Optional[tuple[Any, Any, Any]]:
    """The classes of botocore that sign; None where it is not installed."""
    try:
        auth = importlib.import_module("botocore.auth")
        request = importlib.import_module("botocore.awsrequest")
        credentials = importlib.import_module("botocore.credentials")
    except ImportError:
        return None
    return auth.S3SigV4Auth, request.AWSRequest, credentials.Credentials


def canonical(path: str) -> str:
    """A path, percent-encoded as the signature wants it: all but letters, digits and ``-._~/``."""
    return quote(unquote_to_bytes(path), safe="/~")


class CopiedS3Stream(S3Stream):
    """An object in a bucket, in the path or in the host's name."""

    def __init__(self, spec: StreamSpec, rules: Rules, resolve: Resolve, *, trust: Trust) -> None:
        self.trust = trust
        self._region = spec.region or _REGION
        self._token = resolved_key(spec, "session_token", resolve) if spec.session_token else None
        self._signers = _signers()
        super().__init__(spec, rules, resolve)

    def ask_at(self, url: Url) -> None:
        """Send further requests there."""
        super().ask_at(replace(url, path=canonical(url.path)))

    @property
    def host(self) -> str:
        """The host with its port, which the signature covers."""
        return self.url.place

    def headers(self, method: str) -> dict[str, str]:
        if self._signers is None:
            return super().headers(method)
        auth, request_of, credentials = self._signers
        request = request_of(method, f"{self.url.scheme}://{self.url.place}{self.url.path}")
        keys = credentials(self._access, self._secret, self._token)
        auth(keys, "s3", self._region).add_auth(request)
        return {str(name): str(value) for name, value in request.headers.items()}

    def ask(self, method: str, extent: Optional[tuple[int, int]] = None) -> Answer:
        """Send one request; once more when the service names the region of its signature."""
        answer = super().ask(method, extent)
        tags = tags_of(answer)
        region = tags.get("Region", "")
        if tags.get("Code") not in _ELSEWHERE or region in ("", self._region):
            return answer
        self._region = region
        return super().ask(method, extent)

    def _open(self) -> None:
        answer = self.ask("GET", (0, PROBE))
        if answer.status == 416 or (answer.status == 200 and length_of(answer) == 0):
            self.size, self.identity = 0, {"size": "0"}
            return
        if answer.status == 200 and "/" not in self.url.path[1:]:
            raise self._s3("S3_NO_OBJECT", ENOENT, f"has no object {self.url.path}: it is a bucket")
        if answer.status != 206:
            raise self.failure(answer, "GET")
        size = range_of(answer)
        if size is None:
            raise self._s3("HTTP_NO_LENGTH", EINVAL, "does not say how long the object is")
        self.size = size
        self.identity = {"size": str(size), **tags_in(answer)}

    def _signature(self) -> SourceError:
        if self._signers is None:
            return super()._signature()
        return self._s3(
            "S3_SECRET_KEY",
            EPERM,
            "does not accept the signature: the secret key does not belong to the access key",
        )

    def _needs_version_4(self) -> SourceError:
        return self._s3(
            "S3_SIGNATURE_V4",
            EOPNOTSUPP,
            f"accepts only signatures of version 4, which botocore makes; install {PACKAGE} on "
            "every host with a manager, or give a presigned URL to a stream of type http",
            remedy=f"apt install {PACKAGE}",
        )
