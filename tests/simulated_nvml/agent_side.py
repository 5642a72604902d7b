"""The collector in a process of its own, which the dynamic linker gives the simulated library.

A test cannot change where its own process finds `libnvidia-ml.so.1`, and a library once loaded stays. So a
test starts this program with its own ``LD_LIBRARY_PATH`` and sends it questions, pickled, by a pipe.
"""

import asyncio
import ctypes
import os
import pickle
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent.collectors.nvml.collector import NvmlCollector
from agent.collectors.nvml.library import NvmlLibrary
from agent.sampler import Sampler
from agent.snapshot import Batch

SETTLE_SECONDS = 0.006
"""The simulated library reads its control file again after 5 ms."""


class Pulse:
    """A collector beside the GPUs', which must go on while they hang."""

    name = "pulse"
    interval = 0.01
    deadline = 1.0

    def __init__(self) -> None:
        self.beats = 0

    async def collect(self) -> Batch:
        """Count."""
        self.beats += 1
        return Batch(float(self.beats), ())

    async def close(self) -> None:
        """Have nothing to release."""


class Side:
    """The questions that can be asked; each is a method, and takes and gives what can be pickled."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self.now = 0.0
        self.driver = NvmlLibrary(
            proc=Path(os.environ["SIMULATED_NVML"]).parent / "proc", clock=lambda: self.now
        )
        self.collector = NvmlCollector(self.driver, clock=lambda: self.now)

    async def renew(self) -> None:
        """Begin again, as if the agent were started anew."""
        await self.collector.close()
        self.driver.close()  # a test may have asked the driver alone
        self._begin()

    async def collect(self, now: float) -> Any:
        """Run the collector once at ``now``."""
        self.now = now
        return await self.collector.collect()

    async def through_a_hang(self) -> tuple[list[str], int, int]:
        """Run the sampler until the GPUs stalled and came back.

        Returns the states they went through, the beats of another collector meanwhile, and how many
        series there were of the GPUs in the end.
        """
        self.collector.interval, self.collector.deadline = 0.02, 0.1
        pulse = Pulse()
        sampler = Sampler([self.collector, pulse], interval=0.01)
        running = asyncio.create_task(sampler.run())
        states, beats, seen = [""], [0], 0
        while states[-2:] != ["stalled", "ok"]:
            snapshot = await sampler.next(seen)
            seen, state = snapshot.sequence, snapshot.collectors[0].status.value
            if state != states[-1]:
                states.append(state)
                beats.append(pulse.beats)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        return states[1:], beats[-1] - beats[-2], len(snapshot.batches["nvml"].readings)

    async def renew_with_links(self) -> None:
        """Begin again, with each NVLink told by itself."""
        await self.renew()
        self.driver = NvmlLibrary(nvlink_links=True, clock=lambda: self.now)
        self.collector = NvmlCollector(self.driver, clock=lambda: self.now)

    async def release(self, seconds: float) -> None:
        """Have the collector let go of the driver."""
        await self.collector.release(seconds)

    async def ask(self, method: str, *arguments: Any) -> Any:
        """Call the driver itself."""
        return getattr(self.driver, method)(*arguments)

    async def wait(self, seconds: float) -> None:
        """Let the driver's clock go forward."""
        self.now += seconds

    async def simulated(self, name: str) -> Any:
        """Ask the simulated library itself: see calls.c and profiling.c for its names."""
        function = getattr(ctypes.CDLL("libnvidia-ml.so.1"), name)
        function.restype = ctypes.c_char_p if name.endswith("Log") else ctypes.c_long
        return function()

    async def seconds(self, runs: int) -> float:
        """Return the processor time of one run, over ``runs`` of them."""
        began = time.process_time()
        for _ in range(runs):
            self.now += 1
            await self.collector.collect()
        return (time.process_time() - began) / runs


def main() -> None:
    """Answer until the pipe ends: with ``("ok", result)`` or ``(type of the error, message)``."""
    side, questions, answers = Side(), sys.stdin.buffer, sys.stdout.buffer
    with asyncio.Runner() as runner:
        while True:
            try:
                name, arguments = pickle.load(questions)  # noqa: S301 - from the test that started us
            except EOFError:
                break
            time.sleep(SETTLE_SECONDS)
            try:
                answer = ("ok", runner.run(getattr(side, name)(*arguments)))
            except Exception as error:  # noqa: BLE001 - the test judges it
                answer = (type(error).__name__, str(error))
            pickle.dump(answer, answers)
            answers.flush()
        runner.run(side.collector.close())


if __name__ == "__main__":
    main()
