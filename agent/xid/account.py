"""Counts, judges and groups errors, each of which comes here exactly once; bounded whatever comes."""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from agent.xid.bursts import Burst, Bursts
from agent.xid.policy import Judgement, Policy, made_to_test
from agent.xid.record import Action, Nature, Urgency
from agent.xid.sighting import KnownGpu, Sighting

TOLD_PER_KIND: Final = 10
"""Errors of one kind in a burst that are told one by one; the rest is counted, and told with the burst."""
TOLD_AT_ONCE: Final = 200
"""Errors that are told one by one in one go; as many again where they page."""
_UNKNOWN_SERIES: Final = 512
"""Series of codes or devices that nobody knows: garbage must not make series without end."""
_FOLLOWERS: Final = (Nature.SYMPATHETIC, Nature.VERDICT)


class Error(NamedTuple):
    """One error, judged. ``gpu`` is `None` for a switch, and for a GPU that cannot be told."""

    sighting: Sighting
    hw_id: str
    """The GPU's UUID; ``pci:`` and its address where that is not known; of a switch its address."""
    gpu: KnownGpu | None
    judgement: Judgement
    follows: str = ""
    """The worst error of its burst, such as ``XID 79``; only of errors that follow others."""


@dataclass(slots=True)
class News:
    """What came out of one go."""

    errors: list[Error] = field(default_factory=list)
    bursts: list[Burst] = field(default_factory=list)
    """Those that are over."""
    refused: list[Sighting] = field(default_factory=list)
    """Sightings that cannot be counted: a code out of range, or one unknown series too many."""
    lost: int = 0
    """Sightings that were too many to take in."""


class Account:
    """What has happened to each device since the agent started."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.xids: dict[tuple[str, int], int] = {}
        """XIDs by GPU and code; codes that page are there at 0 for each GPU that can be heard."""
        self.by_urgency: dict[tuple[str, Urgency], int] = {}
        """The same errors by GPU and urgency."""
        self.sxids: dict[tuple[str, int], int] = {}
        """SXIDs by the switch's PCI address and code."""
        self.bursts: Final = Bursts()
        self.changes = 0
        """Goes up with every change of a count."""
        self._worst: tuple[Urgency, str] | None = None
        self._unknown_series = 0

    def open(self, hw_id: str) -> None:
        """Let a GPU's counters exist before they count: `increase()` misses one that is born at 1."""
        for code in self._policy.paging:
            self.xids.setdefault((hw_id, code), 0)
        for urgency in Urgency:
            self.by_urgency.setdefault((hw_id, urgency), 0)

    def close(self, hw_id: str) -> None:
        """Let the counters of a GPU end."""
        self.xids = {key: count for key, count in self.xids.items() if key[0] != hw_id}
        self.by_urgency = {key: n for key, n in self.by_urgency.items() if key[0] != hw_id}
        self.changes += 1

    def pass_time(self, now: float, news: News) -> None:
        """End the burst that is over at ``now`` (Unix seconds)."""
        ended = self.bursts.end(now)
        if ended:
            self._worst = None
            news.bursts.append(ended)

    def take(self, sighting: Sighting, hw_id: str, gpu: KnownGpu | None, news: News) -> bool:
        """Take in an error; return whether it was new to all bounds and is counted.

        What somebody made to test something is told, and neither counted nor part of a burst.
        """
        self.pass_time(sighting.time, news)
        judgement = _of_switch(sighting) if sighting.switch else self._of_gpu(sighting)
        follows = ""
        if judgement.nature in _FOLLOWERS and self._worst:
            follows = self._worst[1]
            if self._worst[0] is Urgency.PAGE:
                judgement = judgement._replace(urgency=Urgency.INFO)  # that fault paged already
        error = Error(sighting, hw_id, gpu, judgement, follows)
        if judgement.simulated:
            repeats = 1
        elif self._count(error):
            repeats = self._group(error)
        else:
            news.refused.append(sighting)
            return False
        if _worth_telling(error, repeats, len(news.errors)):
            news.errors.append(error)
        return True

    def _of_gpu(self, sighting: Sighting) -> Judgement:
        return self._policy.judge(sighting.code, sighting.text)

    def _count(self, error: Error) -> bool:
        """Count an error; return whether there was room for its series."""
        sighting = error.sighting
        counts = self.sxids if sighting.switch else self.xids
        key = error.hw_id, sighting.code
        if key not in counts:
            strange = error.gpu is None or error.judgement.nature is Nature.UNKNOWN
            if strange and self._unknown_series >= _UNKNOWN_SERIES:
                return False
            self._unknown_series += strange
        counts[key] = counts.get(key, 0) + 1
        self.changes += 1
        if not sighting.switch:
            level = error.hw_id, error.judgement.urgency
            self.by_urgency[level] = self.by_urgency.get(level, 0) + 1
        return True

    def _group(self, error: Error) -> int:
        """Add an error to its burst; return how many of its kind the burst has, 0 beyond its bounds."""
        sighting, urgency = error.sighting, error.judgement.urgency
        name = title(sighting)
        if self._worst is None or urgency > self._worst[0]:
            self._worst = urgency, name
        return self.bursts.take(sighting.time, (error.hw_id, name), urgency)


def title(sighting: Sighting) -> str:
    """Return how people call an error."""
    return f"{'SXID' if sighting.switch else 'XID'} {sighting.code}"


def _worth_telling(error: Error, repeats: int, told: int) -> bool:
    pages = error.judgement.urgency is Urgency.PAGE
    first = 0 < repeats <= TOLD_PER_KIND or (pages and repeats == 0)
    return first and told < TOLD_AT_ONCE * (2 if pages else 1)


def _of_switch(sighting: Sighting) -> Judgement:
    """Judge an SXID by the word in its line, as NVIDIA's fabric manager does.

    A fatal one wants all GPUs of the fabric's partition reset (NVIDIA Fabric Manager User Guide).
    """
    simulated = made_to_test(sighting.text)
    if sighting.fatal and not simulated:
        return Judgement("fatal NVSwitch error", Nature.LINK, Action.RESET_GPU, Urgency.PAGE)
    return Judgement("NVSwitch error", Nature.LINK, Action.IGNORE, Urgency.INFO, simulated)
