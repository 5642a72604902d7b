"""One signal's way to one receiver: a short queue, one request in flight, patience with limits.

A receiver that is slow, gone or hung costs nothing but the queue: whatever offers requests never waits,
the oldest ones give way to newer ones, and every loss is counted.
"""

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from math import inf
from typing import Final, NamedTuple

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from agent.snapshot import ExporterState
from exporters.otlp.clock import Clock
from exporters.otlp.delivery import Encoded, Receipt, Refused, Retryable, Transport
from exporters.otlp.settings import Signal

LONGEST_PAUSE: Final = 30.0
"""Seconds between two attempts, unless the receiver asks for more."""
LONGEST_RETRY_AFTER: Final = 300.0
"""Seconds for which a receiver's Retry-After is honoured: more would silence the node by one mistake."""
PATIENCE: Final = 120.0
"""Seconds for which one request may be turned away while newer ones wait. Then it is given up: a request
that alone is turned away would hold up live data. Does not run while the receiver cannot be reached."""
QUIET: Final = 600.0
"""Seconds between two log lines about requests that the receiver refuses."""

_log = logging.getLogger(__name__)


class Limits(NamedTuple):
    """How much may wait: so many requests and, the newest one aside, so many bytes."""

    requests: int
    bytes: int


LIMITS: Final[dict[Signal, Limits]] = {
    "metrics": Limits(120, 4 * 1024 * 1024),  # 30 minutes of 1,000 series each 15 s, compressed
    "logs": Limits(1_000, 1024 * 1024),
}


@dataclass(slots=True, eq=False)
class _Request:
    packed: bytes
    items: int
    turned_away_since: float = inf


class _Outage(NamedTuple):
    """A time without delivery: when it began (monotonic) and what had been lost before."""

    since: float
    dropped: int


