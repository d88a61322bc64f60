"""The one exception that front ends see: a sentence for people and an errno for programs."""

from __future__ import annotations

import errno as _errno
import os


class MigrationError(Exception):
    """A request failed; the message says what, why and what to do.

    ``errno`` is a positive errno (the exit code of the command). ``str(error)`` is one clear
    sentence that never holds a secret and never a raw librbd text: librbd's own messages are
    misleading and repeat the source-spec.
    """

    def __init__(self, errno: int, message: str) -> None:
        super().__init__(message)
        self.errno = errno
        self.message = message

    @property
    def code(self) -> str:
        """The errno's name, such as ``EBUSY``."""
        return errno_name(self.errno)


class NotPermitted(MigrationError):
    """The caller lacks a permission that could be determined only from existing images."""


class PoolMissing(MigrationError):
    """A pool does not exist (any more): the latest OSD map says so."""


class InUse(MigrationError):
    """An act that has begun waits for a client to close an image. It is tried again by itself."""


class RecordError(ValueError):
    """A stored record cannot be decoded: broken JSON, unknown schema or unknown fields."""


def errno_name(number: int) -> str:
    """The symbolic name of an errno (``16`` -> ``EBUSY``), or its number as text."""
    return _errno.errorcode.get(number, str(number))


def errno_text(number: int) -> str:
    """The operating system's text for an errno, in lower case, for use in a sentence."""
    return os.strerror(number).lower()
