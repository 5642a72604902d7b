"""Follows how GPUs compare over time, and tells of one that stays an outlier, once."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from agent.catalogue import events
from agent.catalogue.attributes import DETAIL, HW_ID, PEER_SIGNAL
from agent.catalogue.window import OUTLIER, PEER_OUTLIER
from agent.peers.score import BY_WORD, Verdict, judge
from agent.peers.standing import Counter, Lookout, Sight
from agent.snapshot import Batch, Event, Reading

CADENCE: Final = 10.0
"""Seconds between two judgements: what is judged are means over fifteen."""
SUSTAINED: Final = 60.0
"""Seconds for which a GPU must stand out before it is an event, and be ordinary before that is over."""
ORDINARY: Final = OUTLIER / 2
"""Score at which it is over: half of what began it, so that the edge does not make it flap."""
_PATIENCE: Final = 30.0
"""Seconds without a verdict after which what went before does not count as the same run."""
_THROTTLE_SPAN: Final = 300.0
_ERROR_SPAN: Final = 600.0
_FORGET: Final = 3600.0
"""Seconds after which a GPU that is gone is forgotten."""

_SAID: Final = {
    "temperature": ("temperature", 1, "{:.0f} degrees Celsius"),
    "clock": ("SM clock", 1e-6, "{:.0f} MHz"),
    "power": ("power for full utilization", 1, "{:.0f} W"),
    "throttle": ("clocks held down", 1, "{:.0f} s in five minutes"),
    "errors": ("errors", 1, "{:.0f} in ten minutes"),
}
"""By signal: what it is, from the catalogue's unit to that of people, and how to say it."""

_Totals = tuple[float, float, float]
"""A time (Unix seconds), seconds held down and errors, both since the GPU was first seen."""


@dataclass(slots=True)
class _Past:
    """What is remembered of one GPU. Totals only grow; sums over time are their differences."""

    seen_at: float
    held_down: float = 0.0
    errors: float = 0.0
    counters: dict[Counter, float] = field(default_factory=dict)
    totals: deque[_Totals] = field(default_factory=deque)


@dataclass(slots=True)
class _Run:
    """How long a GPU has been an outlier, or ordinary, in one respect."""

    told: bool = False
    """Whether the event is out, and not over."""
    since: float | None = None
    """When the run that would change `told` began."""
    seen_at: float = 0.0


