"""Puts a snapshot together: what is believed of each collector, and what the agent says of itself."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from agent.cumulative import Starts
from agent.introspection import (
    collector_readings,
    event_readings,
    exporter_readings,
    process_readings,
)
from agent.journal import Journal
from agent.judging import Judging
from agent.moves import moves
from agent.peers.watch import PeerWatch
from agent.precedence import Precedence
from agent.run import Run
from agent.snapshot import Batch, CollectorState, ExporterState, Reading, SeriesKey, Snapshot

ITSELF: Final = "self"
PEERS: Final = "peers"


class Assembly:
    """Makes snapshots; where two of ``runs`` have a series, the first one's is exported.

    ``runs`` may change between snapshots.

    ``exporters`` is asked for the state of the exporters at each snapshot; ``clock`` gives Unix seconds.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        journal: Journal,
        exporters: Callable[[], tuple[ExporterState, ...]],
        clock: Callable[[], float],
    ) -> None:
        self._runs = runs
        self._journal = journal
        self._exporters = exporters
        self._clock = clock
        self._started_at = clock()
        self._peers = PeerWatch()
        self._own: tuple[Reading, ...] = ()
        self._own_layout = object()
        self._own_starts = Starts()
        self._counted = -1
        self._event_readings: tuple[Reading, ...] = ()
        self._overlaps_told: set[str] = set()
        self._disjoint: tuple[frozenset[SeriesKey], ...] = ()
        """Keys, by collector, of which no two have one in common."""
        self._merged: tuple[Mapping[SeriesKey, float], ...] = ()
        """Of what `_starts` was made."""
        self._starts: Mapping[SeriesKey, float] = {}

    def assemble(self, sequence: int) -> Snapshot:
        """Return a snapshot of what is known now."""
        now = self._clock()
        with_values = [run for run in self._runs if run.judging.batch is not None]
        batches, samples = self._merge(with_values)
        peers = self._peers.observe(now, batches.values())
        self._journal.take(peers.events)
        if peers.readings:
            batches[PEERS] = peers
        states, exporters = tuple(run.state for run in self._runs), self._exporters()
        batches[ITSELF] = self._itself(now, states, exporters)
        return Snapshot(
            sequence=sequence,
            taken_at=now,
            batches=batches,
            collectors=states,
            exporters=exporters,
            events=self._journal.events,
            event_total=self._journal.total,
            starts=self._all_starts([run.judging for run in with_values]),
            samples=samples,
        )

    def forget(self, collector: str) -> None:
        """Forget what was told of a collector that is not run any more."""
        self._overlaps_told.discard(collector)

    def _itself(
        self,
        now: float,
        states: tuple[CollectorState, ...],
        exporters: tuple[ExporterState, ...],
    ) -> Batch:
        """Return what the agent says of itself."""
        own = Batch(
            now,
            (
                *process_readings(now, self._started_at),
                *collector_readings(states, self._journal.problems),
                *exporter_readings(exporters),
                *self._events(),
            ),
        )
        if moves(own.readings, self._own) is None:
            self._own_layout = object()
        self._own = own.readings
        self._own_starts.follow(own, self._own_layout)
        return own

    def _events(self) -> tuple[Reading, ...]:
        """Return the counters of events, the same objects until one happens."""
        if self._counted != self._journal.total:
            self._counted = self._journal.total
            self._event_readings = tuple(event_readings(self._journal.counts))
        return self._event_readings

    def _merge(self, runs: Sequence[Run]) -> tuple[dict[str, Batch], dict[str, Batch]]:
        """Return what is exported and, where it differs, what was sampled last: no series twice."""
        folded = {run.collector.name: run.judging.folded for run in runs}
        batches = {name: batch for name, batch in folded.items() if batch is not None}
        samples = {
            run.collector.name: run.judging.batch
            for run in runs
            if run.judging.batch is not None and run.judging.batch is not run.judging.folded
        }
        keys = tuple(run.judging.keys for run in runs)
        if not _same(keys, self._disjoint):
            self._disjoint = keys if self._sort_out(runs, batches, samples) else ()
        return batches, samples

    def _sort_out(
        self, runs: Sequence[Run], batches: dict[str, Batch], samples: dict[str, Batch]
    ) -> bool:
        """Leave out what collectors before know; return whether there was nothing to leave out."""
        precedence = Precedence(self._overlaps_told)
        disjoint = True
        for run in runs:
            name, keys = run.collector.name, run.judging.keys
            for kind in (batches, samples):
                if name in kind:
                    fresh = precedence.without_known(name, kind[name], keys)
                    disjoint = disjoint and fresh is kind[name]
                    kind[name] = fresh
            precedence.add(keys)
        return disjoint

    def _all_starts(self, judgings: Sequence[Judging]) -> Mapping[SeriesKey, float]:
        """Return the starts of all series, those of the collector that stands last winning."""
        parts = (*(judging.starts for judging in judgings), self._own_starts.starts)
        if not _same(parts, self._merged):
            merged: dict[SeriesKey, float] = {}
            for part in parts:
                merged |= part
            self._merged, self._starts = parts, merged
        return self._starts


def _same(one: Sequence[object], other: Sequence[object]) -> bool:
    """Whether two rows are of the very same objects."""
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))
