"""The locks of an image's header object, as RADOS describes them."""

from __future__ import annotations

import socket
from typing import NamedTuple, Optional

from .denc import Decoder


class LockHolder(NamedTuple):
    """The owner of an image's exclusive lock: RADOS client number, lock cookie and address."""

    client: int
    cookie: str
    address: str

    def __str__(self) -> str:
        return f"client.{self.client} at {self.address}"


def first_locker(reply: Decoder) -> tuple[Optional[LockHolder], str]:
    """Decode the answer of ``lock.get_info``: the first holder, None without one, and the tag."""
    reply.start()
    holders = [_holder(reply) for _ in range(reply.u32())]
    reply.u8()  # exclusive or shared
    return (holders[0] if holders else None), reply.string()


def _holder(reply: Decoder) -> LockHolder:
    locker = reply.start()
    reply.u8()  # the entity's type: always a client
    number, cookie = reply.s64(), reply.string()
    reply.finish(locker)
    info = reply.start()
    reply.u32(), reply.u32()  # expiration
    address = _address(reply)
    reply.finish(info)
    return LockHolder(number, cookie, address)


def _address(reply: Decoder) -> str:
    """An entity address, as ``ip:port/nonce``; IPv4 and IPv6."""
    if reply.u8():
        frame = reply.start()
        reply.u32()  # messenger version
        nonce, size = reply.u32(), reply.u32()
        socket_address = reply.raw(size)
        reply.finish(frame)
    else:  # the form before Nautilus
        reply.raw(3)
        nonce, socket_address = reply.u32(), reply.raw(128)
    port = int.from_bytes(socket_address[2:4], "big")
    if socket.AF_INET in socket_address[:2] and len(socket_address) >= 8:
        return f"{socket.inet_ntop(socket.AF_INET, socket_address[4:8])}:{port}/{nonce}"
    if len(socket_address) >= 24:
        ip = socket.inet_ntop(socket.AF_INET6, socket_address[8:24])
        return f"[{ip}]:{port}/{nonce}"
    return "an unknown address"
