"""Which server each process that holds a GPU belongs to. Pure: nothing is asked here, and nothing guessed.

A process belongs to the server whose listening process is it or the nearest of its ancestors: that is so
for workers of tensor parallelism, engines and Python back ends. Where none of its ancestors listens, it
belongs to the only server that listens in its container or service: there a launcher has started the front
end and the workers side by side. Where several servers could be meant, none is.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple, Protocol

from agent.snapshot import Problem


class Kinship(Protocol):
    """What must be known of processes."""

    def parent(self, pid: int) -> int:
        """Return the parent; 0 where there is none, or none is known."""
        ...

    def group(self, pid: int) -> str:
        """Return what tells its container or service from others; empty where it is in neither."""
        ...


class Claim(NamedTuple):
    """What is known of a server: the processes that listen for it, and the containers that it is."""

    pids: frozenset[int] = frozenset()
    containers: frozenset[str] = frozenset()


class Tenants(NamedTuple):
    """The server of each process that has one, and what kept others from having one."""

    server: Mapping[int, str]
    problems: tuple[Problem, ...] = ()


def tenants(holders: Collection[int], claims: Mapping[str, Claim], kinship: Kinship) -> Tenants:
    """Return whose the processes in ``holders`` are; ``claims`` are by server."""
    found: dict[int, str] = {}
    contested: dict[frozenset[str], int] = {}
    groups = {
        name: {kinship.group(pid) for pid in claim.pids} | claim.containers
        for name, claim in claims.items()
    }
    for pid in holders:
        servers = _listening(pid, claims, kinship) or _sharing(kinship.group(pid), groups)
        if len(servers) == 1:
            (found[pid],) = servers
        elif servers:
            contested[servers] = contested.get(servers, 0) + 1
    return Tenants(found, tuple(_contested(contested)))


def ancestry(pid: int, kinship: Kinship) -> Iterator[int]:
    """Give the process and its ancestors, the nearest first, without the one that starts all others."""
    seen: set[int] = set()
    while pid > 1 and pid not in seen:
        yield pid
        seen.add(pid)
        pid = kinship.parent(pid)


def _listening(pid: int, claims: Mapping[str, Claim], kinship: Kinship) -> frozenset[str]:
    for each in ancestry(pid, kinship):
        servers = frozenset(name for name, claim in claims.items() if each in claim.pids)
        if servers:
            return servers
    return frozenset()


def _sharing(group: str, groups: Mapping[str, Collection[str]]) -> frozenset[str]:
    return frozenset(name for name, own in groups.items() if group and group in own)


def _contested(contested: Mapping[frozenset[str], int]) -> Iterator[Problem]:
    for servers, number in contested.items():
        named = ", ".join(sorted(servers))
        detail = (
            f"{number} processes that hold a GPU could be of {named}; say which GPUs each of them runs on "
            "(servers[].gpus)"
        )
        yield Problem("ambiguous_server", named, detail)