class PeerWatch:
    """The memory that scores need: give it each snapshot's batches."""

    def __init__(self) -> None:
        self._pasts: dict[str, _Past] = {}
        self._runs: dict[tuple[str, str], _Run] = {}
        self._verdicts: dict[tuple[str, str], Verdict] = {}
        self._judged_at: float | None = None
        self._lookout = Lookout()
        self._shape: tuple[int, ...] = ()
        self._scores: tuple[Reading, ...] = ()

    def observe(self, now: float, batches: Iterable[Batch]) -> Batch:
        """Return the scores of the GPUs in ``batches`` at ``now`` (Unix seconds), and what is new.

        Between two judgements the last scores stand, as long as the node has as many series as it had.
        """
        batches = tuple(batches)
        shape = tuple(len(batch.readings) for batch in batches)
        if shape == self._shape and self._judged_at is not None and self._is_early(now):
            return Batch(self._judged_at, self._scores)
        self._shape = shape
        batch = self._look(now, batches)
        self._scores = batch.readings
        return batch

    def _is_early(self, now: float) -> bool:
        return self._judged_at is not None and 0 <= now - self._judged_at < CADENCE

    def _look(self, now: float, batches: Iterable[Batch]) -> Batch:
        seen = self._lookout.sights(batches)
        self._remember(now, seen)
        told: list[Event] = []
        if not self._is_early(now) or self._judged_at is None:
            self._judged_at = now
            self._verdicts = judge({hw_id: sight.standing for hw_id, sight in seen.items()})
            told = self._follow(now, seen)
            self._forget(now)
        return Batch(
            self._judged_at,
            tuple(
                Reading(PEER_OUTLIER, key, verdict.score)
                for key, verdict in self._verdicts.items()
                if _still_there(seen.get(key[0]), key[1])
            ),
            events=tuple(told),
        )

    def _remember(self, now: float, seen: dict[str, Sight]) -> None:
        """Add to each GPU's totals, and put what they grew by into its standing."""
        for hw_id, sight in seen.items():
            past = self._pasts.get(hw_id)
            if past is None or now < past.seen_at:
                past = self._pasts[hw_id] = _Past(now)
            elapsed = now - past.seen_at
            past.seen_at = now
            if sight.held_down and elapsed <= _PATIENCE:
                past.held_down += elapsed
            past.errors += _grown(past, sight)
            if not past.totals or now - past.totals[-1][0] >= CADENCE:
                past.totals.append((now, past.held_down, past.errors))
            while past.totals[0][0] < now - _ERROR_SPAN:
                past.totals.popleft()
            if sight.held_down is not None:
                sight.standing.throttled = past.held_down - _before(past, now)
            if sight.errors is not None:
                sight.standing.errors = past.errors - past.totals[0][2]

    def _follow(self, now: float, seen: dict[str, Sight]) -> list[Event]:
        told: list[Event] = []
        for key, verdict in self._verdicts.items():
            run = self._runs.get(key)
            if run is None:
                run = self._runs[key] = _Run()
            if not 0 <= now - run.seen_at <= _PATIENCE:
                run.since = None
            run.seen_at = now
            changes = verdict.score < ORDINARY if run.told else verdict.score > OUTLIER
            if not changes:
                run.since = None
                continue
            if run.since is None:
                run.since = now
            if now - run.since >= SUSTAINED:
                run.told, run.since = not run.told, None
                name = seen[key[0]].name
                told.append(_began(now, name, key, verdict) if run.told else _over(now, name, key))
        return told

    def _forget(self, now: float) -> None:
        for hw_id in [each for each, past in self._pasts.items() if now - past.seen_at > _FORGET]:
            del self._pasts[hw_id]
        for key in [each for each in self._runs if each[0] not in self._pasts]:
            del self._runs[key]


def _still_there(sight: Sight | None, word: str) -> bool:
    """Whether the GPU says now what the verdict was about; it may be lost since."""
    return sight is not None and BY_WORD[word].value(sight.standing) is not None


def _grown(past: _Past, sight: Sight) -> float:
    """Return by how much the counters of errors grew; one that fell was reset, and counts from there."""
    counters = sight.errors or {}
    grown = sum(
        max(0.0, total - past.counters[key])
        for key, total in counters.items()
        if key in past.counters
    )
    past.counters = counters
    return grown


def _before(past: _Past, now: float) -> float:
    """Return for how long clocks had been held down when the last five minutes began."""
    return next(held for at, held, _ in past.totals if at >= now - _THROTTLE_SPAN - CADENCE)


def _began(now: float, name: str, key: tuple[str, str], verdict: Verdict) -> Event:
    hw_id, word = key
    noun, factor, text = _SAID[word]
    own, median = (text.format(each * factor) for each in (verdict.value, verdict.median))
    said = (
        f"{noun} {own}, against a median of {median} among {verdict.siblings} GPUs of its model with "
        "as much to do"
    )
    return Event(
        events.GPU_OUTLIER,
        now,
        f"{name} has stood out from its siblings for a minute: {said}",
        ((HW_ID.key, hw_id), (PEER_SIGNAL.key, word), (DETAIL.key, said)),
    )


def _over(now: float, name: str, key: tuple[str, str]) -> Event:
    hw_id, word = key
    return Event(
        events.GPU_OUTLIER_OVER,
        now,
        f"{name} is like its siblings again: {_SAID[word][0]}",
        ((HW_ID.key, hw_id), (PEER_SIGNAL.key, word)),
    )
