"""Packets to a socket vanish: a one-line BPF program that drops them all. It needs neither rules nor rights."""

from __future__ import annotations

import ctypes
import socket
import struct
from typing import Final

# linux/socket.h and linux/filter.h; Python has no names for them.
_ATTACH: Final = 26
_DETACH: Final = 27
_RETURN: Final = 0x06
_DROP: Final = ctypes.create_string_buffer(struct.pack("HBBI", _RETURN, 0, 0, 0))


def drop_packets(sock: socket.socket) -> None:
    """From now on the kernel drops what arrives: no handshake on a listener, no data on a connection."""
    sock.setsockopt(socket.SOL_SOCKET, _ATTACH, struct.pack("HL", 1, ctypes.addressof(_DROP)))


def pass_packets(sock: socket.socket) -> None:
    """As before; nothing to do where none were dropped."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _DETACH, struct.pack("i", 0))
    except FileNotFoundError:
        return
