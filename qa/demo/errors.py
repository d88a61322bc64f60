"""The errors of the demo, each one clear sentence."""


class DemoError(Exception):
    """The demo cannot continue; the text says why."""


class ManagerTrouble(DemoError):
    """The manager did not do what it was asked to; its log may have the reason."""
