"""How the image of a disk can be opened again: the options of its leaf and of the node above.

They come from QEMU's command line. Whatever QEMU shows of them has to agree with it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from .command_line import CommandLine
from .drive_conf import unusable
from .graph import Device, Graph, Node
from .model import Options
from .option_text import flat, rbd_name

_OF_THE_IMAGE = ("pool", "namespace", "image", "node-name", "driver")
_SHOWN = ("conf", "user", "server.")
_KNOWN_OF_DRIVE = frozenset(
    [
        "file",
        "format",
        "if",
        "id",
        "cache",
        "aio",
        "discard",
        "detect-zeroes",
        "media",
        "index",
        "bus",
        "unit",
        "readonly",
        "read-only",
        "werror",
        "rerror",
        "serial",
        "snapshot",
        "auto-read-only",
    ]
)
_LIMITS = ("throttling.", "bps", "iops")  # they belong to the device and stay
_ABOVE = ("raw", "throttle", "luks")


@dataclass(frozen=True)
class Reopening:
    """What is known: the options, or why they are not."""

    leaf: str = ""
    """JSON: without the image and the node's name."""
    above_options: str = "{}"
    """JSON: without ``file`` and the node's name."""
    fixed: str = ""
    """Why the disk cannot be exchanged; empty if it can."""
    settings: dict[str, str] = field(default_factory=dict)
    """Settings of Ceph that the leaf needs and that are no options of it."""


def reopening(line: CommandLine, graph: Graph, leaf: Node, above: str, device: Device) -> Reopening:
    """Find out for the disk ``device``, whose leaf is below the node ``above`` (empty: none)."""
    over: Options = {}
    if device.backend in line.drives:
        return _of_drive(line.drives[device.backend], leaf)
    if above:
        found = line.nodes.get(above)
        driver = graph.nodes[above].driver
        if driver not in _ABOVE:
            return Reopening(fixed=f"Above the image is a node {driver}, which is not supported.")
        if found is None or found.get("driver") != driver:
            return Reopening(fixed=_unknown(above))
        over = {key: value for key, value in found.items() if key not in ("file", "node-name")}
    options = line.nodes.get(leaf.name)
    if options is None and above:
        inline = line.nodes[above].get("file")
        if isinstance(inline, dict) and "node-name" not in inline:
            options = inline
    if options is None or options.get("driver") != "rbd":
        return Reopening(fixed=_unknown(leaf.name))
    return _checked(options, json.dumps(over), leaf)


def _checked(options: Options, over: str, leaf: Node) -> Reopening:
    if "snapshot" in options:
        return Reopening(fixed="It is a snapshot of an image.")
    ours, shown = flat(options), flat(leaf.shown or {})
    for key in {*ours, *shown}:
        if key.startswith(_SHOWN) and ours.get(key, "") != shown.get(key, ""):
            return Reopening(fixed=_unknown(leaf.name))
    kept = {key: value for key, value in options.items() if key not in _OF_THE_IMAGE}
    return Reopening(json.dumps({"driver": "rbd", **kept}), over)


def _of_drive(drive: dict[str, str], leaf: Node) -> Reopening:
    """The leaf alone, without the node raw that ``-drive`` puts above it."""
    named = rbd_name(drive.get("file", ""))
    if named is None or drive.get("format", "raw") != "raw" or drive.get("snapshot") == "on":
        return Reopening(fixed="Its option -drive is not understood (format=raw,file=rbd:...).")
    _, options = named
    strange = [key for key in drive if key not in _KNOWN_OF_DRIVE and not key.startswith(_LIMITS)]
    settings = {key: value for key, value in options.items() if key not in ("id", "conf")}
    hidden = unusable(settings)
    if strange or hidden:
        keys = ", ".join(sorted(strange + hidden))
        return Reopening(
            fixed=f"Its option -drive has settings that a running QEMU cannot be given again "
            f"({keys}); put those of Ceph into the configuration file."
        )
    base: Options = {
        "driver": "rbd",
        "cache": {"direct": leaf.direct, "no-flush": leaf.no_flush},
        "detect-zeroes": leaf.detect_zeroes,
        "read-only": leaf.read_only,
    }
    if drive.get("discard") in ("unmap", "on"):
        base["discard"] = "unmap"
    if options.get("conf"):
        base["conf"] = options["conf"]
    if options.get("id"):
        base["user"] = options["id"]
    return Reopening(json.dumps(base), settings=settings)


def _unknown(node: str) -> str:
    return (
        f"Its node {node} was added after the guest's start, so not all of its options are known; "
        "it can be exchanged once the guest was started with it."
    )
