"""The last XID of each GPU, which is what DCGM tells instead of counting them."""

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from agent.catalogue import attributes, gpu
from agent.snapshot import Distribution, Event, Snapshot


class _Seen(NamedTuple):
    """The last XID when the GPU had counted this many."""

    code: int
    counted: float


class LastXids:
    """Follows the snapshots. A snapshot has the newest events only, so what was last is remembered.

    Errors that somebody made to test something are no XIDs here: whoever alerts on the number would be
    paged.
    """

    def __init__(self) -> None:
        self._last: dict[str, _Seen] = {}

    def update(self, snapshot: Snapshot) -> dict[str, int]:
        """Return the last code by UUID, 0 before the first, of the GPUs whose XIDs are counted.

        A GPU is absent whose last one cannot be known: several codes counted, and no event left of any.
        """
        told = _told(snapshot.events)
        last: dict[str, _Seen] = {}
        for uuid, counts in _counts(snapshot).items():
            code = self._code(uuid, counts, told.get(uuid))
            if code is not None:
                last[uuid] = _Seen(code, sum(counts.values()))
        self._last = last
        return {uuid: seen.code for uuid, seen in last.items()}

    def _code(self, uuid: str, counts: Mapping[int, float], told: int | None) -> int | None:
        if told is not None:
            return told
        counted = [code for code, count in counts.items() if count]
        if len(counted) <= 1:
            return counted[0] if counted else 0
        before = self._last.get(uuid)
        return before.code if before and before.counted == sum(counts.values()) else None


def _told(events: tuple[Event, ...]) -> dict[str, int]:
    """Return the code of the newest event by UUID."""
    told: dict[str, int] = {}
    for event in events:
        known = dict(event.attributes)
        uuid, code = known.get(attributes.HW_ID.key), known.get(attributes.XID.key)
        if uuid and code is not None and not known.get(attributes.XID_SIMULATED.key):
            told[str(uuid)] = int(code)
    return told


def _counts(snapshot: Snapshot) -> dict[str, dict[int, float]]:
    counts: defaultdict[str, dict[int, float]] = defaultdict(dict)
    for batch in snapshot.batches.values():
        for metric, series, value in batch.readings:
            if metric is gpu.XID_EVENTS and not isinstance(value, Distribution):
                counts[series[0]][int(series[1])] = value
    return dict(counts)
