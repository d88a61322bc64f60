"""The identity of an image: its id, or what stands for it in an image of format 1, which has none.

An image of format 1 has its header in an object named after it, ``NAME.rbd``. What no other image
has is the prefix of its data objects: so it is known by ``PREFIX/NAME``. Ids have no slash.
"""

from __future__ import annotations

from typing import Optional

_SEPARATOR = "/"


def old_format_ident(prefix: str, name: str) -> str:
    """The identity of the image ``name`` of format 1, whose data objects begin with ``prefix``."""
    return f"{prefix}{_SEPARATOR}{name}"


def is_old_format(ident: str) -> bool:
    """Whether ``ident`` is of an image of format 1."""
    return _SEPARATOR in ident


def old_format_name(ident: str) -> Optional[str]:
    """The name in the identity of an image of format 1; None for any other image."""
    prefix, separator, name = ident.partition(_SEPARATOR)
    return name if separator and prefix else None


def header_object(ident: str) -> str:
    """The RADOS object that is the image's header."""
    name = old_format_name(ident)
    return f"rbd_header.{ident}" if name is None else f"{name}.rbd"


def id_in_headers(ident: str) -> str:
    """The image's id as librbd writes it into migration headers: empty for format 1."""
    return "" if is_old_format(ident) else ident
