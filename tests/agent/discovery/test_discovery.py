"""What is found is collected from, and what is gone is forgotten at once."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiohttp.abc import ResolveResult
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.catalogue import EVENT_KINDS, events
from agent.catalogue.discovery import SERVER_POD, TARGETS
from agent.catalogue.serving import SERVER_UP
from agent.collector import Collector
from agent.collectors.scrape import Connections
from agent.collectors.scrape.resolver import Resolver
from agent.collectors.serving.collector import ServingCollector
from agent.collectors.serving.detection import detect
from agent.discovery.discovery import Discovery
from agent.discovery.probe import Answer
from agent.discovery.static import Named, static_targets
from agent.discovery.target import Place, PodIdentity, Target, place_of
from agent.sampler import Sampler
from agent.snapshot import Batch, Problem, Snapshot
from tests.agent.collectors.scrape.raw_server import in_turn, page, raw_server
from tests.agent.collectors.serving.pages import captured
from tests.virtual_time import in_virtual_time, unix_now

VLLM = page(captured("vllm/vllm_0.33.0_dp1_t1.txt").encode())
OTHER = page(b"node_load1 0.5\n")
MISSING = page(b"", status="404 Not Found")
POD = PodIdentity("models", "chat-0", "uid", "server")


def recognise(text: str) -> str:
    """Name the kind of server that wrote a page."""
    return next((profile.name for profile in detect(text)), "")


class Told:
    """A source that tells what a test wants."""

    name = "kubernetes"

    def __init__(self, *targets: Target) -> None:
        self.targets: tuple[Target, ...] = targets
        self.problems: tuple[Problem, ...] = ()
        self.changed: Callable[[], None] = lambda: None
        self.closed = 0

    async def run(self, changed: Callable[[], None]) -> None:
        """Wait."""
        self.changed = changed
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Count."""
        self.closed += 1

    def tell(self, *targets: Target) -> None:
        """Change what is known."""
        self.targets = targets
        self.changed()


def target(url: str, **more: Any) -> Target:
    """Return a target of one URL, of a pod."""
    given = {"name": "models/chat-0:8000", "owner": "uid", "sure": True, "pod": POD, **more}
    urls = given.pop("urls", (url,))
    return Target(place=place_of(url), urls=urls, source="kubernetes", **given)


def serving(where: Target, url: str) -> Collector:
    """Make the real collector, impatient."""
    return ServingCollector(url, name=where.name, interval=0.05, timeout=1)


class Running:
    """A sampler with a discovery, both running."""

    def __init__(self, sampler: Sampler, discovery: Discovery) -> None:
        self.sampler = sampler
        self.discovery = discovery
        self.events: list[str] = []

    async def until(self, true: Callable[[Snapshot], bool]) -> Snapshot:
        """Wait for a snapshot."""
        async with asyncio.timeout(10):
            snapshot = await self.sampler.next(0)
            while not true(snapshot):
                snapshot = await self.sampler.next(snapshot.sequence)
        self.events = [event.kind.name for event in snapshot.events]
        return snapshot


@asynccontextmanager
async def running(source: Told, **more: Any) -> AsyncIterator[Running]:
    """Run a sampler and a discovery with one source."""
    given = {"make": serving, "recognise": recognise, "interval": 0.05, **more}
    discovery = Discovery([source], **given)
    sampler = Sampler([discovery], interval=0.05)
    tasks = [asyncio.create_task(sampler.run()), asyncio.create_task(discovery.run(sampler))]
    try:
        yield Running(sampler, discovery)
        assert not any(task.done() for task in tasks), tasks
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def up(snapshot: Snapshot) -> dict[str, float]:
    """Return which servers are up, by name."""
    return {
        reading.attributes[0]: float(reading.value)  # type: ignore[arg-type]
        for batch in snapshot.batches.values()
        for reading in batch.readings
        if reading.metric is SERVER_UP
    }


