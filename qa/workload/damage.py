"""Writes wrong bytes into an image's RADOS objects, bypassing librbd."""

import rados

from qa.workload.images import opened, place

WRONG = 100  # bytes
AT = 1234  # within the object


def spoil(
    client: rados.Rados, spec: str, number: int, keep: "tuple[str, ...] | None" = None
) -> None:
    """Change some bytes of the data object with this number.

    Every view that shares the present object shows the wrong bytes. With ``keep`` the right ones
    are restored in all views but these snapshots (and older ones that share their data).
    """
    with opened(client, spec) as image:
        prefix = str(image.stat()["block_name_prefix"])
        known = {str(s["name"]): int(s["id"]) for s in image.list_snaps()}
    name = f"{prefix}.{number:016x}"
    with place(client, spec) as ioctx:
        right = ioctx.read(name, WRONG, AT).ljust(WRONG, b"\0")
        ioctx.write(name, bytes(byte ^ 0xFF for byte in right), AT)
        if keep is not None:
            ioctx.set_self_managed_snap_write(sorted((known[k] for k in keep), reverse=True))
            ioctx.write(name, right, AT)
