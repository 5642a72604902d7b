"""`warpwatch doctor --record FILE`: what this machine's GPUs say, to take along."""

import asyncio
import signal
from contextlib import suppress
from pathlib import Path
from typing import Final

from agent.app import gpu_driver
from agent.collectors.nvml.library import WrongBinding
from agent.commands.configuration import refuse
from agent.config import Config
from agent.recording.record import Recorder, create
from agent.worker import Worker

_DEADLINE_SECONDS: Final = 30.0
"""How long one round may take before the driver counts as hanging; what was written by then is kept."""


def record(config: Config, path: Path, *, seconds: float, raw: bool) -> int:
    """Record for ``seconds``.

    Exit codes: 0 done, 1 the driver hangs or cannot be asked, 2 wrong use or no place to write. An interrupt
    (Ctrl-C) ends the recording early, and it is whole.
    """
    if not 0 < seconds <= 86_400:
        return refuse(f"--record-seconds must be more than 0 and at most 86400, not {seconds:g}")
    try:
        driver = gpu_driver(config)
        out = create(path)
    except FileExistsError:
        return refuse(f"{path} exists already; name a new file")
    except OSError as error:
        return refuse(f"{path} cannot be written: {error.strerror}")
    except ValueError as error:
        return refuse(error)
    recorder = Recorder(driver, out, interval=config.interval, raw=raw)
    with out:
        try:
            asyncio.run(_record(recorder, config.interval, seconds))
        except TimeoutError:
            return refuse(
                f"the driver has not answered for {_DEADLINE_SECONDS:g} s; {path} ends before that",
                1,
            )
        except WrongBinding as error:
            path.unlink(missing_ok=True)  # it says nothing, and would be in the way next time
            return refuse(error, 1)
        except OSError as error:
            return refuse(f"{path} cannot be written: {error.strerror}", 1)
    kept = "with its names" if raw else "UUIDs, serial numbers and ids of containers replaced"
    print(f"{path}: {recorder.rounds} rounds of {recorder.gpus} GPUs, {kept}")
    print(f"play it: warpwatch run --replay {path}")
    return 0


async def _record(recorder: Recorder, interval: float, seconds: float) -> None:
    """Ask each ``interval`` until the time is up or somebody interrupts."""
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    worker = Worker("recording")
    due = began = loop.time()
    try:
        while not told.is_set() and loop.time() < began + seconds:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                await worker.call(recorder.round)
            due = max(due + interval, loop.time())
            with suppress(TimeoutError):
                async with asyncio.timeout(min(due, began + seconds) - loop.time()):
                    await told.wait()
        async with asyncio.timeout(_DEADLINE_SECONDS):
            await worker.call(recorder.finish)
    finally:
        worker.close()