def states(snapshot: Snapshot) -> dict[str, float]:
    """Return how many places are in each state."""
    return {
        reading.attributes[1]: float(reading.value)  # type: ignore[arg-type]
        for reading in snapshot.batches["discovery"].readings
        if reading.metric is TARGETS
    }


def pods(snapshot: Snapshot) -> list[tuple[str, ...]]:
    """Return which server is in which pod."""
    readings = [each for batch in snapshot.batches.values() for each in batch.readings]
    return [reading.attributes for reading in readings if reading.metric is SERVER_POD]


async def test_a_server_is_found_collected_from_and_forgotten() -> None:
    """Its series come with it and go with it, and an event tells of each."""
    async with raw_server(VLLM) as url:
        source = Told(target(f"{url}/metrics"))
        async with running(source) as seen:
            found = await seen.until(lambda snapshot: bool(up(snapshot)))
            assert up(found) == {"models/chat-0:8000": 1}
            (server,) = seen.discovery.servers
            assert (server.name, server.pod) == ("models/chat-0:8000", POD)
            assert pods(found) == [(server.name, "models", "chat-0", "server")]

            source.tell()
            gone = await seen.until(lambda snapshot: not up(snapshot))

            assert list(gone.batches) == ["discovery", "self"]
            assert not any("chat-0" in str(reading) for reading in gone.batches["self"].readings)
            await seen.until(
                lambda snapshot: events.SERVER_LOST in [event.kind for event in snapshot.events]
            )
            assert "inference.server.found" in seen.events
            assert "inference.server.down" not in seen.events
    assert source.closed == 1


async def test_what_is_no_model_server_is_nobodys_problem() -> None:
    """A web server with a tempting port is asked a few times, ever more rarely, and never told of."""
    asked = 0

    async def count(writer: asyncio.StreamWriter, head: str) -> None:
        nonlocal asked
        asked += 1
        await OTHER(writer, head)

    async with raw_server(count) as url, running(Told(target(url, sure=False))) as seen:
        await asyncio.sleep(1.6)
        snapshot = await seen.until(lambda _: True)

    assert asked in (2, 3)
    assert states(snapshot) == {"server": 0, "candidate": 1}
    assert snapshot.collectors[0].problems == ()
    assert not snapshot.events
    assert [state.name for state in snapshot.collectors] == ["discovery"]


async def test_the_right_path_is_found() -> None:
    """Paths are tried in order until one has a known server's page."""

    async def answer(writer: asyncio.StreamWriter, head: str) -> None:
        await (VLLM if "GET /v1/metrics" in head else MISSING)(writer, head)

    async with raw_server(answer) as url:
        paths = tuple(f"{url}{path}" for path in ("/metrics", "/v1/metrics", "/prometheus/metrics"))
        async with running(Told(target(paths[0], urls=paths))) as seen:
            await seen.until(lambda snapshot: bool(up(snapshot)))

            assert seen.discovery.servers[0].url == paths[1]


async def test_a_server_that_starts_late_is_found() -> None:
    """A model that loads is asked again; readiness is a reason to ask at once."""
    async with raw_server(in_turn(MISSING, MISSING, VLLM)) as url:
        first = target(f"{url}/metrics", epoch="False/0")
        source = Told(first)
        async with running(source) as seen:
            await asyncio.sleep(0.2)
            source.tell(target(f"{url}/metrics", epoch="True/0"))
            await asyncio.sleep(0.2)
            source.tell(target(f"{url}/metrics", epoch="True/1"))

            async with asyncio.timeout(0.9):
                await seen.until(lambda snapshot: bool(up(snapshot)))


async def test_a_server_that_wants_credentials_is_told_of() -> None:
    """Where something says that it is a model server, a refusal is a problem with the key named."""
    refusal = page(b"", status="401 Unauthorized")
    async with raw_server(refusal) as url, running(Told(target(f"{url}/metrics"))) as seen:
        snapshot = await seen.until(lambda each: bool(each.collectors[0].problems))

    (problem,) = snapshot.collectors[0].problems
    assert (problem.reason, problem.subject) == ("unauthorized", "models/chat-0:8000")
    assert "bearer_token_file" in problem.detail


