"""The exception of this package."""


class GuestError(Exception):
    """A guest cannot be built, started or asked; the message says why."""
