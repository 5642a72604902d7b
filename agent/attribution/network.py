"""Which addresses are meant by a URL, and which ones a process has in its own network."""

import ipaddress
import socket
from itertools import pairwise
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from agent.collectors.scrape import endpoint

_UNSPECIFIED: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - to know it, not to listen there
_LONGEST: Final = 2**20
_PROXY: Final = "docker-proxy"


def addresses_of(url: str) -> tuple[frozenset[str], int]:
    """Return the IP addresses and the port that a URL leads to; no addresses of a name that has none.

    Blocks where a name must be looked up. Raises ValueError for a URL that cannot be used.
    """
    host, port = urlsplit(url).hostname or "", endpoint(url).address.rpartition(":")[2]
    if host == "localhost":
        return frozenset({"127.0.0.1", "::1"}), int(port)
    try:
        return frozenset({_plain(host)}), int(port)
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return frozenset(), int(port)
    return frozenset(_plain(str(each[4][0])) for each in found), int(port)


def accepts(listening: str, asked: frozenset[str]) -> bool:
    """Whether a socket at the address ``listening`` takes connections to one of ``asked``."""
    return listening in _UNSPECIFIED or listening in asked


def local_addresses(pid: int, proc: Path = Path("/proc")) -> frozenset[str]:
    """Return the addresses of the network that a process is in. Raises OSError where we may not look."""
    found: set[str] = set()
    last = ""
    for line in _text(proc / str(pid) / "net" / "fib_trie").splitlines():
        words = line.split()
        if len(words) == 2 and words[0] == "|--":
            last = words[1]
        elif words[-2:] == ["host", "LOCAL"] and last:
            found.add(last)
    try:
        six = _text(proc / str(pid) / "net" / "if_inet6")
    except FileNotFoundError:
        six = ""  # IPv6 is off
    found |= {
        str(ipaddress.IPv6Address(bytes.fromhex(line.split()[0]))) for line in six.splitlines()
    }
    return frozenset(found)


def forwarded(pid: int, proc: Path = Path("/proc")) -> tuple[str, int] | None:
    """Return where Docker's proxy passes connections on to; `None` for any other process.

    A published port is listened on by that proxy, and not by the container. Of its command line no more
    is read than these two values, and none of another program's.
    """
    try:
        words = _text(proc / str(pid) / "cmdline").split("\0")
    except OSError:
        return None
    if words[0].rpartition("/")[2] != _PROXY:
        return None
    given = dict(pairwise(words))
    address, port = given.get("-container-ip", ""), given.get("-container-port", "")
    return (address, int(port)) if address and port.isdecimal() else None


def _plain(text: str) -> str:
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_LONGEST).decode(errors="replace")
