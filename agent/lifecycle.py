"""How a process of ours runs: side by side parts, until a signal asks for the end."""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterable, Sequence

Part = Coroutine[None, None, None]


async def until_told(
    parts: Sequence[Part], *, on_user_signal: Callable[[], Iterable[Part]] | None = None
) -> None:
    """Run ``parts`` until SIGTERM or SIGINT; an error in one ends them all.

    SIGUSR1 starts the parts that ``on_user_signal`` returns.
    """
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(part) for part in parts]
        if on_user_signal is not None:
            make = on_user_signal
            loop.add_signal_handler(
                signal.SIGUSR1, lambda: running.extend(map(tasks.create_task, make()))
            )
        await told.wait()
        for task in running:
            task.cancel()
