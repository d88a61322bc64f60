"""Disks that QEMU reads, as the method copy does, and helpers to compare them with qemu-img."""

import json
import subprocess

from rbdmigrate.model.finding import Severity
from rbdmigrate.model.import_policy import ImportPolicy
from rbdmigrate.model.source_spec import parse_source_spec
from rbdmigrate.sources.copying import CopySource, inspect_copied

MIB = 1 << 20


def tool(*command, cwd=None):
    words = [str(part) for part in command]
    return subprocess.run(words, check=True, capture_output=True, timeout=60, cwd=cwd)


def source(path, kind, folders=None, **fields):
    spec = {"type": kind, "stream": {"type": "file", "file_path": str(path)}, **fields}
    policy = ImportPolicy(folders=tuple(folders or [str(path.parent)]), spool_min_free=0)
    return CopySource(parse_source_spec(json.dumps(spec)), policy)


def read_all(disk):
    """The disk by its extents: what is not in them has to be zeros."""
    found = bytearray(disk.size)
    for offset, length in disk.extents(0, disk.size):
        found[offset : offset + length] = disk.read(offset, length)
    return bytes(found)


def problem(source):
    """Its refusal: the code, in one sentence."""
    found = inspect_copied(source.spec, source.policy)
    errors = [f for f in found.findings if f.severity is Severity.ERROR]
    assert errors
    assert errors[0].message.endswith(".")
    assert "\n" not in errors[0].message
    assert "driver" not in errors[0].message  # of our description of the disk
    return errors[0]


def converted(path, kind):
    """What qemu-img reads; the format is named to it too."""
    driver = {"qcow": json.loads(tool("qemu-img", "info", "--output=json", path).stdout)["format"]}
    raw = path.with_name("converted.raw")
    tool(
        "qemu-img", "convert", "-f", driver.get(kind, kind), "-O", "raw", path, raw, cwd=path.parent
    )
    return raw.read_bytes()
