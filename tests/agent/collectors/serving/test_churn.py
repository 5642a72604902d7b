"""Memory stays flat while labels come and go: half an hour of servers, in virtual time."""

import asyncio
import gc
import tracemalloc
from contextlib import suppress
from itertools import count
from typing import Final

from agent.collectors.exposition import Faults
from agent.collectors.scrape import Body
from agent.collectors.serving.budget import SeriesBudget
from agent.collectors.serving.interpretation import Interpreter
from agent.collectors.serving.profiles import PROFILES
from agent.sampler import Sampler
from agent.snapshot import Batch
from exporters.prometheus import Exposition
from exporters.status.history import History
from tests.virtual_time import VirtualTimeLoop, unix_now

SERVERS: Final = 16
INTERVAL: Final = 5.0
EXPORTED_EACH: Final = 15.0
MINUTES: Final = 30
BOUNDS: Final = ("0.3", "0.5", "1.0", "+Inf")


class Churning:
    """A vLLM whose labels are new on each page, beside some that stay: all of a server but HTTP."""

    interval = INTERVAL
    deadline = 60.0

    def __init__(self, number: int, budget: SeriesBudget) -> None:
        self.name = f"serving/{number}"
        self._share = budget.join()
        self._interpreter = Interpreter(str(number), PROFILES)
        self._pages = count()

    async def collect(self) -> Batch:
        """Read the next page."""
        body = Body(self._page(next(self._pages)).encode(), complete=True)
        readings, problems = self._interpreter.read(body, self.name)
        kept = self._share.within(readings, 3, Faults(self.name))
        return Batch(unix_now(), tuple(kept), problems)

    async def close(self) -> None:
        """Hold nothing open."""

    def _page(self, turn: int) -> str:
        lines = [
            f'vllm:prompt_tokens_total{{model_name="m",engine="0"}} {turn * 100}',
            f'vllm:num_requests_running{{model_name="m",engine="0"}} {turn % 7}',
            f'of_request_{turn}{{path="/{turn}"}} 1',
            f'vllm:num_requests_waiting{{model_name="m-{turn}",engine="0"}} 1',
        ]
        lines += [
            f'vllm:request_success_total{{model_name="m",finished_reason="id-{turn}-{each}"}} 1'
            for each in range(6)
        ]
        name = "vllm:request_queue_time_seconds"
        labels = f'model_name="m",engine="{turn}"'
        lines += [
            f'{name}_bucket{{{labels},le="{le}"}} {at}' for at, le in enumerate(BOUNDS, start=turn)
        ]
        lines += [f"{name}_sum{{{labels}}} 1.5", f"{name}_count{{{labels}}} {turn + 3}"]
        return "\n".join(lines) + "\n"


async def _run() -> tuple[list[int], list[int]]:
    """Return how much memory there was in each minute of the second half, and how many series."""
    budget, exposition, history = SeriesBudget(), Exposition("node", ""), History()
    collectors = [Churning(number, budget) for number in range(SERVERS)]
    sampler = Sampler(collectors, interval=INTERVAL, clock=unix_now)
    task = asyncio.create_task(sampler.run())
    held, series = [], []
    for minute in range(MINUTES):
        if minute == MINUTES // 2:
            tracemalloc.start()
        for _ in range(int(60 / EXPORTED_EACH)):
            await asyncio.sleep(EXPORTED_EACH)
            snapshot = await sampler.next(0)
            exposition.text(snapshot)
            history.feed(snapshot)
        if tracemalloc.is_tracing():
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
            series.append(sum(len(batch.readings) for batch in snapshot.batches.values()))
    tracemalloc.stop()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return held, series


def test_memory_is_flat_while_labels_come_and_go() -> None:
    """What servers with new labels on each page take is not more in the last minutes than before.

    If the labels of five minutes stayed, that would be some ten MiB more.
    """
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        held, series = runner.run(_run())

    assert min(series) > SERVERS * 8
    third = len(held) // 3
    before, after = max(held[third:-third]), max(held[-third:])
    assert after < before * 1.25 + 2 * 2**20, [round(each / 2**20, 1) for each in held]
