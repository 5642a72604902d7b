"""The collector that joins GPUs, processes, pods, servers and models.

Its source is what the other collectors told last, and /proc, which it reads rarely: when a server or a
process on a GPU is new or gone, and else each five minutes.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from agent.attribution.lookup import Asked, Lookup
from agent.attribution.network import addresses_of
from agent.attribution.prices import price_of
from agent.attribution.shares import Tenure, board_shares, tenures, unplaced
from agent.attribution.sight import Sight, sight_of
from agent.attribution.tenants import Claim, Tenants, tenants
from agent.catalogue import serving_gpu
from agent.collectors.nvml.container import sees_every_process
from agent.discovery.target import PodIdentity
from agent.snapshot import Batch, Problem, Reading
from agent.worker import Worker

INTERVAL: Final = 5.0
"""Seconds: as often as servers are scraped by default. Mostly it is arithmetic on what is known."""
LOOK_AGAIN: Final = 300.0
"""Seconds after which /proc is read again though nothing seems to have changed."""
MOST_MODELS: Final = 8
"""Models of a server that are told by GPU; of a server with more, the GPUs are told without a model."""


class Known(NamedTuple):
    """A server that is collected from; ``gpus`` are those configured for it, by UUID or index.

    ``pids`` are processes that are known to listen for it, where somebody has found out.
    """

    name: str
    url: str
    pod: PodIdentity | None = None
    pids: frozenset[int] = frozenset()
    gpus: tuple[str, ...] = ()


@dataclass(slots=True)
class _Look:
    """What the last look at /proc gave, and for which question."""

    about: object = None
    at: float = 0.0
    found: Tenants = field(default_factory=lambda: Tenants({}))


class JoinCollector:
    """Tells `inference.gpu.info`, the share of each GPU that is a server's, and what GPUs cost.

    ``latest`` returns what the collectors told last, by name, as a snapshot has it; ``servers`` whom to
    look for; ``prices`` are per hour, by GPU model or pattern. ``clock`` gives Unix seconds. ``proc`` is
    where the kernel tells of processes; without it, as beside GPUs that are simulated, only what is
    configured is known.
    """

    name = "join"

    def __init__(
        self,
        latest: Callable[[], Mapping[str, Batch]],
        servers: Callable[[], Iterable[Known]],
        *,
        prices: Mapping[str, float] | None = None,
        interval: float = INTERVAL,
        deadline: float = 5.0,
        proc: Path | None = Path("/proc"),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.interval = interval
        self.deadline = deadline
        self._latest = latest
        self._servers = servers
        self._prices = prices or {}
        self._proc = proc
        self._clock = clock
        self._worker = Worker("join")
        self._look = _Look()

    async def collect(self) -> Batch:
        """Return who holds which GPU now."""
        batches = tuple(self._latest().values())
        servers = tuple(self._servers())
        return await self._worker.call(lambda: self._join(batches, servers))

    async def close(self) -> None:
        """Let the thread end."""
        self._worker.close()

    def _join(self, batches: Iterable[Batch], servers: Iterable[Known]) -> Batch:
        now, sight = self._clock(), sight_of(batches)
        up = {each.name: each for each in servers if each.name in sight.served}
        searched = [each for each in up.values() if not each.gpus]
        found = self._tenants(now, sight, searched)
        configured, problems = _configured(sight, up.values())
        held = tenures(sight, found.server, configured)
        return Batch(
            now,
            (
                *_infos(sight, up, held),
                *_shares(sight, held),
                *_prices(sight, self._prices),
            ),
            (*problems, *found.problems, *unplaced(sight)),
        )

    def _tenants(self, now: float, sight: Sight, servers: list[Known]) -> Tenants:
        pids = frozenset(holder.pid for holder in sight.holders)
        up = frozenset(name for name, served in sight.served.items() if served.up)
        about = (pids, up, tuple(servers))
        look = self._look
        if look.about != about or not 0 <= now - look.at < LOOK_AGAIN:
            self._look = _Look(about, now, self._searched(pids, servers, up))
        return self._look.found

    def _searched(self, pids: frozenset[int], servers: list[Known], up: frozenset[str]) -> Tenants:
        if not pids or not servers or self._proc is None:
            return Tenants({})
        if not sees_every_process(self._proc):
            return Tenants({}, (_hidden(servers),))
        lookup = Lookup(self._proc)
        claims = _claims(servers, lookup, pids)
        found = tenants(pids, claims, lookup)
        names = [name for name, claim in claims.items() if not any(claim) and name in up]
        return Tenants(found.server, (*found.problems, *map(_nobody(lookup), names)))


def _claims(servers: Iterable[Known], lookup: Lookup, holders: frozenset[int]) -> dict[str, Claim]:
    """Return what is known of each server: who listens for it, and what containers it is.

    Sockets are asked for even of a server in a container: two servers may share a pod.
    """
    asked: dict[str, Asked] = {}
    claims: dict[str, Claim] = {}
    for each in servers:
        containers = frozenset(each.pod.container_ids if each.pod else ())
        claims[each.name] = Claim(each.pids, containers)
        if not each.pids:
            asked[each.name] = Asked(*addresses_of(each.url))
    placed = {name for name, claim in claims.items() if claim.containers}
    for name, pids in lookup.owners(asked, holders, placed).items():
        claims[name] = claims[name]._replace(pids=pids)
    return claims


def _configured(
    sight: Sight, servers: Iterable[Known]
) -> tuple[dict[str, frozenset[str]], list[Problem]]:
    """Return the devices of servers that name them, and which names no device has."""
    devices: dict[str, frozenset[str]] = {}
    problems: list[Problem] = []
    for each in servers:
        found = {name: sight.named(name) for name in each.gpus}
        if each.gpus:
            devices[each.name] = frozenset(filter(None, found.values()))
        missing = [name for name, device in found.items() if device is None]
        if missing and sight.boards:
            detail = (
                f"servers[].gpus names {', '.join(missing)}, and no GPU of this node is called so"
            )
            problems.append(Problem("unknown_gpu", each.name, detail))
    return devices, problems


def _infos(sight: Sight, servers: Mapping[str, Known], held: Iterable[Tenure]) -> Iterator[Reading]:
    for each in held:
        served, pod = sight.served[each.server], servers[each.server].pod
        parent = each.board if each.board != each.device else ""
        where = (pod.namespace, pod.name, pod.container) if pod else ("", "", "")
        few = 0 < len(served.models) <= MOST_MODELS
        for model, version in served.models if few else (("", ""),):
            identity = (each.device, parent, each.server, served.provider, model, version)
            yield Reading(serving_gpu.GPU_INFO, (*identity, each.attribution, *where), 1)


def _shares(sight: Sight, held: list[Tenure]) -> Iterator[Reading]:
    for (server, board), share in board_shares(held).items():
        provider = sight.served[server].provider
        yield Reading(serving_gpu.GPU_SHARE, (board, server, provider), share)


def _prices(sight: Sight, prices: Mapping[str, float]) -> Iterator[Reading]:
    for board in sight.boards.values():
        price = price_of(board.model, prices)
        if price is not None:
            yield Reading(serving_gpu.GPU_PRICE, (board.uuid,), price)


def _hidden(servers: Iterable[Known]) -> Problem:
    detail = (
        "processes of other containers cannot be seen, so it is not known which GPUs these servers run on; "
        "let the agent see them (hostPID: true), or say it (servers[].gpus)"
    )
    return Problem("process_hidden", ", ".join(sorted(each.name for each in servers)), detail)


def _nobody(lookup: Lookup) -> Callable[[str], Problem]:
    def problem(server: str) -> Problem:
        if lookup.forbidden:
            why = (
                "the sockets of some processes may not be looked at; give the agent CAP_SYS_PTRACE"
            )
        else:
            why = "no process of this machine listens where it answers"
        detail = f"{why}, or say which GPUs it runs on (servers[].gpus)"
        return Problem("process_unknown", server, detail)

    return problem
