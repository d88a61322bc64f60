"""The exceptions of this package; each message is one or two sentences for a user."""


class GuestError(Exception):
    """A guest could not be asked, or did not do what it was told."""


class GuestGone(GuestError):
    """QEMU has ended, or another one was started in its place: nothing is open there any more."""


class NoAnswer(GuestError):
    """QEMU did not answer in time. What it was told may still happen: look again later."""


class Refused(GuestError):
    """QEMU answered a command with an error, and changed nothing."""
