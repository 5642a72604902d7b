"""Reads request bodies within bounds, of each and of all together: bytes, time, and what they become.

Whoever logs must never wait: beyond the bounds the answer is 408, 413, 415, or 503 with Retry-After, as soon
as that is known. Small bodies are parsed in the loop, large ones beside it, one at a time, for what a body
becomes takes a dozen times its size.
"""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

import aiohttp
from aiohttp import web

from agent.drift.intake.refusal import RefusedError
from agent.drift.intake.tensor_bytes import GZIP

MAX_BODY: Final = 8 * 2**20
"""Bytes of one body: some 10,000 rows of 20 features, or one large image, which is no row."""
MAX_IN_FLIGHT: Final = 32 * 2**20
"""Bytes of all bodies that are being read or parsed at once."""
MAX_SECONDS: Final = 10.0
"""For one body to arrive: a sender that dribbles would hold the room of others."""
INLINE: Final = 64 * 1024
"""Bytes that are parsed in the loop: less than a millisecond."""
LINES: Final = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}
)
"""Content types of a JSON document a line."""
_UNTOLD: Final = frozenset({"application/octet-stream", "application/x-www-form-urlencoded"})
"""What senders say that say nothing: nothing at all, and curl."""
_KNOWN: Final = frozenset({"application/json", "text/json"}) | LINES | _UNTOLD

_Read = TypeVar("_Read")


def check_type(content_type: str) -> None:
    """Refuse a body that says that it is something else than JSON. Raises `RefusedError`."""
    if content_type not in _KNOWN and not content_type.endswith("+json"):
        said = "the body must be JSON or NDJSON, and its content type say so: application/json"
        raise RefusedError(415, "wrong_type", said)


class _Body:
    """What has arrived of one body."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0


class Bodies:
    """Gives bodies to those who read them. ``most_*`` are the bounds, see the constants."""

    def __init__(
        self,
        *,
        most_bytes: int = MAX_BODY,
        most_in_flight: int = MAX_IN_FLIGHT,
        most_seconds: float = MAX_SECONDS,
    ) -> None:
        self._most_bytes = most_bytes
        self._most_in_flight = most_in_flight
        self._most_seconds = most_seconds
        self._turn = asyncio.Lock()
        self.in_flight = 0
        """Bytes of bodies that have arrived and are not parsed yet."""

    async def read(self, request: web.Request, read: Callable[[bytes], _Read]) -> tuple[_Read, int]:
        """Return what ``read`` makes of the body, and how many bytes it has, decompressed.

        The room that it takes is given back in any case.

        Raises `RefusedError`, as ``read`` may.
        """
        announced = request.content_length or 0
        if announced > self._most_bytes:
            raise self._too_large()
        self._check_room(announced)
        body = _Body()
        try:
            await self._in_time(request, body)
            data = b"".join(body.parts)
            if len(data) <= INLINE and not data.startswith(GZIP):
                return read(data), len(data)
            async with self._turn:
                return await asyncio.to_thread(read, data), len(data)
        except RecursionError as error:  # wherever it is noticed, it is for the sender to mend
            raise RefusedError(400, "malformed", "the body is nested too deep") from error
        finally:
            self.in_flight -= body.size

    async def _in_time(self, request: web.Request, body: "_Body") -> None:
        try:
            async with asyncio.timeout(self._most_seconds):
                await self._whole(request, body)
        except TimeoutError:
            said = f"the body did not arrive within {self._most_seconds:g} s"
            raise RefusedError(408, "too_slow", said) from None

    async def _whole(self, request: web.Request, body: "_Body") -> None:
        """Read the body, decompressed, as long as it stays within bounds.

        Room is taken by what has arrived: who only announces much takes none from others.
        """
        try:
            async for part in request.content.iter_any():
                if body.size + len(part) > self._most_bytes:
                    raise self._too_large()
                self._check_room(len(part))
                body.parts.append(part)
                body.size += len(part)
                self.in_flight += len(part)
        except (web.RequestPayloadError, aiohttp.ClientPayloadError) as error:
            raise RefusedError(
                400, "malformed", "the body ends early or is compressed wrongly"
            ) from error

    def _check_room(self, size: int) -> None:
        if self.in_flight + size > self._most_in_flight:
            raise RefusedError(503, "overload", "too much is being read already; try again later")

    def _too_large(self) -> RefusedError:
        most = self._most_bytes // 2**20
        return RefusedError(
            413, "too_large", f"the body is larger than {most} MiB; send fewer rows at once"
        )
