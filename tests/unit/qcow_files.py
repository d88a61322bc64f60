"""QCOW files made byte by byte, so that every field can be wrong."""

import struct
from dataclasses import dataclass, field
from typing import Optional

COPIED, COMPRESSED, ZERO = 1 << 63, 1 << 62, 1


def fill(number, size):
    """A cluster's content: its number in the disk, and again and again."""
    return (number.to_bytes(2, "big") * size)[:size]


@dataclass
class Qcow:
    """A file of version 2 or 3 with one L2 table for the head, and one for each snapshot.

    ``clusters``: what the head's L2 entries are: "data", "zero", "zeroed" (zero, with a place),
    "compressed", a number (the entry itself) or nothing. ``l1``: the head's L1 entry, if it is
    another one than that of its L2 table. ``shared``: the views share the clusters that both have.
    Header fields can be overridden by their names.
    """

    version: int = 3
    size: int = 64 << 10
    cluster_bits: int = 12
    clusters: dict = field(default_factory=lambda: {0: "data", 3: "data", 5: "zero"})
    snapshots: tuple = ()  # (name, size, vm state bytes, clusters)
    features: int = 0
    crypt: int = 0
    backing: bytes = b""
    compression: int = 0
    header_length: int = 112
    extensions: bytes = b""
    l1: Optional[int] = None
    shared: bool = False
    override: dict = field(default_factory=dict)

    def content(self, clusters=None, size=None):
        """The disk's bytes."""
        unit, data = 1 << self.cluster_bits, bytearray(self.size if size is None else size)
        for number, kind in (self.clusters if clusters is None else clusters).items():
            if kind == "data":
                data[number * unit : (number + 1) * unit] = fill(number, unit)
        return bytes(data)

    def build(self):
        """The file's bytes."""
        unit = 1 << self.cluster_bits
        file = bytearray(unit)

        def append(data):
            place = len(file)
            file.extend(data + bytes(-len(data) % unit))
            return place

        places = {}

        def table(clusters):
            entries = [0] * (unit // 8)
            for number, kind in clusters.items():
                if isinstance(kind, int):
                    entries[number] = kind
                    continue
                place = 0
                if kind != "zero":
                    place = places[number] if self.shared and number in places else None
                    place = place or append(fill(number, unit))
                    places[number] = place
                entries[number] = {
                    "data": place | COPIED,
                    "zero": ZERO,
                    "zeroed": place | ZERO | COPIED,
                    "compressed": place | COMPRESSED,
                }[kind]
            return append(struct.pack(f">{len(entries)}Q", *entries)) | COPIED

        l2 = table(self.clusters)
        l1 = append(struct.pack(">Q", l2 if self.l1 is None else self.l1))
        snapshots = b""
        for name, size, state, clusters in self.snapshots:
            own = append(struct.pack(">Q", table(clusters)))
            ident = b"1"
            encoded = name if isinstance(name, bytes) else name.encode()
            snapshots += struct.pack(">QIHHIIQII", own, 1, len(ident), len(encoded), 0, 0, 0, 0, 16)
            snapshots += struct.pack(">QQ", state, size) + ident + encoded
            snapshots += bytes(-len(snapshots) % 8)
        fields = {
            "magic": b"QFI\xfb", "version": self.version,
            "backing_offset": 512 * bool(self.backing),
            "backing_size": len(self.backing), "cluster_bits": self.cluster_bits,
            "size": self.size, "crypt": self.crypt, "l1_size": 1, "l1_offset": l1,
            "snapshots": len(self.snapshots), "snapshots_offset": append(snapshots),
            "features": self.features, "header_length": self.header_length,
            "compression": self.compression, **self.override,
        }  # fmt: skip
        header = struct.pack(
            ">4sIQIIQIIQQIIQ", fields["magic"], fields["version"], fields["backing_offset"],
            fields["backing_size"], fields["cluster_bits"], fields["size"], fields["crypt"],
            fields["l1_size"], fields["l1_offset"], 0, 0, fields["snapshots"],
            fields["snapshots_offset"],
        )  # fmt: skip
        if self.version >= 3:
            header += struct.pack(">QQQII", fields["features"], 0, 0, 4, fields["header_length"])
            header += bytes([fields["compression"]]) + bytes(7)
        file[: len(header)] = header
        file[len(header) : len(header) + len(self.extensions)] = self.extensions
        file[512 : 512 + len(self.backing)] = self.backing
        return bytes(file)


def version_1(size=64 << 10, cluster_bits=12, l2_bits=9, entries=None, crypt=0, backing=b""):
    """(the file's bytes, the disk's) of version 1. ``entries``: {cluster: "data"/"compressed"}."""
    unit = 1 << cluster_bits
    entries = {0: "data", 2: "data"} if entries is None else entries
    table, disk, clusters = [0] * (1 << l2_bits), bytearray(size), b""
    l2 = 1024
    first = -(-(l2 + 8 * len(table)) // unit) * unit
    for number, kind in entries.items():
        table[number] = first + len(clusters)
        if kind == "compressed":
            table[number] |= 1 << 63
        clusters += fill(number, unit)
        disk[number * unit : (number + 1) * unit] = fill(number, unit)
    header = b"QFI\xfb" + struct.pack(
        ">IQIIQBBHIQ", 1, 256 * bool(backing), len(backing), 0, size, cluster_bits, l2_bits, 0,
        crypt, 512,
    )  # fmt: skip
    file = bytearray(first)
    file[: len(header)] = header
    file[256 : 256 + len(backing)] = backing
    file[512:520] = struct.pack(">Q", l2)
    file[l2 : l2 + 8 * len(table)] = struct.pack(f">{len(table)}Q", *table)
    return bytes(file) + clusters, bytes(disk)
