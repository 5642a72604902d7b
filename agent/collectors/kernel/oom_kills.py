"""From lines of the kernel log to whom the kernel killed for want of memory: the node's, not a GPU's.

It is the other half of "why did the job die", and leaves no trace but these lines. Forms, by the kernel's
mm/oom_kill.c (5.x and 6.x; before 5.1 the first two were one line that ends in "or sacrifice child"):

    oom-kill:constraint=CONSTRAINT_MEMCG,...,task_memcg=/kubepods.slice/.../cri-containerd-<id>.scope,task=x,pid=7,uid=0
    Memory cgroup out of memory: Killed process 7 (x) total-vm:9kB, anon-rss:8kB, file-rss:1kB, ...
    Out of memory: Killed process 7 (x) total-vm:9kB, anon-rss:8kB, file-rss:1kB, shmem-rss:0kB, ...
    Tasks in /kubepods.slice/... are going to be killed due to memory.oom.group set
"""

import re
from typing import Final, NamedTuple

from agent.collectors.nvml.container import container_id

HOST: Final = "host"
CGROUP: Final = "cgroup"
_NAME: Final = 64
_WHY: Final = re.compile(
    r"(?P<limit>Memory cgroup o|\bO)ut of memory(?: \([^)]{0,60}\))?:? Kill(?:ed)? process \d{1,10}\b"
)
_KILLED: Final = re.compile(
    r"\bKilled process (?P<pid>\d{1,10})(?:, UID \d{1,10},)? "
    r"\((?P<name>.{0,64}?)\)(?=,| total-vm|\s*\Z)"
)
_RESIDENT: Final = re.compile(r"\b(?:anon|file|shmem)-rss:(\d{1,15})kB")
_CHOSEN: Final = re.compile(r"\boom-kill:constraint=(?P<constraint>\w{1,40})\b")
_GROUP: Final = re.compile(r"\btask_memcg=(?P<group>[^,\s]{1,4096})")
_PID: Final = re.compile(r",pid=(?P<pid>\d{1,10})\b")
_WHOLE_GROUP: Final = re.compile(
    r"\bTasks in (?P<group>\S{1,4096}) are going to be killed due to memory\.oom\.group set"
)


class OomKill(NamedTuple):
    """A process that the kernel killed."""

    pid: int
    process: str
    """Its name, never arguments; the kernel keeps 15 characters of it."""
    limit: str
    """Whose memory was out: `HOST` or `CGROUP`; empty where the lines do not say it."""
    container: str = ""
    """The id of the container that it ran in, where the lines say it."""
    resident: int | None = None
    """Bytes of memory that it held."""


class _Chosen(NamedTuple):
    """What a line said of a kill before it was made; of a whole group where ``pid`` is `None`."""

    pid: int | None
    limit: str
    container: str


class OomKills:
    """Reads lines in their order: what one says of a process is in the one before."""

    def __init__(self) -> None:
        self._chosen = _Chosen(None, "", "")

    def read(self, line: str) -> OomKill | None:
        """Return whom the line says to have been killed."""
        self._note(line)
        killed = _KILLED.search(line)
        if killed is None:
            return None
        pid, known = int(killed["pid"]), self._chosen
        resident = [int(found) for found in _RESIDENT.findall(line)]
        return OomKill(
            pid,
            killed["name"].split(" ", 1)[0].rsplit("/", 1)[-1][:_NAME],
            known.limit,
            known.container if known.pid in {None, pid} else "",
            1024 * sum(resident) if resident else None,
        )

    def _note(self, line: str) -> None:
        """Keep what a line says of kills that follow."""
        if chosen := _CHOSEN.search(line):
            group, pid = _GROUP.search(line), _PID.search(line)
            limit = CGROUP if chosen["constraint"] == "CONSTRAINT_MEMCG" else HOST
            container = container_id(f"0::{group['group']}") if group else ""
            self._chosen = _Chosen(int(pid["pid"]) if pid else -1, limit, container)
        elif whole := _WHOLE_GROUP.search(line):
            self._chosen = _Chosen(None, CGROUP, container_id(f"0::{whole['group']}"))
        elif why := _WHY.search(line):
            limit = HOST if why["limit"] == "O" else CGROUP
            if limit != self._chosen.limit:
                self._chosen = _Chosen(-1, limit, "")


def concerns_oom(message: bytes) -> bool:
    """Return whether a line may be of a kill: cheap, for the thousands that are not."""
    return b"Kill" in message or b"oom-kill:" in message or b"memory.oom.group" in message
