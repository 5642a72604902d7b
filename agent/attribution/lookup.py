"""Finds the processes that listen for servers, by one look at /proc.

A look is for one moment: what it learned of a process, and of the sockets of a network, it keeps, and asks
of each thing once. The ancestors of processes that hold a GPU are looked at first, since a server is most
often one of them; all others only where that did not do.
"""

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from agent.attribution.network import accepts, forwarded, local_addresses
from agent.attribution.tenants import ancestry
from agent.collectors.nvml.container import container_id
from agent.discovery.proc_net import Listener, listeners
from agent.discovery.processes import Process, Processes
from agent.discovery.target import is_own

_LONGEST: Final = 8 * 2**20
_MOST_DESCRIPTORS: Final = 65_536
_SERVICE: Final = ".service"
_MANAGER: Final = "user@"
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})


class Asked(NamedTuple):
    """Where somebody should listen."""

    addresses: frozenset[str]
    port: int


class Lookup:
    """One look; ``proc`` is where the kernel tells of processes. Everything blocks."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._processes = Processes(proc)
        self._known: dict[int, Process | None] = {}
        self._networks: dict[int, int | None] = {}
        self._tables: dict[int, list[tuple[str, int, int]]] = {}
        self._addresses: dict[int, frozenset[str]] = {}
        self._descriptors: dict[int, frozenset[int]] = {}
        self._own = self._network_of("self")
        self.forbidden: set[int] = set()
        """Processes whose network or descriptors we may not see."""

    def parent(self, pid: int) -> int:
        """Return the parent of a process; see `agent.attribution.tenants.Kinship`."""
        process = self._process(pid)
        return process.parent if process else 0

    def group(self, pid: int) -> str:
        """Return the container of a process, else its service; a login's shell is in neither."""
        process = self._process(pid)
        if process is None:
            return ""
        if container := container_id(f"0::{process.cgroup}"):
            return container
        last = process.cgroup.rpartition("/")[2]
        named = last.endswith(_SERVICE) and not last.startswith(_MANAGER)
        return process.cgroup if named else ""

    def sees(self, pid: int) -> bool:
        """Whether the process is there for us."""
        return self._process(pid) is not None

    def owners(
        self, asked: Mapping[str, Asked], holders: Collection[int], placed: Collection[str] = ()
    ) -> dict[str, frozenset[int]]:
        """Return who listens for each server, none where nobody is found.

        Servers in ``placed`` are known otherwise: for them not every process of the machine is looked at.
        """
        near = dict.fromkeys(pid for each in holders for pid in ancestry(each, self))
        found = {name: self._listening(each, near) for name, each in asked.items()}
        if missing := [name for name, pids in found.items() if not pids and name not in placed]:
            everybody = self._everybody()
            for name in missing:
                found[name] = self._anywhere(asked[name], everybody)
        return found

    def _anywhere(self, asked: Asked, everybody: Collection[int]) -> frozenset[int]:
        pids = self._listening(asked, everybody)
        for onward in filter(None, (forwarded(pid, self._proc) for pid in pids)):
            address, port = onward
            pids = self._listening(Asked(frozenset({address}), port), everybody)
        return pids

    def _listening(self, asked: Asked, pids: Iterable[int]) -> frozenset[int]:
        """Return those who have a socket that takes connections to what is asked for."""
        wanted: dict[int, frozenset[int]] = {}
        found: set[int] = set()
        for pid in pids:
            network = self._network(pid)
            if network is None:
                continue
            if network not in wanted:
                wanted[network] = self._inodes(asked, network, pid)
            if wanted[network] and wanted[network] & self._sockets(pid):
                found.add(pid)
        return frozenset(found)

    def _inodes(self, asked: Asked, network: int, pid: int) -> frozenset[int]:
        """Return the sockets of a network that are asked for, which ``pid`` is in."""
        table = self._table(network, pid)
        matching = [(address, inode) for address, port, inode in table if port == asked.port]
        if not matching:
            return frozenset()
        if network == self._own:
            meant = asked.addresses if any(map(is_own, asked.addresses)) else frozenset()
        else:
            meant = (asked.addresses - _LOOPBACK) & self._local(network, pid)
        return frozenset(inode for address, inode in matching if meant and accepts(address, meant))

    def _process(self, pid: int) -> Process | None:
        if pid not in self._known:
            try:
                self._known[pid] = self._processes.read(pid)
            except (OSError, ValueError, IndexError):
                self._known[pid] = None
        return self._known[pid]

    def _everybody(self) -> list[int]:
        names = (entry.name for entry in os.scandir(self._proc))
        return sorted(int(name) for name in names if name.isdecimal() and int(name) > 1)

    def _network(self, pid: int) -> int | None:
        if pid not in self._networks:
            try:
                self._networks[pid] = self._network_of(str(pid))
            except PermissionError:
                self.forbidden.add(pid)
                self._networks[pid] = None
        return self._networks[pid]

    def _network_of(self, name: str) -> int | None:
        try:
            return (self._proc / name / "ns/net").stat().st_ino
        except (FileNotFoundError, ProcessLookupError):
            return None

    def _table(self, network: int, pid: int) -> list[tuple[str, int, int]]:
        if network not in self._tables:
            found: list[Listener] = []
            for name in ("tcp", "tcp6"):
                try:
                    with (self._proc / str(pid) / "net" / name).open("rb") as file:
                        found += listeners(file.read(_LONGEST).decode(errors="replace"))
                except OSError:
                    continue  # no IPv6, or the process ended: another look comes
            self._tables[network] = [(each.address, each.port, each.inode) for each in found]
        return self._tables[network]

    def _local(self, network: int, pid: int) -> frozenset[str]:
        if network not in self._addresses:
            try:
                self._addresses[network] = local_addresses(pid, self._proc)
            except (OSError, ValueError):
                self._addresses[network] = frozenset()
        return self._addresses[network]

    def _sockets(self, pid: int) -> frozenset[int]:
        if pid not in self._descriptors:
            try:
                self._descriptors[pid] = frozenset(self._links(pid))
            except PermissionError:
                self.forbidden.add(pid)
                self._descriptors[pid] = frozenset()
            except OSError:
                self._descriptors[pid] = frozenset()
        return self._descriptors[pid]

    def _links(self, pid: int) -> Iterable[int]:
        with os.scandir(self._proc / str(pid) / "fd") as entries:
            for count, entry in enumerate(entries):
                if count >= _MOST_DESCRIPTORS:
                    return
                try:
                    link = os.readlink(entry)  # noqa: PTH115 - an entry is no path yet
                except FileNotFoundError:
                    continue  # closed meanwhile
                if link.startswith("socket:["):
                    yield int(link[8:-1])
