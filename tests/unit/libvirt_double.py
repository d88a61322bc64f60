"""A fake of Python's libvirt library, whose one domain is a :class:`.qmp_server.FakeQemu`."""

import json
import sys
import threading
import types

from tests.unit.qmp_server import Refusal


class LibvirtError(Exception):
    """``libvirt.libvirtError``."""


class FakeDomain:
    """``libvirt.virDomain``."""

    def __init__(self, qemu, xml):
        self.qemu, self.xml, self.persistent = qemu, xml, True
        self.calls, self.hangs = [], None

    def name(self):
        return self.qemu.name

    def UUIDString(self):  # noqa: N802
        return self.qemu.uuid.upper()

    def XMLDesc(self, flags):  # noqa: N802
        assert flags == 3, "the definition of the next start, with its passwords"
        return self.xml

    def isPersistent(self):  # noqa: N802
        return int(self.persistent)

    def suspend(self):
        self.calls.append("suspend")
        self.qemu.stop({})
        return 0

    def resume(self):
        self.calls.append("resume")
        self.qemu.cont({})
        return 0


class FakeLibvirt:
    """The library. ``down``: libvirtd does not run. ``stores``: what it makes of a definition."""

    def __init__(self, domain):
        self.domain, self.down, self.there = domain, False, True
        self.stores, self.defined, self.open_connections = (lambda xml: xml), [], 0
        self.hangs = threading.Event()
        self.hanging = False

    def install(self, monkeypatch):
        """Let ``import libvirt`` find this."""
        library, of_qemu = types.ModuleType("libvirt"), types.ModuleType("libvirt_qemu")
        library.libvirtError = LibvirtError
        library.open = self.open
        library.registerErrorHandler = lambda *_: None
        library.VIR_CONNECT_LIST_DOMAINS_ACTIVE = 1
        library.VIR_DOMAIN_XML_SECURE, library.VIR_DOMAIN_XML_INACTIVE = 1, 2
        of_qemu.qemuMonitorCommand = self.command
        monkeypatch.setitem(sys.modules, "libvirt", library)
        monkeypatch.setitem(sys.modules, "libvirt_qemu", of_qemu)

    def open(self, uri):
        if self.down:
            raise LibvirtError("Failed to connect socket.")
        return self

    def close(self):
        return 0

    def listAllDomains(self, flags):  # noqa: N802
        return [self.domain] if self.there else []

    def lookupByUUIDString(self, uuid):  # noqa: N802
        if not self.there:
            raise LibvirtError("Domain not found")
        return self.domain

    def defineXML(self, xml):  # noqa: N802
        self.defined.append(xml)
        self.domain.xml = self.stores(xml)
        return self.domain

    def command(self, domain, text, flags):
        if self.hanging:
            self.hangs.wait(30)
        request = json.loads(text)
        try:
            answer = {"return": domain.qemu._do(request["execute"], request.get("arguments", {}))}
        except Refusal as error:
            answer = {"error": {"class": "GenericError", "desc": str(error)}}
        return json.dumps({**answer, "id": "libvirt-7"})
