"""Which processes belong together, and where they listen, as /proc tells.

The process that holds the GPU is often not the one that answers HTTP: vLLM's engine is a child of its API
server, Triton's Python models are children of the server.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from agent.collectors.nvml.container import container_id
from agent.discovery.proc_net import Listener, listeners

_MOST_DESCRIPTORS: Final = 65_536
"""Of one process; a server with that many connections is asked by its neighbours."""
_LONGEST: Final = 8 * 2**20
"""Bytes of a table of sockets."""
_SOCKET: Final = re.compile(r"socket:\[(\d+)\]")


class Process(NamedTuple):
    """One process. ``started`` (clock ticks since boot) tells it from a later one of the same number."""

    pid: int
    parent: int
    started: int
    cgroup: str


class Sockets(NamedTuple):
    """Where a process listens, and whether that can be reached from here: the same network namespace."""

    listeners: tuple[Listener, ...]
    reachable: bool


class Processes:
    """Reads /proc. Everything blocks, and raises OSError where we may not look or the process ended."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc

    def all(self) -> dict[int, Process]:
        """Return every process that can be seen."""
        found: dict[int, Process] = {}
        for entry in os.scandir(self._proc):
            if entry.name.isdecimal():
                try:
                    process = self.read(int(entry.name))
                except (OSError, ValueError, IndexError):
                    continue  # it ended meanwhile
                found[process.pid] = process
        return found

    def read(self, pid: int) -> Process:
        """Return one process. Raises OSError, or ValueError and IndexError for what is no process."""
        stat = self._text(pid, "stat")
        fields = stat[stat.rindex(")") + 2 :].split()  # the name before may hold anything
        return Process(pid, int(fields[1]), int(fields[19]), _group(self._text(pid, "cgroup")))

    def sockets(self, pid: int) -> Sockets:
        """Return where a process listens."""
        own = self._inodes(pid)
        if not own:
            return Sockets((), reachable=True)
        tables = [
            self._text(pid, f"net/{name}") for name in ("tcp", "tcp6") if self._has(pid, name)
        ]
        found = {each for table in tables for each in listeners(table) if each.inode in own}
        here = os.stat(self._proc / "self/ns/net").st_ino  # noqa: PTH116 - of a link's end
        there = os.stat(self._proc / str(pid) / "ns/net").st_ino  # noqa: PTH116
        return Sockets(tuple(sorted(found)), reachable=here == there)

    def _has(self, pid: int, table: str) -> bool:
        return (self._proc / str(pid) / "net" / table).exists()  # no tcp6 where IPv6 is off

    def _inodes(self, pid: int) -> set[int]:
        folder, found = self._proc / str(pid) / "fd", set()
        with os.scandir(folder) as entries:
            for count, entry in enumerate(entries):
                if count >= _MOST_DESCRIPTORS:
                    break
                try:
                    link = os.readlink(entry)  # noqa: PTH115 - an entry is no path yet
                except FileNotFoundError:
                    continue  # closed meanwhile
                if match := _SOCKET.fullmatch(link):
                    found.add(int(match[1]))
        return found

    def _text(self, pid: int, name: str) -> str:
        with (self._proc / str(pid) / name).open("rb") as file:
            return file.read(_LONGEST).decode(errors="replace")


def family(
    pid: int, processes: Mapping[int, Process], children: Callable[[int], Iterable[int]]
) -> frozenset[int]:
    """Return who works together with a process.

    In a container that is everybody in it. Elsewhere it is its ancestors and descendants in the same
    control group: the shell that started ten other programs is one, but the other programs are not.
    """
    process = processes.get(pid)
    if process is None:
        return frozenset()
    if container_id(f"0::{process.cgroup}"):
        return frozenset(each.pid for each in processes.values() if each.cgroup == process.cgroup)
    found = {pid}
    above = processes.get(process.parent)
    while above and above.pid > 1 and above.pid not in found and above.cgroup == process.cgroup:
        found.add(above.pid)
        above = processes.get(above.parent)
    below = list(children(pid))
    while below:
        child = processes[below.pop()]
        if child.pid not in found and child.cgroup == process.cgroup:
            found.add(child.pid)
            below += children(child.pid)
    return frozenset(found)


def _group(text: str) -> str:
    """Return the control group that tells containers and services apart, of whichever version."""
    paths = [line.split(":", 2)[2] for line in text.splitlines() if line.count(":") >= 2]
    containers = [path for path in paths if container_id(f"0::{path}")]
    return max(containers or paths, key=len, default="")
