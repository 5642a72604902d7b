"""Gives the sampler a collector for each server that is found, and takes it away when the server is gone.

As a collector of its own it tells of what was found and lost, and what keeps it from finding more. Places
that are no model servers are asked ever more rarely and are nobody's problem.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Final, NamedTuple, Protocol

from agent.catalogue import events
from agent.catalogue.attributes import DETAIL, K8S_NAMESPACE, K8S_POD, PROVIDER, SERVER
from agent.catalogue.discovery import TARGETS
from agent.catalogue.metric import EventKind
from agent.collector import Collector
from agent.collectors.scrape import Connections
from agent.discovery.candidate import Candidate
from agent.discovery.merge import merge
from agent.discovery.patience import SPARE
from agent.discovery.probe import Answer, Ask, Recognise, ask
from agent.discovery.situated import Situated, pod_reading
from agent.discovery.source import Source
from agent.discovery.target import Place, PodIdentity, Target, is_name
from agent.snapshot import Batch, Event, Problem, Reading

MOST_CANDIDATES: Final = 1024
"""Places that are remembered; a node has 250 pods at most."""
MOST_ASKED_AT_ONCE: Final = 8
_log = logging.getLogger(__name__)


MakeProbe = Callable[[Target, Answer], Collector | None]


def no_probe(_: Target, __: Answer) -> None:
    """Ask nobody for an answer."""


class Crew(Protocol):
    """Who runs collectors: the sampler."""

    def adopt(self, collector: Collector) -> None:
        """Run one collector more."""
        ...

    async def dismiss(self, collector: Collector) -> None:
        """Stop one, close it and forget all of it."""
        ...


class FoundServer(NamedTuple):
    """A server that is collected from, and what is known of where it runs."""

    name: str
    url: str
    source: str
    pod: PodIdentity | None
    pids: frozenset[int]


class Discovery:
    """Reconciles what the sources tell with what is collected. Run `run` beside the sampler.

    ``static`` targets are the configured servers: they are collected from by others, and never found a
    second time. ``make`` makes the collector of a server, given its target and URL, and ``make_probe`` what
    asks it for answers, if it is to be asked: both come and go together. ``limit`` is for
    servers found. ``clock`` gives Unix seconds; ``ask`` is for tests.
    """

    name = "discovery"

    def __init__(  # noqa: PLR0913 - each is a setting with a default
        self,
        sources: Sequence[Source],
        *,
        make: Callable[[Target, str], Collector],
        make_probe: MakeProbe = no_probe,
        recognise: Recognise,
        static: Iterable[Target] = (),
        limit: int = 64,
        connections: Connections | None = None,
        interval: float = 1.0,
        clock: Callable[[], float] = time.time,
        ask: Ask = ask,
    ) -> None:
        self.interval = interval
        self.deadline = 5.0
        self._sources = sources
        self._make = make
        self._make_probe = make_probe
        self._recognise = recognise
        self._static = {target.place: target for target in static}
        self._limit = limit
        self._connections = connections or Connections()
        self._clock = clock
        self._candidates: dict[Place, Candidate] = {}
        self._merged: dict[Place, Target] = dict(self._static)
        self._left_out = 0
        self._told: list[Event] = []
        self._last: tuple[Reading, ...] = ()
        self._news = True
        self._awake = asyncio.Event()
        self._put_question = ask
        self._asked = asyncio.Semaphore(MOST_ASKED_AT_ONCE)

    @property
    def servers(self) -> tuple[FoundServer, ...]:
        """Every server that is collected from, the configured ones first."""
        named = [(self._merged[place], target.urls[0]) for place, target in self._static.items()]
        found = [(each.target, each.answer.url) for each in self._servers()]
        return tuple(
            FoundServer(target.name, url, target.source, target.pod, target.pids)
            for target, url in (*named, *found)
        )

    async def collect(self) -> Batch:
        """Return how many places are known, what was found and lost, and what is in the way."""
        told, self._told = tuple(self._told), []
        readings = tuple(self._readings())
        if readings != self._last:  # the same ones again need no second look
            self._last = readings
        return Batch(self._clock(), self._last, problems=tuple(self._problems()), events=told)

    async def close(self) -> None:
        """Let go of the sources."""
        for source in self._sources:
            await source.close()

    async def run(self, crew: Crew) -> None:
        """Look for servers until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for source in self._sources:
                tasks.create_task(source.run(self._hear), name=f"discover {source.name}")
            while True:
                self._awake.clear()
                if self._news:
                    self._news = False
                    await self._reconcile(crew)
                pause = self._ask_who_is_due(tasks, crew)
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._awake.wait()

    def _hear(self) -> None:
        """Take note that a source knows something new."""
        self._news = True
        self._awake.set()

    async def _reconcile(self, crew: Crew) -> None:
        """Forget what is gone, at once; take in what is new."""
        self._merged = dict(merge([*self._static.values(), *self._known()]))
        wanted = {place: each for place, each in self._merged.items() if place not in self._static}
        for place, candidate in list(self._candidates.items()):
            target = wanted.get(place)
            if target is None or target.owner != candidate.target.owner:
                await self._forget(place, crew)
            else:
                candidate.follow(target, _now())
        for place, target in wanted.items():
            if place not in self._candidates and len(self._candidates) < MOST_CANDIDATES:
                first = _now() + (SPARE if target.spare else 0.0)
                self._candidates[place] = Candidate(target, first)

    def _known(self) -> Iterator[Target]:
        for source in self._sources:
            yield from source.targets

    async def _forget(self, place: Place, crew: Crew) -> None:
        candidate = self._candidates.pop(place)
        if candidate.asking is not None:
            candidate.asking.cancel()
        if candidate.collector is not None:
            self._tell(events.SERVER_LOST, candidate)
            await crew.dismiss(candidate.collector)
        if candidate.probe is not None:
            await crew.dismiss(candidate.probe)

    def _ask_who_is_due(self, tasks: asyncio.TaskGroup, crew: Crew) -> float | None:
        """Begin to ask those whose time has come; return the seconds until the next one's."""
        now, room = _now(), self._limit - sum(1 for _ in self._servers())
        served = {each.target.owner for each in self._servers()}
        waiting = [
            each
            for each in self._candidates.values()
            if not each.is_server
            and each.asking is None
            and not (each.target.spare and each.target.owner in served)
        ]
        self._left_out = sum(each.target.sure for each in waiting) if room <= 0 else 0
        if room <= 0:
            return None
        for each in sorted(waiting, key=lambda each: not each.target.sure):
            if each.due <= now:
                each.asking = tasks.create_task(self._ask(each, crew))
        later = [each.due - now for each in waiting if each.asking is None]
        return max(0.0, min(later)) if later else None

    async def _ask(self, candidate: Candidate, crew: Crew) -> None:
        """Ask one place, and hire a collector where it is a server that is still wanted."""
        target = candidate.target
        try:
            async with self._asked:
                answer = await self._put_question(target, self._recognise, self._connections)
                known = await self._is_configured(answer)
        finally:
            candidate.asking = None
            self._awake.set()
        wanted = self._candidates.get(target.place) is candidate
        full = sum(1 for _ in self._servers()) >= self._limit
        known = known or self._is_there_already(target, answer)
        if not answer.kind or not wanted or full or known:
            candidate.in_vain(answer, _now())
            return
        candidate.answer = answer
        made = self._make(target, answer.url)
        candidate.collector = Situated(made, target.name, target.pod) if target.pod else made
        crew.adopt(candidate.collector)
        candidate.probe = self._make_probe(target, answer)
        if candidate.probe is not None:
            crew.adopt(candidate.probe)
        self._tell(events.SERVER_FOUND, candidate)

    async def _is_configured(self, answer: Answer) -> bool:
        """Tell whether a configured name leads to the same process, as that of a Service does."""
        for target in self._static.values():
            if answer.started and is_name(target.place):
                told = await self._put_question(target, self._recognise, self._connections)
                if (told.kind, told.started) == (answer.kind, answer.started):
                    return True
        return False

    def _is_there_already(self, target: Target, answer: Answer) -> bool:
        """Tell whether the same process answers at another port of its pod, as behind llm-d's proxy."""
        return bool(answer.started) and any(
            each.target.owner == target.owner
            and (each.answer.kind, each.answer.started) == (answer.kind, answer.started)
            for each in self._servers()
        )

    def _servers(self) -> Iterator[Candidate]:
        return (each for each in self._candidates.values() if each.is_server)

    def _tell(self, kind: EventKind, candidate: Candidate) -> None:
        target, answer = candidate.target, candidate.answer
        pod = target.pod
        body = {
            events.SERVER_FOUND: f"{target.name} is a {answer.kind} server, found by {target.source}",
            events.SERVER_LOST: f"{target.name} is gone, as {target.source} tells; it is forgotten",
        }[kind]
        pairs = (
            (SERVER.key, target.name),
            (PROVIDER.key, answer.kind),
            (K8S_NAMESPACE.key, pod.namespace if pod else ""),
            (K8S_POD.key, pod.name if pod else ""),
            (DETAIL.key, answer.url),
        )
        self._told.append(
            Event(kind, self._clock(), body, tuple(each for each in pairs if each[1]))
        )

    def _readings(self) -> Iterator[Reading]:
        for source in self._sources:
            own = [each for each in self._candidates.values() if each.target.source == source.name]
            states = Counter("server" if each.is_server else "candidate" for each in own)
            for state in ("server", "candidate"):
                yield Reading(TARGETS, (source.name, state), states[state])
        for target in map(self._merged.__getitem__, self._static):
            if target.pod is not None:
                yield pod_reading(target.name, target.pod)

    def _problems(self) -> Iterator[Problem]:
        for source in self._sources:
            yield from source.problems
        for each in self._candidates.values():
            if each.target.sure and not each.is_server and _is_worth_telling(each.answer):
                detail = f"{each.answer.detail}; under discovery, or name the server under servers"
                yield Problem(each.answer.reason, each.target.name, detail)
        if self._left_out:
            detail = (
                f"{self._left_out} places that look like servers are left out: {self._limit} are the "
                "most; raise discovery.limit, or narrow it by namespaces or selector"
            )
            yield Problem("too_many_servers", self.name, detail)


def _is_worth_telling(answer: Answer) -> bool:
    """Tell what a person can mend from what is an ordinary state, such as a model that still loads."""
    return answer.reason in {"unauthorized", "tls_failure", "unusable_secret", "bad_certificate"}


def _now() -> float:
    return asyncio.get_running_loop().time()