async def test_an_address_that_another_pod_has_now_is_another_server() -> None:
    """The old one is lost, the new one found, under its own name."""
    async with raw_server(VLLM) as url:
        source = Told(target(f"{url}/metrics"))
        async with running(source) as seen:
            await seen.until(lambda snapshot: bool(up(snapshot)))

            source.tell(target(f"{url}/metrics", owner="other", name="models/chat-1:8000"))

            snapshot = await seen.until(lambda each: up(each) == {"models/chat-1:8000": 1})
            assert not any(
                "models/chat-0:8000" in reading.attributes
                for batch in snapshot.batches.values()
                for reading in batch.readings
            )


async def test_a_configured_server_is_not_found_again() -> None:
    """It stays with its own collector, and learns its pod."""
    asked: list[str] = []

    async def answer(writer: asyncio.StreamWriter, head: str) -> None:
        asked.append(head)
        await VLLM(writer, head)

    async with raw_server(answer) as url:
        static = static_targets([Named(url, "chat")])
        async with running(Told(target(f"{url}/metrics")), static=static) as seen:
            await asyncio.sleep(0.3)

            (server,) = seen.discovery.servers
            assert (server.name, server.source, server.pod) == ("chat", "static", POD)
            await seen.until(lambda each: pods(each) == [("chat", "models", "chat-0", "server")])
    assert asked == []


async def test_a_configured_name_of_the_same_server_is_recognised() -> None:
    """A Service's name leads to the pod that is found as well: by when its process began, it is one."""

    def look_up(host: str, port: int, family: int) -> list[ResolveResult]:
        del family
        return [
            ResolveResult(
                hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0
            )
        ]

    async with raw_server(VLLM) as url:
        named = f"http://vllm.models.svc:{url.rpartition(':')[2]}"
        static = static_targets([Named(named, "chat")])
        connections = Connections(lambda: Resolver(look_up))
        source = Told(target(f"{url}/metrics"))
        async with running(source, static=static, connections=connections) as seen:
            await asyncio.sleep(0.5)

            assert [server.name for server in seen.discovery.servers] == ["chat"]


async def test_a_spare_place_is_left_alone_where_a_better_one_answers() -> None:
    """The second listener of the same server would count everything twice."""
    spare_asked: list[str] = []

    async def spare(writer: asyncio.StreamWriter, head: str) -> None:
        spare_asked.append(head)
        await VLLM(writer, head)

    async with raw_server(VLLM) as url, raw_server(spare) as other:
        places = (target(f"{url}/metrics"), target(f"{other}/metrics", spare=True, name="spare"))
        async with running(Told(*places)) as seen:
            await seen.until(lambda snapshot: bool(up(snapshot)))
            await asyncio.sleep(2.3)

            assert [server.name for server in seen.discovery.servers] == ["models/chat-0:8000"]
    assert spare_asked == []


async def test_one_process_behind_two_ports_is_one_server() -> None:
    """A proxy beside it gives the same page, by when the process began; another process does not."""
    before = captured("vllm/vllm_0.33.0_dp1_t1.txt")
    (line,) = [
        each for each in before.splitlines() if each.startswith("process_start_time_seconds")
    ]
    other = page(before.replace(line, "process_start_time_seconds 1.7e9").encode())
    async with raw_server(VLLM) as one, raw_server(VLLM) as proxy, raw_server(other) as rank:
        places = [
            target(f"{url}/metrics", name=name)
            for url, name in ((one, "8200"), (proxy, "8000"), (rank, "8201"))
        ]
        async with running(Told(*places)) as seen:
            await seen.until(lambda snapshot: len(up(snapshot)) == 2)
            await asyncio.sleep(0.3)

            names = {server.name for server in seen.discovery.servers}
            assert "8201" in names
            assert len(names) == 2


