"""What can go wrong in the demo, as one clear sentence each."""


class DemoError(Exception):
    """The demo cannot go on; the text says why."""


class ManagerTrouble(DemoError):
    """The manager did not do what it was asked to: its log may tell more."""
