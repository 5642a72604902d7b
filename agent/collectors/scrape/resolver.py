"""Looks up names without a place that a dead name server could fill up.

The event loop's own look-ups share a small pool of threads with everything else that blocks: a few names
that hang, and no other server is looked up or parsed any more. Here each name has a thread of its own while
it is being looked up, and one alone: there are never more than there are names.
"""

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from aiohttp.abc import AbstractResolver, ResolveResult

_Key = tuple[str, int, int]
_LookUp = Callable[[str, int, int], list[ResolveResult]]


def look_up(host: str, port: int, family: int) -> list[ResolveResult]:
    """Return the addresses of a name; blocks. Raises OSError where it has none."""
    found = socket.getaddrinfo(host, port, socket.AddressFamily(family), socket.SOCK_STREAM)
    return [
        ResolveResult(
            hostname=host,
            host=str(address[0]),
            port=port,
            family=kind,
            proto=protocol,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )
        for kind, _, protocol, _, address in found
    ]


class Resolver(AbstractResolver):
    """Resolves each name in a daemon thread of its own, once at a time however many ask."""

    def __init__(self, look_up: _LookUp = look_up) -> None:
        self._look_up = look_up
        self._running: dict[_Key, asyncio.Future[list[ResolveResult]]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses. Giving up waiting leaves the look-up to whoever asks next."""
        key = (host, port, int(family))
        future = self._running.get(key)
        if future is None:
            future = self._running[key] = asyncio.get_running_loop().create_future()
            future.add_done_callback(lambda done: self._over(key, done))
            name = f"resolve {host}"
            threading.Thread(target=self._run, args=(key, future), name=name, daemon=True).start()
        return await asyncio.shield(future)

    async def close(self) -> None:
        """Forget what is still being looked up; its threads end by themselves."""
        for future in list(self._running.values()):
            future.cancel()

    def _run(self, key: _Key, future: asyncio.Future[list[ResolveResult]]) -> None:
        outcome: list[ResolveResult] | OSError
        try:
            outcome = self._look_up(*key)
        except OSError as error:
            outcome = error
        except ValueError as error:  # a label too long for DNS, for one
            outcome = socket.gaierror(socket.EAI_NONAME, str(error))
        with suppress(RuntimeError):  # the loop ended before the name server answered
            future.get_loop().call_soon_threadsafe(_settle, future, outcome)

    def _over(self, key: _Key, future: asyncio.Future[list[ResolveResult]]) -> None:
        if self._running.get(key) is future:
            del self._running[key]
        if not future.cancelled():
            future.exception()  # nobody may be waiting any more


def _settle(
    future: asyncio.Future[list[ResolveResult]], outcome: list[ResolveResult] | OSError
) -> None:
    if future.done():
        return
    if isinstance(outcome, OSError):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
