"""Takes connections for the HTTP endpoint, as many as the node can bear, and speaks TLS where it is asked to.

aiohttp's own site takes connections without end, and each costs a file descriptor, without which no collector
reads anything. Here whoever comes is taken and, where there are too many, who has been there longest goes:
clients that are well come again by themselves, and those that only hold on cannot keep anybody out.
"""

import asyncio
import logging
import resource
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

if TYPE_CHECKING:
    import ssl

MOST_CONNECTIONS: Final = 128
"""A few scrapers, probes, and 32 status pages with their streams. One with TLS costs 270 KiB."""
HANDSHAKE_SECONDS: Final = 10.0
"""For a TLS handshake: some round trips, on the worst of networks."""
_GOODBYE_SECONDS: Final = 5.0
"""For a TLS connection to end as it should."""
UNREAD_SECONDS: Final = 30.0
"""After which the kernel ends a connection whose client takes nothing of what is sent."""
_BACKLOG: Final = 128
_BREATH: Final = 1.0
"""Seconds to wait where the system has no descriptor or memory left."""
_TOLD_EVERY: Final = 60.0
"""Seconds between two lines of the log about too many connections."""

_log = logging.getLogger(__name__)


class Listener(web.BaseSite):
    """One address of a server. It belongs to ``runner``, which ends it.

    ``context`` gives the TLS for each connection, if any; ``refused`` is told the address and the reason of
    a handshake that failed. ``most`` connections, handshakes among them, are held at once, and never more
    than half of the descriptors that the process may have. ``handshake`` and ``unread`` are seconds.
    """

    def __init__(
        self,
        runner: web.BaseRunner,
        host: str,
        port: int,
        *,
        context: "Callable[[], ssl.SSLContext | None] | None" = None,
        refused: Callable[[str, str], None] = lambda *_: None,
        most: int = MOST_CONNECTIONS,
        handshake: float = HANDSHAKE_SECONDS,
        unread: float = UNREAD_SECONDS,
    ) -> None:
        super().__init__(runner)
        self._host = host
        self._port = port
        self._context = context
        self._refused = refused
        self._most = min(most, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
        self._handshake = handshake
        self._unread = unread
        self._sockets: list[socket.socket] = []
        self._loops: list[asyncio.Task[None]] = []
        self._arriving: dict[asyncio.Task[None], None] = {}
        self._tell_after = 0.0

    @property
    def name(self) -> str:
        """The address."""
        return f"{self._host}:{self.port}"

    @property
    def port(self) -> int:
        """The port it listens on, once it does."""
        port: int = self._sockets[0].getsockname()[1] if self._sockets else self._port
        return port

    async def start(self) -> None:
        """Listen. Raises `OSError`."""
        await super().start()
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(
            self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        self._sockets = list(_bound(dict.fromkeys((each[0], each[4]) for each in found)))
        for each in self._sockets:
            each.setblocking(False)
            self._loops.append(loop.create_task(self._accept(each), name=f"listen on {self.name}"))

    async def stop(self) -> None:
        """Take no more connections; those that there are belong to the runner."""
        waiting = [*self._loops, *self._arriving]
        for each in waiting:
            each.cancel()
        if waiting:
            await asyncio.wait(waiting)
        for listening in self._sockets:
            listening.close()
        await super().stop()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                arrived, address = await loop.sock_accept(listening)
            except ConnectionError:
                continue  # it left before it was taken
            except OSError as error:
                _log.warning("no connection can be taken: %s", error.strerror)
                await asyncio.sleep(_BREATH)
                continue
            self._make_room()
            task = loop.create_task(self._welcome(arrived, str(address[0])), name="connection")
            self._arriving[task] = None
            task.add_done_callback(self._arrived)
            await asyncio.sleep(0)  # a flood of connections must not keep the loop from turning

    def _arrived(self, task: asyncio.Task[None]) -> None:
        self._arriving.pop(task, None)

    async def _welcome(self, arrived: socket.socket, address: str) -> None:
        """Hand a connection to the server, by a TLS handshake where there is TLS."""
        loop, server = asyncio.get_running_loop(), self._runner.server
        if server is None:  # it ended meanwhile
            arrived.close()
            return
        context = self._context() if self._context else None
        try:
            _give_up_after(arrived, self._unread)
            await loop.connect_accepted_socket(
                server,
                arrived,
                ssl=context,
                ssl_handshake_timeout=self._handshake if context else None,
                ssl_shutdown_timeout=_GOODBYE_SECONDS if context else None,
            )
        except OSError as error:  # SSLError and a timeout are such
            if not isinstance(error, ConnectionResetError):  # a port check, or a change of mind
                self._refused(address, str(getattr(error, "reason", None) or error))
            # asyncio's frames hold the error and it holds them, with a quarter of a megabyte of buffers.
            error.__traceback__ = error.__context__ = None

    def _make_room(self) -> None:
        """Where there are as many as may be, end the one that came first: of handshakes half as many."""
        if len(self._arriving) >= self._most // 2:
            first = next(iter(self._arriving))
            del self._arriving[first]
            first.cancel()
            self._tell()
            return
        server = self._runner.server
        connected = server.connections if server else []
        if len(connected) + len(self._arriving) < self._most:
            return
        for each in connected:
            if each.transport is not None:
                each.transport.abort()
                self._tell()
                return

    def _tell(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._tell_after:
            self._tell_after = now + _TOLD_EVERY
            _log.warning("too many connections are open, so those that came first are closed")


def _bound(addresses: Iterable[tuple[int, Any]]) -> Iterator[socket.socket]:
    """Give a listening socket for each family and address. Raises `OSError`, and leaves none open then."""
    with ExitStack() as made:
        for family, address in addresses:
            listening = socket.create_server(address, family=family, backlog=_BACKLOG)
            made.enter_context(listening)
            yield listening
        made.pop_all()


def _give_up_after(connection: socket.socket, seconds: float) -> None:
    """Let the kernel end a connection whose client reads nothing; it knows, and we would have to look."""
    with suppress(OSError):  # an older kernel: then only the number of connections is bounded
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))
