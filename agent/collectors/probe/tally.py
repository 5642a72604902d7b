"""Counts what probes came to, and tells it in the catalogue's language."""

from collections import Counter

from agent.catalogue.attributes import PROBE_FAILURE, PROBE_SKIPPED
from agent.catalogue.probe import (
    DURATION,
    DURATION_BOUNDS,
    FAILURES,
    FIRST_TOKEN_BOUNDS,
    SKIPPED,
    SUCCESS,
    TIME_TO_FIRST_TOKEN,
    TOKENS,
)
from agent.collectors.probe.outcome import Answer
from agent.observations import Observations
from agent.snapshot import Reading


class Tally:
    """All that was counted since the agent started. Counters are there at 0 before the first failure."""

    def __init__(self, server: str, kind: str) -> None:
        self._key = (server, kind)
        self._failures: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()
        self._tokens = 0
        self._durations: dict[str, Observations] = {}
        self._first_tokens: dict[str, Observations] = {}
        self.success: bool | None = None
        """Of the last probe; None where there is none to speak of."""

    def answered(self, answer: Answer) -> None:
        """Count a probe that was answered as it should be."""
        self.success = True
        _observe(self._durations, DURATION_BOUNDS, answer.model, answer.duration)
        if answer.first_token is not None:
            _observe(self._first_tokens, FIRST_TOKEN_BOUNDS, answer.model, answer.first_token)

    def failed(self, reason: str) -> None:
        """Count a probe that was not."""
        self.success = False
        self._failures[reason] += 1

    def skipped(self, budget: str) -> None:
        """Count a probe that was not sent."""
        self._skipped[budget] += 1

    def spent(self, tokens: int) -> None:
        """Count what a probe cost."""
        self._tokens += tokens

    def readings(self) -> tuple[Reading, ...]:
        """Return all of it."""
        key = self._key
        told = [Reading(TOKENS, key, self._tokens)]
        if self.success is not None:
            told.append(Reading(SUCCESS, key, int(self.success)))
        told += (
            Reading(FAILURES, (*key, reason), self._failures[reason])
            for reason in PROBE_FAILURE.values
        )
        told += (
            Reading(SKIPPED, (*key, budget), self._skipped[budget])
            for budget in PROBE_SKIPPED.values
        )
        for metric, observed in (
            (DURATION, self._durations),
            (TIME_TO_FIRST_TOKEN, self._first_tokens),
        ):
            told += (
                Reading(metric, (*key, model), each.distribution())
                for model, each in observed.items()
            )
        return tuple(told)


_MOST_MODELS = 8
"""A server that lists another model each time must not make a series each time."""


def _observe(
    kept: dict[str, Observations], bounds: tuple[float, ...], model: str, value: float
) -> None:
    if model not in kept and len(kept) >= _MOST_MODELS:
        kept.pop(next(iter(kept)))
    kept.setdefault(model, Observations(bounds)).add((value,))
