"""The stream ``s3``: an object, requested with the signature that librbd makes.

librbd signs with version 2 of AWS's signature (HMAC-SHA1 over method, date and the path as it is
sent). The same is done here, so that requests fail here if they would fail in librbd: a client of
the provider would sign with version 4, and choose its own address. The path has to begin with the
bucket, since a bucket in the host's name is not part of what librbd signs.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from errno import EINVAL, EIO, ENOENT, EOPNOTSUPP, EPERM
from typing import Optional

from ..model.errors import MigrationError
from ..model.source import CONFIG, StreamSpec
from ..model.url import parse_url
from .errors import SourceError
from .http import HttpStream
from .http_connection import Answer, header_safe
from .net import Rules
from .redirects import destination
from .stream import Resolve

_TAG = re.compile(rb"<(Code|Endpoint|Region|Message)>([^<]{0,512})</")


def tags_of(answer: Answer) -> dict[str, str]:
    """What the body of an error says, by the names of its elements."""
    if answer.status < 300:
        return {}
    return {
        name.decode(): value.decode("ascii", "replace") for name, value in _TAG.findall(answer.body)
    }


class S3Stream(HttpStream):
    """An object in a bucket."""

    def __init__(self, spec: StreamSpec, rules: Rules, resolve_config: Resolve) -> None:
        self._access = resolved_key(spec, "access_key", resolve_config)
        self._secret = resolved_key(spec, "secret_key", resolve_config)
        self._prefix = ""  # prepended to the path that is signed
        self._require_named(spec.url)
        super().__init__(spec.url, rules)

    def _require_named(self, url: str) -> None:
        """Require that a URL names an object. Raises SourceError."""
        bucket, slash, name = parse_url(url).path[1:].partition("/")
        if not bucket or (slash and not name):
            raise SourceError(
                "S3_NO_OBJECT",
                ENOENT,
                f"{url} names no object; the form is http[s]://host[:port]/bucket/object.",
            )

    def _open(self) -> None:
        super()._open()
        if not self.size and "/" not in self.url.path[1:]:
            raise self._s3(
                "S3_NO_OBJECT",
                ENOENT,
                f"has no object {self.url.path}: that is a bucket",
            )

    def headers(self, method: str) -> dict[str, str]:
        date = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime())
        signed = f"{method}\n\n\n{date}\n{self._signed_path()}"
        digest = hmac.new(self._secret.encode(), signed.encode(), hashlib.sha1).digest()
        signature = base64.b64encode(digest).decode()
        return {"Date": date, "Authorization": f"AWS {self._access}:{signature}"}

    def _signed_path(self) -> str:
        """The resource that the signature is for."""
        return self._prefix + self.url.path

    def failure(self, answer: Answer, method: str) -> SourceError:
        """The error for an answer. HEAD has no body, so GET is sent for S3's reason."""
        if method == "HEAD":
            answer = self.ask("GET", (0, 1))
        tags = tags_of(answer)
        code = tags.get("Code", "")
        region = tags.get("Region") or answer.headers.get("x-amz-bucket-region", "")
        explained = self._explain(code, region, tags)
        if explained is None and answer.status in {401, 403}:
            explained = self._s3(
                "S3_FORBIDDEN",
                EPERM,
                f"refuses {self.url.path} (HTTP {answer.status}) without a known reason; "
                "check the access key, the secret key and the policy of the bucket",
            )
        return explained or super().failure(answer, method)

    def copy(self) -> str:
        return ""  # it takes a client that signs

    def _redirected(self, answer: Answer) -> SourceError:
        """Nothing is asked there: the signature is for this server."""
        return self._s3(
            "HTTP_REDIRECT",
            EINVAL,
            f"redirects to {destination(self.label, answer.headers)}, which librbd does not "
            "follow, and the keys were not sent there; if that is the service's right address, "
            "give it as the URL",
        )

    def _explain(self, code: str, region: str, tags: dict[str, str]) -> Optional[SourceError]:
        bucket, _, name = self.url.path[1:].partition("/")
        if code == "NoSuchBucket":
            return self._s3("S3_NO_BUCKET", ENOENT, f"has no bucket {bucket!r}")
        if code == "NoSuchKey":
            return self._s3(
                "S3_NO_OBJECT", ENOENT, f"has no object {name!r} in the bucket {bucket!r}"
            )
        if code == "InvalidAccessKeyId":
            return self._s3("S3_ACCESS_KEY", EPERM, "does not know the access key")
        if code == "RequestTimeTooSkewed":
            return self._s3(
                "S3_CLOCK", EPERM, "has another time than the manager's host; set the clocks", True
            )
        if code == "SignatureDoesNotMatch":
            return self._signature()
        if code == "AccessDenied":
            return self._s3(
                "S3_FORBIDDEN",
                EPERM,
                f"knows the access key, but does not allow it to read {self.url.path}; check the "
                "policy of the bucket, and that the object exists",
            )
        if code in {"PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed"}:
            where = f", region {region}" if region else ""
            endpoint = tags.get("Endpoint", "")
            other = f"; use the endpoint {endpoint}" if endpoint else "; use that region's endpoint"
            return self._s3("S3_REGION", EINVAL, f"has the bucket elsewhere{where}{other}")
        if code in {"InvalidRequest", "AccessDenied"} and "AWS4" in tags.get("Message", ""):
            return self._needs_version_4()
        if code in {"SlowDown", "ServiceUnavailable", "InternalError"}:
            return self._s3("HTTP_SERVER_ERROR", EIO, f"is in trouble ({code})", True)
        return None

    def _needs_version_4(self) -> SourceError:
        return self._s3(
            "S3_SIGNATURE_V4",
            EOPNOTSUPP,
            "accepts only signatures of version 4, and librbd signs with version 2; copy the "
            "object to a file, a web server or Ceph's own RADOS Gateway",
        )

    def _signature(self) -> SourceError:
        """The error for a wrong secret key, or a bucket that the service sees in the host's name.

        A second request, with the bucket in the signature (which librbd does not do), shows which.
        """
        label, dot, rest = self.url.host.partition(".")
        if dot and self._takes(f"/{label}"):
            port = "" if self.url.port in {80, 443} else f":{self.url.port}"
            url = f"{self.url.scheme}://{rest}{port}/{label}{self.url.path}"
            return self._s3(
                "S3_VIRTUAL_HOSTED",
                EOPNOTSUPP,
                "has the bucket in the host's name, which librbd does not sign; give the bucket in "
                f"the path: {url}",
                remedy=f'"url": "{url}"',
            )
        if self._takes(f"/{self.url.host}"):
            return self._s3(
                "S3_VIRTUAL_HOSTED",
                EOPNOTSUPP,
                f"takes the name {self.url.host} for that of a bucket; use the name that it knows "
                "as its own (rgw_dns_name in Ceph)",
            )
        return self._s3(
            "S3_SECRET_KEY",
            EPERM,
            "does not accept the signature: the secret key does not belong to the access key",
        )

    def _takes(self, prefix: str) -> bool:
        """Whether the service accepts the signature with ``prefix`` before the path."""
        self._prefix = prefix
        try:
            return self.ask("HEAD").status in {200, 404}
        finally:
            self._prefix = ""

    def _s3(
        self, problem: str, errno: int, what: str, transient: bool = False, remedy: str = ""
    ) -> SourceError:
        place = f"{self.url.host}:{self.url.port}"
        return SourceError(
            problem, errno, f"The S3 service {place} {what}.", transient=transient, remedy=remedy
        )


def resolved_key(spec: StreamSpec, name: str, resolve_config: Resolve) -> str:
    """The key in the field ``name``, or the value of the config-key that it refers to.

    Raises SourceError.
    """
    value = str(getattr(spec, name))
    if not value.startswith(CONFIG):
        return value
    key = value[len(CONFIG) :]
    try:
        found = resolve_config(key, spec.url)
    except SourceError:
        raise
    except MigrationError as error:
        raise SourceError("CONFIG_KEY_MISSING", error.errno, error.message) from None
    if not found or not header_safe(found):
        raise SourceError(
            "CONFIG_KEY_BAD",
            EINVAL,
            f"The config-key {key} holds no {name}: it is empty, or has a line break or another "
            f"character that keys cannot have; store it with `ceph config-key set {key} VALUE`.",
        )
    return found
