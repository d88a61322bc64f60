"""A small virtual machine for tests, whose disks are RBD images that it writes to and checks."""

from qa.guest.console import DiskReport
from qa.guest.errors import GuestError
from qa.guest.host import AgentProcess
from qa.guest.machine import GuestOptions, Machine, RbdDisk

__all__ = ["AgentProcess", "DiskReport", "GuestError", "GuestOptions", "Machine", "RbdDisk"]