class Sender:
    """Sends what it is offered, oldest first, until closed; see `start` and `close`."""

    def __init__(
        self,
        name: str,
        signal: Signal,
        transport: Transport,
        *,
        limits: Limits | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.signal = signal
        self._name = name
        self._transport = transport
        self._limits = limits or LIMITS[signal]
        self._clock = clock or Clock()
        self._queue: deque[_Request] = deque()
        self._queued_bytes = 0
        self._in_flight: _Request | None = None
        self._arrived = asyncio.Event()
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._sent = self._failed = self._dropped = 0
        self._last_success: float | None = None
        self._last_error = ""
        self._outage: _Outage | None = None
        self._told_at = -inf

    def state(self) -> ExporterState:
        """Return how it is doing; requests in flight count as queued."""
        return ExporterState(
            name=self._name,
            signal=self.signal,
            sent=self._sent,
            failed=self._failed,
            dropped=self._dropped,
            queued=len(self._queue) + (self._in_flight is not None),
            last_success=self._last_success,
            last_error=self._last_error,
        )

    def offer(self, encoded: Encoded) -> None:
        """Queue a request; where there is no room, the oldest one goes. Never waits."""
        self._queue.append(_Request(self._transport.pack(encoded.body), encoded.items))
        self._queued_bytes += len(self._queue[-1].packed)
        self._trim()
        self._arrived.set()

    def lose(self, items: int) -> None:
        """Count items that were lost before they could be offered."""
        self._dropped += items

    def start(self) -> None:
        """Begin to send; needs a running loop."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"{self._name} {self.signal}")

    async def join(self) -> None:
        """Wait for the end of sending, which comes with `close`, or raise what ended it early."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def close(self, within: float) -> None:
        """Try once more to deliver what waits, for at most ``within`` seconds, then give it up."""
        self._closing.set()
        self._arrived.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=within)
            self._task.cancel()
            await asyncio.wait({self._task})  # what ended it early is for `join` to raise
        if lost := sum(request.items for request in self._queue):
            _log.warning("%s: %d items of %s undelivered at the end", self._name, lost, self.signal)
        while self._queue:
            self._drop(self._pop())
        await self._transport.close()

    async def _run(self) -> None:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Retryable),
            wait=_Wait(),
            stop=lambda _: self._closing.is_set(),
            sleep=self._pause,
            reraise=True,
        )
        while await self._has_work():
            try:
                await retrying(self._send_oldest)
            except Retryable:  # comes through only while closing: that was the last chance
                return

    async def _has_work(self) -> bool:
        while not self._queue and not self._closing.is_set():
            self._arrived.clear()
            await self._arrived.wait()
        return bool(self._queue)

    async def _pause(self, seconds: float) -> None:
        """Wait, but not into the end: `close` gives what waits a last chance at once."""
        waits = (
            asyncio.ensure_future(self._clock.sleep(seconds)),
            asyncio.ensure_future(self._closing.wait()),
        )
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    async def _send_oldest(self) -> None:
        """Deliver the oldest request or drop it. Raises `Retryable`, with the request in the queue again."""
        request = self._in_flight = self._pop()
        try:
            receipt = await self._transport.send(request.packed)
        except Refused as error:
            self._refused(request, str(error))
        except Retryable as error:
            self._turned_away(request, error)
            raise
        except asyncio.CancelledError:
            self._put_back(request)
            raise
        else:
            self._delivered(request, receipt)
        finally:
            self._in_flight = None

    def _delivered(self, request: _Request, receipt: Receipt) -> None:
        rejected = min(receipt.rejected, request.items)
        self._sent += request.items - rejected
        self._dropped += rejected
        self._last_success = self._clock.unix()
        self._last_error = receipt.words
        if self._outage is not None:
            seconds = self._clock.monotonic() - self._outage.since
            lost = self._dropped - self._outage.dropped
            _log.info(
                "%s: %s go out again after %.0f s; %d items lost, %d requests to catch up",
                *(self._name, self.signal, seconds, lost, len(self._queue)),
            )
            self._outage = None
        if rejected:
            self._tell(f"rejected {rejected} of {request.items} items: {receipt.words}")
        elif receipt.words:
            self._tell(f"warns: {receipt.words}")

    def _refused(self, request: _Request, words: str) -> None:
        self._failed += 1
        self._last_error = words
        self._outage = None
        self._drop(request)
        self._tell(f"refused {request.items} items, which are dropped: {words}")

    def _turned_away(self, request: _Request, error: Retryable) -> None:
        self._failed += 1
        self._last_error = str(error)
        now = self._clock.monotonic()
        if self._outage is None:
            self._outage = _Outage(now, self._dropped)
            _log.warning(
                "%s: %s do not go out: %s (tried again; at most %d requests are kept)",
                *(self._name, self.signal, error, self._limits.requests),
            )
        request.turned_away_since = min(request.turned_away_since, now) if error.answered else inf
        if self._queue and now - request.turned_away_since > PATIENCE:
            self._drop(request)
        else:
            self._put_back(request)

    def _tell(self, what: str) -> None:
        """Log something that may come with every request, now and then."""
        now = self._clock.monotonic()
        if now - self._told_at >= QUIET:
            self._told_at = now
            _log.warning(
                "%s: the receiver of %s %s (more within %.0f min are only counted)",
                *(self._name, self.signal, what, QUIET / 60),
            )

    def _pop(self) -> _Request:
        request = self._queue.popleft()
        self._queued_bytes -= len(request.packed)
        return request

    def _put_back(self, request: _Request) -> None:
        self._queue.appendleft(request)
        self._queued_bytes += len(request.packed)
        self._trim()

    def _trim(self) -> None:
        while len(self._queue) > 1 and (
            len(self._queue) > self._limits.requests or self._queued_bytes > self._limits.bytes
        ):
            self._drop(self._pop())

    def _drop(self, request: _Request) -> None:
        self._dropped += request.items


class _Wait:
    """How long to pause after a failure: exponential with jitter, or longer if the receiver asks for it."""

    def __init__(self) -> None:
        self._growing = wait_random_exponential(multiplier=1, max=LONGEST_PAUSE)

    def __call__(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.after if isinstance(error, Retryable) and error.after is not None else 0.0
        return max(self._growing(state), min(asked, LONGEST_RETRY_AFTER))
