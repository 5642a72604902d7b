"""Finds servers by the ports on which processes that hold a GPU listen.

For machines without Kubernetes, and for what runs beside it. It is asked for explicitly, because each port
is spoken to in HTTP to learn what it is.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from agent.collectors.nvml.container import container_id
from agent.discovery.kubernetes.known import KNOWN_PORTS, METRICS_PATHS
from agent.discovery.proc_net import Listener
from agent.discovery.processes import Process, Processes, family
from agent.discovery.target import PodIdentity, Target, authority, place_of
from agent.snapshot import Problem
from agent.worker import Worker

SOURCE: Final = "sockets"
INTERVAL: Final = 5.0
"""Seconds between two looks at /proc: a look costs some milliseconds."""
_ALIVE: Final = 0.5
"""Seconds between two checks that the known processes still run, which cost a system call each."""
_MOST_HOLDERS: Final = 256
_MOST_OF_A_FAMILY: Final = 64
"""Ports; more are no server but a program that opens sockets for each peer."""
_MOST_TOLD: Final = 16
"""Problems of one look: the next process would say the same."""
_EVERY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - to know it, not to listen there
_EPHEMERAL: Final = (32768, 60999)
"""Where the kernel puts sockets that did not ask for a port: those of NCCL, Gloo and ZeroMQ are there."""


class SocketsSource:
    """Looks each few seconds. ``holders`` gives the processes that hold a GPU, as NVML knows them.

    ``pod_of`` returns the pod of a container and its address: where its own network is reached.
    """

    name = SOURCE

    def __init__(
        self,
        holders: Callable[[], Collection[int]],
        *,
        pod_of: Callable[[str], tuple[PodIdentity, str] | None] = lambda _: None,
        proc: Path = Path("/proc"),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._holders = holders
        self._pod_of = pod_of
        self._proc = proc
        self._processes = Processes(proc)
        self._sleep = sleep
        self._worker = Worker("sockets")
        self._targets: tuple[Target, ...] = ()
        self._problems: tuple[Problem, ...] = ()

    @property
    def targets(self) -> tuple[Target, ...]:
        """Where the processes listen."""
        return self._targets

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What could not be looked at, and what cannot be reached."""
        return self._problems

    async def run(self, changed: Callable[[], None]) -> None:
        """Look for ever; see `agent.discovery.source.Source.run`."""
        while True:
            before = self._targets
            self._targets, self._problems = await self._worker.call(self._look)
            if self._targets != before:
                changed()
            for _ in range(round(INTERVAL / _ALIVE)):
                await self._sleep(_ALIVE)
                if self._somebody_ended():
                    break

    async def close(self) -> None:
        """Let the thread end."""
        self._worker.close()

    def _somebody_ended(self) -> bool:
        return any(
            not (self._proc / str(pid)).exists() for each in self._targets for pid in each.pids
        )

    def _look(self) -> tuple[tuple[Target, ...], tuple[Problem, ...]]:
        """Look at every process that holds a GPU, and at those it works with. Blocks."""
        holders = sorted(self._holders())[:_MOST_HOLDERS]
        if not holders:
            return (), ()
        processes = self._processes.all()
        children = defaultdict(list)
        for each in processes.values():
            children[each.parent].append(each.pid)
        hidden = [pid for pid in holders if pid not in processes]
        families = {
            family(pid, processes, lambda parent: children[parent])
            for pid in holders
            if pid in processes
        }
        targets: dict[Listener, Target] = {}
        problems = list(_hidden(hidden))
        for members in _disjoint(families):
            found, trouble = self._of_family(members, processes)
            targets |= found
            problems += trouble
        return tuple(targets.values()), tuple(problems[:_MOST_TOLD])

    def _of_family(
        self, members: frozenset[int], processes: Mapping[int, Process]
    ) -> tuple[dict[Listener, Target], list[Problem]]:
        targets: dict[Listener, Target] = {}
        problems: list[Problem] = []
        first = processes[min(members)]
        owner = f"process {first.pid} of {first.started}"
        for pid in sorted(members):
            try:
                found, reachable = self._processes.sockets(pid)
            except PermissionError:
                problems.append(_forbidden(pid))
                continue
            except OSError:
                continue  # it ended meanwhile
            pod = self._pod_of(container_id(f"0::{processes[pid].cgroup}"))
            if found and not reachable and pod is None:
                problems.append(_elsewhere(pid))
                continue
            for each in found[:_MOST_OF_A_FAMILY]:
                known = targets.get(each)
                pids = frozenset({pid}) | (known.pids if known else frozenset())
                targets[each] = _target(each, owner, pids, None if reachable else pod)
        return dict(list(targets.items())[:_MOST_OF_A_FAMILY]), problems


def _disjoint(families: Iterable[frozenset[int]]) -> Iterator[frozenset[int]]:
    """Join families that share a member: two workers of one server are one server."""
    joined: list[frozenset[int]] = []
    for members in families:
        apart = [each for each in joined if each.isdisjoint(members)]
        together = [each for each in joined if not each.isdisjoint(members)]
        joined = [*apart, members.union(*together)]
    return iter(joined)


def _target(
    found: Listener, owner: str, pids: frozenset[int], pod: tuple[PodIdentity, str] | None
) -> Target:
    host = pod[1] if pod else _EVERY.get(found.address, found.address)
    where = authority(host, found.port)
    low, high = _EPHEMERAL
    return Target(
        place=place_of(f"http://{where}"),
        urls=tuple(f"http://{where}{path}" for path in METRICS_PATHS),
        name=where,
        source=SOURCE,
        owner=owner,
        epoch=str(found.inode),
        spare=low <= found.port <= high and found.port not in KNOWN_PORTS,
        pod=pod[0] if pod else None,
        pids=pids,
    )


def _hidden(pids: Collection[int]) -> Iterator[Problem]:
    if pids:
        named = ", ".join(map(str, sorted(pids)[:5]))
        detail = (
            f"{len(pids)} processes that hold a GPU cannot be seen (such as {named}); let the agent see "
            "the host's processes (hostPID: true), or leave discovery.sockets out"
        )
        yield Problem("process_hidden", SOURCE, detail)


def _forbidden(pid: int) -> Problem:
    detail = "its sockets may not be looked at; run the agent as the same user, or give it CAP_SYS_PTRACE"
    return Problem("no_privilege", f"process {pid}", detail)


def _elsewhere(pid: int) -> Problem:
    detail = (
        "it listens in a network namespace of its own, which cannot be reached from here; publish its "
        "port and name it under servers, or turn on discovery.kubernetes"
    )
    return Problem("other_network", f"process {pid}", detail)
