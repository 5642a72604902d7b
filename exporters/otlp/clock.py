"""Time as the push road uses it, in one record, so that tests can own it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """``unix`` and ``monotonic`` give seconds; ``sleep`` waits for some."""

    unix: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
