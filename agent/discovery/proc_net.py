"""Reads the kernel's tables of TCP sockets, /proc/net/tcp and tcp6."""

import ipaddress
import sys
from collections.abc import Iterator
from typing import Final, NamedTuple

_LISTEN: Final = "0A"
"""TCP_LISTEN of the kernel's tcp_states.h, hexadecimal."""
_WORD: Final = 8
"""Hexadecimal digits of 32 bits, which the kernel prints in the machine's own order of bytes."""


class Listener(NamedTuple):
    """A socket that accepts connections. ``address`` is an IP address; unspecified stands for all."""

    address: str
    port: int
    inode: int


def listeners(table: str) -> Iterator[Listener]:
    """Give the listening sockets of a table; its head and lines that are cut off are left out."""
    for line in table.splitlines():
        fields = line.split()
        if len(fields) < 10 or fields[3].upper() != _LISTEN:
            continue
        address, colon, port = fields[1].partition(":")
        try:
            found = Listener(_address(address), int(port, 16), int(fields[9]))
        except ValueError:
            continue
        if colon and 0 < found.port < 65536 and found.inode > 0:
            yield found


def _address(digits: str) -> str:
    if len(digits) not in (_WORD, 4 * _WORD):
        raise ValueError("neither IPv4 nor IPv6")
    words = (digits[at : at + _WORD] for at in range(0, len(digits), _WORD))
    packed = b"".join(int(word, 16).to_bytes(4, sys.byteorder) for word in words)
    address = ipaddress.ip_address(packed)
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
