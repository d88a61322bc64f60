"""Text about clients that have an image open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .spec import ImageSpec


def name_users(users: Sequence[dict[str, Any]]) -> str:
    """``client.4711 at 10.0.0.5:0/123 (holds the exclusive lock), client...``."""
    return ", ".join(
        f"client.{user['client']} at {user['address']}"
        + (" (holds the exclusive lock)" if user["lock"] else "")
        for user in users
    )


def source_in_use(source: ImageSpec, users: Sequence[dict[str, Any]]) -> str:
    """The message that refuses to prepare a source which clients have open."""
    return (
        f"The source {source} is open for writing by {name_users(users)}; stop the client, "
        "prepare, and start it again on the target."
    )
