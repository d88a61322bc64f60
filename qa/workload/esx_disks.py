"""VMDK disks as ESX writes them, which QEMU reads and does not write: vmfsSparse and seSparse."""

import struct
from pathlib import Path

_SECTOR = 512
_TABLE = 4096  # entries of a table of grains, in both formats
_DIRECTORY = 4  # sector of the directory of a vmfsSparse file
_SE_GRAIN = 8  # sectors; QEMU reads no other
_SE_TABLE = _TABLE * 8 // _SECTOR  # sectors of a table of an seSparse file
_SE_DIRECTORY, _SE_TABLES = 2, 16  # sectors where they begin
_SE_ENTRY = 1 << 60  # a directory entry that has a table
_SE_UNMAPPED, _SE_ZERO, _SE_DATA = 1 << 60, 2 << 60, 3 << 60  # kinds of entries of a table


def vmfs_sparse(path: Path, content: bytes, grain: int = 1) -> None:
    """Write a vmfsSparse file with grains of ``grain`` sectors; ESX writes 1.

    Grains of zeros are left out. ``content`` has whole sectors.
    """
    pieces = _pieces(content, grain)
    tables = -(-len(pieces) // _TABLE)
    first = _DIRECTORY + _sectors(4 * tables)  # sector of the first table
    directory: list[int] = []
    body: list[bytes] = []
    at = first
    for begin in range(0, len(pieces), _TABLE):
        part = pieces[begin : begin + _TABLE]
        if not any(map(any, part)):
            directory.append(0)
            continue
        directory.append(at)
        at += _sectors(4 * _TABLE)
        table = [0] * _TABLE
        grains = []
        for number, piece in enumerate(part):
            if any(piece):
                table[number] = at
                at += grain
                grains.append(piece)
        body += [struct.pack(f"<{_TABLE}I", *table), *grains]
    header = struct.pack(
        "<4s10I",
        b"COWD",
        1,  # version
        3,  # flags
        len(content) // _SECTOR,
        grain,
        _DIRECTORY,
        tables,
        at,  # the next free sector
        max(1, len(content) // _SECTOR // 255 // 63),
        255,
        63,
    )
    data = header.ljust(_DIRECTORY * _SECTOR, b"\0")
    data += struct.pack(f"<{tables}I", *directory).ljust((first - _DIRECTORY) * _SECTOR, b"\0")
    path.write_bytes(data + b"".join(body))


def se_sparse(path: Path, content: bytes, zeroed: "tuple[int, ...]" = ()) -> None:
    """Write the file with the data of an seSparse disk.

    Grains of zeros are left out, but for those whose numbers are in ``zeroed``: these are written
    as zeros, and unmapped, in turn. ``content`` has whole grains.
    """
    pieces = _pieces(content, _SE_GRAIN)
    tables = -(-len(pieces) // _TABLE)
    data_begins = _SE_TABLES + _SE_TABLE * tables
    directory = [0] * (_SE_TABLES - _SE_DIRECTORY) * (_SECTOR // 8)
    made: list[bytes] = []
    grains: list[bytes] = []
    for begin in range(0, len(pieces), _TABLE):
        entries = [0] * _TABLE
        for number, piece in enumerate(pieces[begin : begin + _TABLE]):
            if any(piece):
                entries[number] = _se_entry(len(grains))
                grains.append(piece)
            elif begin + number in zeroed:
                place = zeroed.index(begin + number)
                entries[number] = _SE_UNMAPPED if place % 2 else _SE_ZERO
        if any(entries):
            directory[begin // _TABLE] = _SE_ENTRY | len(made)
            made.append(struct.pack(f"<{_TABLE}Q", *entries))
    places = (
        (1, 1),  # the volatile header
        (2, 0),  # the journal's header, the journal: QEMU does not read them
        (2, 0),
        (_SE_DIRECTORY, _SE_TABLES - _SE_DIRECTORY),
        (_SE_TABLES, _SE_TABLE * tables),
        (data_begins, 0),  # the map of free grains, and the one of owners: not read either
        (data_begins, 0),
        (data_begins, _SE_GRAIN * len(grains)),
    )
    sectors, version = len(content) // _SECTOR, 2 << 32 | 1
    header = struct.pack("<6Q", 0xCAFEBABE, version, sectors, _SE_GRAIN, _SE_TABLE, 0)
    header += bytes(4 * 8)
    header += b"".join(struct.pack("<QQ", *place) for place in places)
    volatile = struct.pack("<4Q", 0xCAFECAFE, len(made), 0, 0)
    data = header.ljust(_SECTOR, b"\0") + volatile.ljust(_SECTOR, b"\0")
    data += struct.pack(f"<{len(directory)}Q", *directory)
    data += b"".join(made).ljust(_SE_TABLE * tables * _SECTOR, b"\0")
    path.write_bytes(data + b"".join(grains))


def describe(path: Path, kind: str, extent: Path, content: bytes, parent: str = "") -> None:
    """Write the descriptor of a disk whose data are in ``extent``, which is next to it.

    ``kind``: vmfsSparse, seSparse or vmfs, a flat file. ``parent`` is the name of its parent.
    """
    cid = "fffffffe" if parent else "ffffffff"
    hint = f'parentFileNameHint="{parent}"\n' if parent else ""
    path.write_text(
        "# Disk DescriptorFile\nversion=1\nCID=fffffffe\n"
        f'parentCID={cid}\ncreateType="{kind}"\n{hint}# Extent description\n'
        f'RW {len(content) // _SECTOR} {kind.upper()} "{extent.name}"\n',
        encoding="ascii",
    )


def _se_entry(number: int) -> int:
    """The entry of the grain with this number: its low 12 bits are above the others."""
    return _SE_DATA | (number & 0xFFF) << 48 | number >> 12


def _pieces(content: bytes, grain: int) -> "list[bytes]":
    length = grain * _SECTOR
    return [content[at : at + length].ljust(length, b"\0") for at in range(0, len(content), length)]


def _sectors(length: int) -> int:
    return -(-length // _SECTOR)
