"""A place where a model server is, or might be."""

import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from agent.collectors.scrape import OPEN, Access

HERE: Final = "here"
"""Stands for every address of this machine: a server found at two of them is one server."""
_PORTS: Final = {"http": 80, "https": 443}


class Place(NamedTuple):
    """Where something listens: what tells one server from another."""

    host: str
    port: int


class PodIdentity(NamedTuple):
    """The pod that a server runs in. ``container_ids`` are of its containers, as the runtime gives them."""

    namespace: str
    name: str
    uid: str
    container: str = ""
    container_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One port, and what is known about it before it was ever asked.

    ``urls`` are tried in order; they differ in scheme and path. ``sure``: something else than a port says
    that it is a model server. ``spare``: tried only while nothing else of its ``owner`` (a pod, a process)
    is one. Another ``owner`` at the same place is another server; another ``epoch`` is the same one in
    another state, which is worth a try at once.
    """

    place: Place
    urls: tuple[str, ...]
    name: str
    source: str
    owner: str
    epoch: str = ""
    sure: bool = False
    spare: bool = False
    access: Access = OPEN
    pod: PodIdentity | None = None
    pids: frozenset[int] = frozenset()


def is_own(host: str) -> bool:
    """Tell whether an IP address is one of this machine's; a name is not looked up."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    if address.is_loopback or address.is_unspecified:
        return True
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))  # sends nothing; refused for an address that is not ours
        except OSError:
            return False
    return True


def place_of(url: str, own: Callable[[str], bool] = is_own) -> Place:
    """Return where a URL leads. Raises ValueError for one without host or with a malformed port."""
    parts = urlsplit(url)
    port = parts.port or _PORTS.get(parts.scheme, 0)
    if not parts.hostname or not port:
        raise ValueError("the URL needs a host and a port; write it like http://host:8000/metrics")
    return Place(HERE if own(parts.hostname) else parts.hostname.lower(), port)


def authority(host: str, port: int) -> str:
    """Return host and port as a URL has them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
