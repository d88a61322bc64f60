"""Checksums that a source has to have, as people write them: ``sha256:`` and hexadecimal digits."""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

_LENGTHS = {"sha256": 64, "sha512": 128, "sha1": 40, "md5": 32}
_FORM = re.compile(r"([a-z0-9]+):([0-9a-f]+)")
FORM = "the form is sha256:DIGITS, as `sha256sum` prints them; or sha512, sha1, md5"


class Checksum(NamedTuple):
    """``digest``: hexadecimal digits in lower case."""

    algorithm: str
    digest: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.digest}"


def checksum_problem(text: str) -> str:
    """What is wrong with a checksum, as the end of a sentence; empty if it is valid."""
    match = _FORM.fullmatch(text.lower())
    if match is None:
        return "is no checksum"
    length = _LENGTHS.get(match[1])
    if length is None:
        return f"is of the unknown kind {match[1][:20]}"
    if len(match[2]) != length:
        return f"has {len(match[2])} digits, and {match[1]} has {length}"
    return ""


def parse_checksum(text: str) -> Checksum:
    """The Checksum of a text without a :func:`checksum_problem`."""
    algorithm, _, digest = text.lower().partition(":")
    return Checksum(algorithm, digest)


class Summing:
    """Computes the checksum of bytes that pass by, to compare it with the one that is wanted."""

    def __init__(self, wanted: Checksum) -> None:
        self.wanted = wanted
        # Not for security: whoever gives sha1 or md5 chose that. FIPS forbids these otherwise.
        self._hash = hashlib.new(wanted.algorithm, usedforsecurity=False)

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        self._hash.update(data)

    @property
    def found(self) -> Checksum:
        """The checksum of all bytes so far."""
        return Checksum(self.wanted.algorithm, self._hash.hexdigest())

    @property
    def right(self) -> bool:
        """Whether it is the one that is wanted."""
        return self.found == self.wanted
