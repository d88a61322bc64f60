"""The exceptions of the ``rados`` and ``rbd`` bindings."""

from __future__ import annotations

import errno as numbers
from typing import Optional


class Error(Exception):
    """rados.Error"""

    def __init__(self, message: str = "", errno: Optional[int] = None) -> None:
        super().__init__(message)
        self.errno = errno

    def __str__(self) -> str:
        text = super().__str__()
        return text if self.errno is None else f"[errno {self.errno}] {text}"


class RadosOSError(Error):
    """rados.OSError"""


class ObjectNotFound(RadosOSError):
    """ENOENT"""


class ObjectExists(RadosOSError):
    """EEXIST"""


class ObjectBusy(RadosOSError):
    """EBUSY"""


class TimedOut(RadosOSError):
    """ETIMEDOUT"""


class ConnectionShutdown(RadosOSError):
    """ESHUTDOWN: the client is blocklisted or closed"""


class RbdError(Exception):
    """rbd.Error"""

    errno: Optional[int] = None


class RbdOSError(RbdError):
    """rbd.OSError"""

    def __init__(self, message: str = "", errno: Optional[int] = None) -> None:
        super().__init__(message)
        self.errno = errno


class ImageNotFound(RbdOSError):
    """ENOENT"""


class ImageExists(RbdOSError):
    """EEXIST"""


class ImageBusy(RbdOSError):
    """EBUSY"""


class InvalidArgument(RbdOSError):
    """EINVAL"""


class ReadOnlyImage(RbdOSError):
    """EROFS"""


class RbdConnectionShutdown(RbdOSError):
    """ESHUTDOWN"""


def timed_out() -> Exception:
    """What an operation ends with that nobody answered."""
    return TimedOut("error connecting or operating", errno=numbers.ETIMEDOUT)


_RBD = {
    numbers.ENOENT: ImageNotFound,
    numbers.EEXIST: ImageExists,
    numbers.EBUSY: ImageBusy,
    numbers.EINVAL: InvalidArgument,
    numbers.EROFS: ReadOnlyImage,
    numbers.ESHUTDOWN: RbdConnectionShutdown,
}


def rbd_error(number: int, message: str) -> RbdOSError:
    """The exception of the rbd binding for an errno."""
    return _RBD.get(number, RbdOSError)(message, errno=number)
