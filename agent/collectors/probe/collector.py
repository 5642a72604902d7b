"""The collector of one server's probe: sends it in the background and tells what came of it.

A probe may take as long as its timeout; nobody waits for it. Whoever collects gets what is known now, and
a server that hangs is a failure of its own and not of the agent.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final

import aiohttp

from agent.catalogue import events
from agent.catalogue.attributes import DETAIL, PROBE_FAILURE, PROBE_KIND, SERVER
from agent.collectors.probe import inference, openai
from agent.collectors.probe.budget import Budget
from agent.collectors.probe.client import Client
from agent.collectors.probe.outcome import Answer, ProbeError, failure_of
from agent.collectors.probe.plan import Plan
from agent.collectors.probe.tally import Tally
from agent.collectors.scrape import Connections, ScrapeError, endpoint
from agent.snapshot import Batch, Event, Problem

_LOOK: Final = 1.0
"""Seconds between two looks at what the probe found; an event is told this late at most."""
_DEADLINE: Final = 5.0
"""Seconds in which a look, which does no input or output, must be over."""
_LONGEST_JITTER: Final = 15.0
"""Seconds over which first probes are spread, so that agents started together do not probe together."""
_MOST_DOUBLINGS: Final = 6
"""Of the interval, while a server that is presumed to answer never does: an hour, where it is a minute."""
_STALE: Final = 2.0
"""Intervals after which the last probe says nothing about now."""

Probe = Callable[[Client, Plan, Callable[[], float]], Awaitable[Answer]]
_PROBES: Final[Mapping[str, Probe]] = {
    "openai": openai.probe,
    "kserve_v2": inference.probe,
    "triton": inference.probe,
}


class ProbeCollector:
    """Probes one server as ``plan`` says, one probe at a time.

    ``presumed``: nobody said that it answers, so nothing is told but problems until it once has, and it is
    asked ever more rarely. ``budget`` is what it shares with others; without one it has the plan's alone.

    ``server`` is the server's name, host:port of the plan's URL if empty. ``connections`` are shared with
    the scrapes. ``clock`` gives Unix seconds, ``monotonic`` seconds that only grow, ``jitter`` a number
    from 0 to 1. Raises ValueError for a URL that cannot be used.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        server: str = "",
        connections: Connections | None = None,
        presumed: bool = False,
        budget: Budget | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._server = server or endpoint(plan.url).address
        self.name = f"probe/{self._server}"
        self.interval = min(_LOOK, plan.interval)
        self.deadline = _DEADLINE
        self._plan = plan
        self._connections = connections or Connections()
        self._client = Client(plan.url, plan.access, self._connections)
        self._clock = clock
        self._monotonic = monotonic
        self._jitter = jitter
        self._silent = presumed
        self._in_vain = 0
        self._budget = budget or Budget(
            requests=plan.requests_per_minute, tokens=plan.tokens_per_day, clock=monotonic
        )
        self._tally = Tally(self._server, plan.kind)
        self._readings = self._tally.readings()
        self._last: float | None = None
        self._happened: list[Event] = []
        self._problems: list[Problem] = []
        self._task: asyncio.Task[None] | None = None

    async def collect(self) -> Batch:
        """Return what is known, and see to it that probes are sent."""
        if self._task is None:
            self._connections.join()
            self._task = asyncio.create_task(self._probe_for_ever(), name=self.name)
        elif self._task.done():
            task, self._task = self._task, None
            await self._connections.leave()
            task.result()  # raises: a fault of ours, which the sampler reports
        self._forget_what_is_old()
        happened, self._happened = tuple(self._happened), []
        problems, self._problems = tuple(self._problems), []
        readings = () if self._silent else self._readings
        return Batch(self._clock(), readings, problems, happened)

    async def close(self) -> None:
        """End the probe that is on its way, and leave the connections."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait({task})
            await self._connections.leave()

    async def _probe_for_ever(self) -> None:
        plan, due = self._plan, self._monotonic()
        due += self._jitter() * min(plan.interval, _LONGEST_JITTER)
        while True:
            await asyncio.sleep(max(0.0, due - self._monotonic()))
            sent = await self.probe()
            missed = max(0.0, self._monotonic() - due) // plan.interval
            due += plan.interval * (missed + 1) + self._pause(sent=sent)

    def _pause(self, *, sent: bool) -> float:
        """Return the seconds to wait beyond the interval: where it was in vain, or the budget was used up.

        Of servers that share a budget, the same ones would always come too late.
        """
        if not sent:
            return self._jitter() * self._plan.interval
        return self._plan.interval * ((1 << min(self._in_vain, _MOST_DOUBLINGS)) - 1)

    async def probe(self) -> bool:
        """Send one probe and take in what came of it; return whether a budget let it go."""
        if budget := self._budget.refusal(self._most_tokens):
            self._tally.skipped(budget)
            detail = f"no probe was sent: the budget of {budget} is used up"
            self._problems.append(Problem("budget_used_up", self._server, detail))
        else:
            self._budget.send()
            self._take(await self._sent())
        self._readings = self._tally.readings()
        return not budget

    async def _sent(self) -> Answer | ProbeError:
        plan = self._plan
        try:
            async with asyncio.timeout(plan.timeout):
                return await _PROBES[plan.kind](self._client, plan, self._monotonic)
        except ProbeError as error:
            return error
        except ScrapeError as error:
            return failure_of(error)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return failure_of(self._client.explain(error, plan.timeout))

    def _take(self, outcome: Answer | ProbeError) -> None:
        self._last = self._monotonic()
        before = self._tally.success
        if isinstance(outcome, Answer):
            self._pay(outcome.tokens)
            self._tally.answered(outcome)
            self._silent, self._in_vain = False, 0
            if before is not True:
                self._happened.append(self._event())
            return
        self._pay(None if outcome.reason in _MAY_HAVE_COST else 0)
        self._tally.failed(outcome.reason)
        self._problems.append(Problem(outcome.reason, self._server, outcome.detail))
        if self._silent:
            self._in_vain += 1
        elif before is not False:
            self._happened.append(self._event(outcome))

    def _pay(self, tokens: int | None) -> None:
        """Book what a probe cost: as told, else what was asked for."""
        cost = self._most_tokens if tokens is None else tokens
        self._budget.spend(cost)
        self._tally.spent(cost)

    @property
    def _most_tokens(self) -> int:
        """What a probe costs at most, about: no tokenizer makes more tokens of a prompt than it has bytes."""
        if self._plan.kind != "openai":
            return 0
        return self._plan.max_tokens + len(self._plan.prompt.encode(errors="replace"))

    def _forget_what_is_old(self) -> None:
        """Tell nothing of now where the last probe was long ago, because none could be paid."""
        limit = _STALE * max(self._plan.interval, self._plan.timeout)
        if self._last is None or self._monotonic() - self._last <= limit:
            return
        self._last = None
        self._tally.success = None
        self._readings = self._tally.readings()

    def _event(self, error: ProbeError | None = None) -> Event:
        pairs = ((SERVER.key, self._server), (PROBE_KIND.key, self._plan.kind))
        if error is None:
            body = f"{self._server} answers the probe"
            return Event(events.PROBE_ANSWERED, self._clock(), body, pairs)
        body = f"{self._server} does not answer the probe as it should: {error.detail}"
        why = ((PROBE_FAILURE.key, error.reason), (DETAIL.key, error.detail))
        return Event(events.PROBE_FAILED, self._clock(), body, (*pairs, *why))


_MAY_HAVE_COST: Final = frozenset({"timeout", "truncated", "too_large", "empty", "malformed"})
"""Failures after which the server may have worked on the request all the same."""
