"""What libvirt's definition of a domain says of RBD images, and how one name in it is changed.

The text is changed at just that place, so everything else in it stays byte for byte as it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional
from xml.parsers import expat
from xml.sax.saxutils import escape

from .errors import GuestError

_SOURCE = ["domain", "devices", "disk", "source"]
_OWNERS = {
    "http://openstack.org/xmlns/libvirt/nova/": "OpenStack Nova",
    "http://kubevirt.io": "KubeVirt",
    "http://ovirt.org/vm/": "oVirt",
}


@dataclass(frozen=True)
class Source:
    """The element ``source`` of a disk that is an RBD image."""

    name: str
    """As libvirt writes it: ``pool/image`` or ``pool/namespace/image``."""
    at: int
    """Where its tag begins, in bytes."""


def sources(xml: str) -> list[Source]:
    """Return the RBD images of a definition. Raises GuestError."""
    found: list[Source] = []
    path: list[str] = []
    parser = expat.ParserCreate()

    def begin(tag: str, attributes: dict[str, str]) -> None:
        path.append(tag)
        if path == _SOURCE and attributes.get("protocol") == "rbd":
            found.append(Source(attributes.get("name", ""), parser.CurrentByteIndex))

    def end(tag: str) -> None:
        path.pop()

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    _parse(parser, xml)
    return found


def owner(xml: str) -> str:
    """Return who else decides what the domain opens at its next start; empty if nobody is seen.

    Such software leaves a mark, and writes the whole definition from what it knows itself. Raises
    GuestError.
    """
    found: list[str] = []
    parser = expat.ParserCreate(namespace_separator=" ")

    def begin(tag: str, attributes: dict[str, str]) -> None:
        space = tag.rpartition(" ")[0]
        found.extend(name for start, name in _OWNERS.items() if space.startswith(start))

    parser.StartElementHandler = begin
    _parse(parser, xml)
    return found[0] if found else ""


def renamed(xml: str, old: str, new: str) -> Optional[str]:
    """Return the definition with the one image ``old`` called ``new``; None if it has it already.

    Raises GuestError when it has neither, or more than one.
    """
    known = sources(xml)
    matching = [source for source in known if source.name == old]
    if not matching and any(source.name == new for source in known):
        return None
    if len(matching) != 1:
        count = "no disk" if not matching else "more than one disk"
        raise GuestError(f"The persistent definition has {count} with the source {old}.")
    data = xml.encode()
    at = matching[0].at
    close = data.index(b">", at)  # libvirt writes > in values as &gt;
    tag = data[at:close].decode()
    for quote in "'\"":
        before, after = (f" name={quote}{_attribute(name)}{quote}" for name in (old, new))
        if tag.count(before) == 1:
            changed = data[:at] + tag.replace(before, after).encode() + data[close:]
            return changed.decode()
    raise GuestError(f"The source {old} is not written as expected in the persistent definition.")


def _attribute(text: str) -> str:
    return escape(text, {"'": "&apos;", '"': "&quot;"})


def _parse(parser: expat.XMLParserType, xml: str) -> None:
    try:
        parser.Parse(xml.encode(), True)
    except expat.ExpatError as error:
        raise GuestError(f"libvirt's definition of the domain is not XML ({error}).") from error
