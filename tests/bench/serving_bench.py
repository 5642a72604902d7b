"""What 64 model servers cost the agent: ``python -m tests.bench serving``, about two minutes.

The budget is 2 % of a core for 64 servers of 60 kB each 5 s: 1.56 ms of CPU a scrape, all in. The servers
are captured vLLM pages out of another process, on ports of their own, and busy: every counter of every page
is higher than on the page before. The agent runs as shipped, without a GPU, and is compared with itself
without servers. The stages are measured in this process, each alone.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any, Final

from agent.collectors.exposition import Faults, Parser
from agent.collectors.scrape import Body, Connections, Scraper, endpoint, text_of
from agent.collectors.serving.interpretation import Interpreter
from agent.collectors.serving.mapping import Translation
from agent.collectors.serving.profiles import PROFILES
from agent.collectors.serving.profiles.vllm import VLLM
from agent.cumulative import Starts
from agent.folding import Folding
from agent.snapshot import Batch, Snapshot
from agent.vetting import Vetting
from exporters.prometheus import Exposition
from tests.bench.agent_process import Agent, running_agent
from tests.bench.fleet import answers
from tests.bench.parser_bench import cpu
from tests.real_parts.programs import http_get

SERVERS: Final = 64
INTERVAL: Final = 5.0
BUDGET: Final = 2.0
"""Percent of a core."""
EACH: Final = BUDGET / 100 * INTERVAL / SERVERS * 1e3
"""Milliseconds of CPU a scrape."""
_WARM_UP: Final = 12.0
_WINDOW: Final = 30.0
_ROUNDS: Final = 5
_PAGE: Final = Path(__file__).parents[1] / "fixtures/vllm/vllm_0.33.0_dp1_t1.txt"


def tell(name: str, value: float, unit: str, budget: float | None = None) -> None:
    """Print one figure."""
    verdict = "" if budget is None else f"<= {budget:g} {'ok' if value <= budget else 'OVER'}"
    sys.stdout.write(f"{name:52} {value:9.3f} {unit:12} {verdict}\n")
    sys.stdout.flush()


@contextmanager
def fleet(count: int) -> Iterator[list[str]]:
    """Run that many servers in a process of their own; give their URLs."""
    program = [sys.executable, "-m", "tests.bench.fleet", str(count)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        assert process.stdout is not None
        try:
            ports = process.stdout.readline().split()
            yield [f"http://127.0.0.1:{port}/metrics" for port in ports]
        finally:
            process.terminate()


def _shares(agent: Agent, rounds: int) -> list[float]:
    """Return the percentages of a core that an agent uses, one a window; scraped each 15 s itself."""
    time.sleep(_WARM_UP)
    shares = []
    for _ in range(rounds):
        before, began = agent.cpu_seconds(), time.monotonic()
        for _ in range(2):
            time.sleep(_WINDOW / 2)
            http_get(f"{agent.program.url}/metrics")
        shares.append((agent.cpu_seconds() - before) / (time.monotonic() - began) * 100)
    return shares


def _agent(folder: Path, urls: list[str], rounds: int) -> tuple[float, float]:
    """Return the least percentage of a core, and the memory, of an agent that scrapes these servers."""
    servers: list[dict[str, Any]] = [
        {"name": f"vllm-{number}", "url": url, "interval": INTERVAL}
        for number, url in enumerate(urls)
    ]
    with running_agent(folder, {"node": "bench", "interval": 1, "servers": servers}) as agent:
        return min(_shares(agent, rounds)), agent.pss_mib()


def whole() -> None:
    """Measure the agent's process, with the servers and without."""
    with tempfile.TemporaryDirectory() as scratch, fleet(SERVERS) as urls:
        idle, small = _agent(Path(scratch), [], 1)
        busy, large = _agent(Path(scratch), urls, 2)
    tell("the agent alone", idle, "% of a core")
    tell(f"with {SERVERS} servers", busy, "% of a core")
    tell("what the servers cost", busy - idle, "% of a core", BUDGET)
    tell("memory of a server", (large - small) / SERVERS * 1024, "KiB PSS")


def stages() -> None:
    """Measure what one scrape is made of."""
    pages = [each.partition(b"\r\n\r\n")[2] for each in answers(_PAGE.read_text())]
    total = asyncio.run(_fetching())
    tell("fetch", total, "ms")
    for name, work in _stages(cycle(pages)):
        took = min(cpu(work, 40) for _ in range(_ROUNDS))
        tell(name, took, "ms")
        total += took
    tell("sum, a scrape", total, "ms", EACH)


async def _fetching() -> float:
    """Return what one fetch costs this process, as one of many on kept connections."""
    connections = Connections()
    with fleet(SERVERS) as urls:
        scrapers = [Scraper(endpoint(url), timeout=4.0, connections=connections) for url in urls]

        async def all_of_them() -> None:
            await asyncio.gather(*(scraper.fetch() for scraper in scrapers))

        await all_of_them()
        taken = [await _cpu(all_of_them) for _ in range(20)]
        for scraper in scrapers:
            await scraper.close()
    return min(taken) / SERVERS


async def _cpu(work: Callable[[], Awaitable[None]]) -> float:
    began = time.process_time()
    await work()
    return (time.process_time() - began) * 1e3


def _stages(pages: "cycle[bytes]") -> Iterator[tuple[str, Callable[[], object]]]:
    """Give each stage but the fetch, fed with what the one before it gives."""
    parser, translation = Parser(VLLM.samples), Translation(VLLM, "bench")
    texts = cycle([text_of(Body(next(pages), complete=True), "bench").text for _ in range(4)])
    parsed = cycle([parser.parse(next(texts)) for _ in range(4)])
    read = [tuple(translation.readings(next(parsed), Faults("bench"))) for _ in range(4)]
    batches = cycle([Batch(float(at), readings) for at, readings in enumerate(read)])
    vetting, starts, folding = Vetting(), Starts(), Folding(interval=INTERVAL)
    interpreter = Interpreter("bench", PROFILES)
    exposition = Exposition("bench", "")
    turn = iter(range(1, 10**9))

    def judge() -> None:
        batch, _ = vetting.vet(next(batches))
        folding.fold(batch)
        starts.follow(batch)

    def encode() -> bytes:
        snapshot = Snapshot(next(turn), 0.0, {"bench": next(batches)})
        return exposition.text(snapshot)

    yield "decode", lambda: text_of(Body(next(pages), complete=True), "bench")
    yield "parse", lambda: parser.parse(next(texts))
    yield "map", lambda: translation.readings(next(parsed), Faults("bench"))
    whole = lambda: interpreter.read(Body(next(pages), complete=True), "bench")  # noqa: E731 - a stage
    took = median([cpu(whole, 40) for _ in range(_ROUNDS)])
    tell("decode, parse and map, as the collector does", took, "ms")
    yield "judge (vetting, folding, starts)", judge
    yield "encode (a third: servers each 5 s, /metrics each 15 s)", encode


def main() -> int:
    """Print the figures."""
    stages()
    whole()
    return 0


if __name__ == "__main__":
    sys.exit(main())
