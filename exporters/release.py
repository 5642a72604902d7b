"""Lets go of the GPUs' driver on request: for what must unbind, divide or upgrade it, and waits for nobody.

The one thing that the endpoint does beyond telling. It takes the GPUs out of sight for a while, so it is
for programs on this machine unless the configuration says otherwise, and never for browsers: whatever sends
a header that only they send is refused, so no page can do it on an engineer's behalf.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from ipaddress import ip_address
from time import time
from typing import Final

from aiohttp import web

PATH: Final = "/api/v1/driver/release"
DEFAULT_SECONDS: Final = 60
MOST_SECONDS: Final = 3600
_PATIENCE: Final = 10.0
"""Seconds that an answer waits for a call to the driver that is under way."""
_FROM_BROWSERS: Final = ("Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode")

Release = Callable[[float], Awaitable[None]]
"""Lets go of the driver for so many seconds; done when it is free."""


class ReleaseEndpoint:
    """Answers ``POST /api/v1/driver/release?seconds=N``, of which N is 60 if left out.

    ``release`` does it; ``anywhere``: also for clients that are not on this machine. ``clock`` gives Unix
    seconds; ``patience`` (seconds) is how long an answer may take.
    """

    def __init__(
        self,
        release: Release,
        *,
        anywhere: bool = False,
        clock: Callable[[], float] = time,
        patience: float = _PATIENCE,
    ) -> None:
        self._release = release
        self._anywhere = anywhere
        self._clock = clock
        self._patience = patience
        self._under_way: set[asyncio.Future[None]] = set()

    async def handle(self, request: web.Request) -> web.Response:
        """Release: 200 once the driver is free, 503 where it hangs; 400 and 403 for what is not to be."""
        if refusal := self._refusal(request):
            return web.Response(status=403, text=refusal)
        seconds = _seconds(request.query.get("seconds", str(DEFAULT_SECONDS)))
        if seconds is None or set(request.query) - {"seconds"}:
            text = f"seconds must be a whole number from 1 to {MOST_SECONDS}, and is all that can be asked\n"
            return web.Response(status=400, text=text)
        until = datetime.fromtimestamp(self._clock() + seconds, UTC).isoformat(timespec="seconds")
        if not await self._released(seconds):
            text = (
                f"a call to the driver has not returned for {self._patience:g} s; the driver is let go of "
                f"when it does, and left alone until {until}. Ask again to see whether it is free\n"
            )
            return web.Response(status=503, text=text, headers={"Retry-After": "5"})
        return web.json_response({"released": True, "seconds": seconds, "until": until})

    async def _released(self, seconds: float) -> bool:
        """Ask, and wait a while; who asked may leave, and it goes on."""
        call = asyncio.ensure_future(self._release(seconds))
        self._under_way.add(call)
        call.add_done_callback(self._under_way.discard)
        done, _ = await asyncio.wait({call}, timeout=self._patience)
        if done:
            call.result()
        return bool(done)

    def _refusal(self, request: web.Request) -> str:
        if any(name in request.headers for name in _FROM_BROWSERS):
            return "the driver is not released for a web page; ask with curl -X POST\n"
        if self._anywhere or _is_here(request):
            return ""
        return (
            "the driver is released for programs on this machine only; ask from there, or set "
            "release_from to anywhere\n"
        )


def _is_here(request: web.Request) -> bool:
    """Tell whether the client's address is loopback; an IPv4 address may come in IPv6's clothes."""
    peer = request.transport.get_extra_info("peername") if request.transport else None
    if not isinstance(peer, tuple):
        return False
    address = ip_address(str(peer[0]).partition("%")[0])
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _seconds(text: str) -> int | None:
    """Return a number of seconds that makes sense, else None."""
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(MOST_SECONDS))):
        return None
    seconds = int(text)
    return seconds if 1 <= seconds <= MOST_SECONDS else None
