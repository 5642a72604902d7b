"""Which container a process runs in, by the path of its control group.

Every runtime puts the container's id into that path, each in a way of its own, and says it nowhere else
without a privilege. Forms that are known (v1 and v2 of control groups, cgroupfs and systemd drivers):
docker, containerd and CRI, CRI-O, podman, Kubernetes, ECS.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_HEXADECIMAL: Final = re.compile(r"(?:(.*)[-:])?([0-9a-f]{64})(?:\.scope)?")
"""A last part of a path, such as ``<id>``, ``docker-<id>.scope``, ``...slice:cri-containerd:<id>``."""
_TASK: Final = re.compile(r"[0-9a-f]{32}-[0-9]{1,20}")
"""A container of an ECS task."""
_NOT_THE_CONTAINER: Final = "conmon"
"""podman's and CRI-O's monitor has a group of its own, with the id of the container that it watches."""
_LONGEST: Final = 65_536
"""Bytes of /proc/<pid>/cgroup that are read: some twenty lines, each a path."""
_INITIAL_PID_NAMESPACE: Final = 0xEFFFFFFC
"""Its inode, a constant of the kernel (PROC_PID_INIT_INO)."""


def container_id(cgroup: str) -> str:
    """Return the id in the text of a ``/proc/<pid>/cgroup``; empty where there is none.

    Of containers within containers it is the innermost: that is where the program runs.
    """
    for line in cgroup.splitlines():
        path = line.split(":", 2)[2] if line.count(":") >= 2 else ""
        for part in reversed(path.split("/")):
            if found := _id_of(part):
                return found
    return ""


def _id_of(part: str) -> str:
    if match := _HEXADECIMAL.fullmatch(part):
        return "" if _NOT_THE_CONTAINER in (match[1] or "") else match[2]
    return part if _TASK.fullmatch(part) else ""


class Containers:
    """Finds the containers of processes, and asks once for each as long as it is listed."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._known: dict[int, str] = {}

    def of(self, pids: Iterable[int]) -> dict[int, str]:
        """Return the container of each process; empty where it runs in none, or none is known."""
        known = self._known
        self._known = {pid: known[pid] if pid in known else self._read(pid) for pid in pids}
        return self._known

    def _read(self, pid: int) -> str:
        try:
            with (self._proc / str(pid) / "cgroup").open("rb") as file:
                return container_id(file.read(_LONGEST).decode(errors="replace"))
        except OSError:
            return ""  # of another PID namespace, or gone already: not worth a problem


def sees_every_process(proc: Path = Path("/proc")) -> bool:
    """Return whether we are in the host's PID namespace: elsewhere the driver hides processes from us."""
    try:
        return (proc / "self/ns/pid").stat().st_ino == _INITIAL_PID_NAMESPACE
    except OSError:
        return False