async def test_there_is_a_limit() -> None:
    """Servers beyond it are not collected from; how many, and what to do, is a problem."""
    async with raw_server(VLLM) as one, raw_server(VLLM) as two, raw_server(VLLM) as three:
        places = [
            target(f"{url}/metrics", name=f"s{number}", owner=str(number))
            for number, url in enumerate((one, two, three))
        ]
        source = Told(*places)
        async with running(source, limit=2) as seen:
            snapshot = await seen.until(
                lambda each: len(up(each)) == 2 and bool(each.collectors[0].problems)
            )
            (problem,) = snapshot.collectors[0].problems
            first = set(up(snapshot))
            assert problem.reason == "too_many_servers"
            assert "raise discovery.limit" in problem.detail

            source.tell(*(each for each in places if each.name != min(first)))
            await seen.until(lambda each: len(up(each)) == 2 and set(up(each)) != first)


async def test_a_server_that_hangs_delays_nobody() -> None:
    """Others are found meanwhile."""

    async def hang(writer: asyncio.StreamWriter, head: str) -> None:
        del writer, head
        await asyncio.sleep(60)

    async with raw_server(hang) as dead, raw_server(VLLM) as url:
        hanging = [target(f"{dead}/{n}", name=f"h{n}", owner=f"h{n}") for n in range(1)]
        async with running(Told(*hanging, target(f"{url}/metrics"))) as seen:
            async with asyncio.timeout(2):
                await seen.until(lambda snapshot: bool(up(snapshot)))


class Idle:
    """A collector without values."""

    interval = deadline = 1.0

    def __init__(self, name: str) -> None:
        self.name = name

    async def collect(self) -> Batch:
        """Give nothing."""
        return Batch(unix_now(), ())

    async def close(self) -> None:
        """Have nothing to release."""


class Hired:
    """A crew that only remembers."""

    def __init__(self) -> None:
        self.now: dict[str, Collector] = {}

    def adopt(self, collector: Collector) -> None:
        """Take it in; twice would be two collectors of one name."""
        assert collector.name not in self.now
        self.now[collector.name] = collector

    async def dismiss(self, collector: Collector) -> None:
        """Let it go, after a while."""
        await asyncio.sleep(0.1)
        assert self.now.pop(collector.name) is collector


CHANGES = st.lists(
    st.tuples(st.sampled_from(["add", "remove"]), st.integers(0, 4), st.sampled_from(["a", "b"]),
              st.sampled_from([0.0, 0.05, 0.3])),
    max_size=25,
)  # fmt: skip


@given(changes=CHANGES)
@settings(max_examples=60, deadline=None)
def test_any_order_of_changes_ends_in_what_is_there(
    changes: list[tuple[str, int, str, float]],
) -> None:
    """However servers come, go and are replaced, in the end exactly those that are there are collected."""

    async def slowly(where: Target, _: object, __: Connections) -> Answer:
        await asyncio.sleep(0.07 * where.place.port)
        return Answer(where.urls[0], "vllm")

    @in_virtual_time
    async def play() -> None:
        source, crew, there = Told(), Hired(), dict[int, Target]()
        discovery = Discovery(
            [source], make=lambda where, _: Idle(where.name), recognise=recognise,
            clock=unix_now, ask=slowly,
        )  # fmt: skip
        task = asyncio.create_task(discovery.run(crew))
        await asyncio.sleep(0.01)  # a source changes while it runs, not before
        for what, place, owner, pause in changes:
            there.pop(place, None)
            if what == "add":
                there[place] = Target(
                    place=Place("h", place), urls=(f"http://h:{place}",), source="kubernetes",
                    name=f"{owner}{place}", owner=owner, sure=True,
                )  # fmt: skip
            source.tell(*there.values())
            await asyncio.sleep(pause)
        await asyncio.sleep(5)
        batch = await discovery.collect()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

        assert set(crew.now) == {each.name for each in there.values()}
        assert {each.name for each in discovery.servers} == set(crew.now)
        told = [event.kind for event in batch.events]
        assert set(told) <= set(EVENT_KINDS)
        assert told.count(events.SERVER_FOUND) - told.count(events.SERVER_LOST) == len(there)

    play()
