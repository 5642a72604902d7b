"""Pushes the snapshot to one destination: metrics each interval, events as they happen."""

import asyncio
import logging
from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from agent.snapshot import ExporterState, Snapshot
from exporters.otlp.clock import Clock
from exporters.otlp.delivery import Encoded, Transport
from exporters.otlp.http_transport import HttpTransport
from exporters.otlp.identity import identity
from exporters.otlp.logs import event_request
from exporters.otlp.metrics import MOST_POINTS, SLICE, MetricEncoder, Slice, joined, sliced
from exporters.otlp.sender import Sender
from exporters.otlp.settings import GRPC, Settings, SettingsError, Target, unusable_files

FIRST_EXPORT: Final = 2.0
"""Seconds until the first export, if that is less than the interval: collectors have run once by then."""
LAST_CHANCE: Final = 3.0
"""Seconds for the last requests when the agent ends: less than the 5 s that a preStop hook likes."""

_log = logging.getLogger(__name__)


class Source(Protocol):
    """Where snapshots come from; the sampler is one."""

    snapshot: Snapshot | None

    async def next(self, after: int) -> Snapshot:
        """Wait for a snapshot newer than number ``after`` and return the latest."""
        ...


class OtlpExporter:
    """Exports to the targets of ``settings``. Nothing is opened before `run`.

    Raises `SettingsError` where a file that the settings name, or grpcio, is missing.
    """

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        if problems := unusable_files(settings):
            raise SettingsError(problems)
        self._settings = settings
        self._clock = clock or Clock()
        self._who = identity(settings.node, settings.cluster, settings.resource)
        self._encoder = MetricEncoder(self._who)
        self._senders = tuple(
            Sender(target.name, target.signal, _transport(target), clock=self._clock)
            for target in settings.targets
        )
        self._source: Source | None = None
        self._pushed = 0
        self._events_seen = 0
        self._told_of_encoding = False

    def states(self) -> tuple[ExporterState, ...]:
        """Return how each signal is doing."""
        return tuple(sender.state() for sender in self._senders)

    def endpoints(self) -> Iterator[tuple[str, str, int]]:
        """Yield name, host and port of each receiver that a TCP connection can reach, for `doctor`."""
        places = {
            (target.name, target.endpoint.host, target.endpoint.port)
            for target in self._settings.targets
            if target.endpoint.host
        }
        yield from sorted(places)

    async def run(self, source: Source) -> None:
        """Push until cancelled; requests under way are left to `close`."""
        self._source = source
        async with asyncio.TaskGroup() as tasks:
            for sender in self._senders:
                sender.start()
                tasks.create_task(sender.join())
            tasks.create_task(self._push_metrics(source))
            tasks.create_task(self._push_events(source))

    async def close(self, within: float = LAST_CHANCE) -> None:
        """Offer what is new, try to deliver all that waits for ``within`` seconds, and let go."""
        if self._source is not None and self._source.snapshot is not None:
            await self._export(self._source.snapshot)
            self._offer_events(self._source.snapshot)
        async with asyncio.TaskGroup() as tasks:
            for sender in self._senders:
                tasks.create_task(sender.close(within))

    async def _push_metrics(self, source: Source) -> None:
        """Export on multiples of the interval, never one snapshot twice."""
        interval = self._settings.interval
        due = self._clock.monotonic() + min(FIRST_EXPORT, interval)
        while True:
            await self._clock.sleep(max(0.0, due - self._clock.monotonic()))
            await self._export(await source.next(self._pushed))
            missed = max(0.0, self._clock.monotonic() - due) // interval
            due += interval * (missed + 1)

    async def _push_events(self, source: Source) -> None:
        sequence = 0
        while True:
            snapshot = await source.next(sequence)
            sequence = snapshot.sequence
            self._offer_events(snapshot)

    async def _export(self, snapshot: Snapshot) -> None:
        """Offer a snapshot's metrics, unless that one was; pause between slices for others' sake."""
        senders = [sender for sender in self._senders if sender.signal == "metrics"]
        if not senders or snapshot.sequence <= self._pushed:
            return
        self._pushed = snapshot.sequence
        self._encoder.turn()
        waiting: list[Encoded] = []
        for readings in sliced(snapshot):
            if encoded := self._encoded(readings, snapshot, senders):
                waiting.append(encoded)
            if sum(each.items for each in waiting) > MOST_POINTS - SLICE:
                _offer(senders, joined(waiting))
                waiting = []
            await asyncio.sleep(0)
        if waiting:
            _offer(senders, joined(waiting))

    def _encoded(
        self, readings: Slice, snapshot: Snapshot, senders: Iterable[Sender]
    ) -> Encoded | None:
        try:
            return self._encoder.request(readings, snapshot.starts)
        except Exception:  # noqa: BLE001 - the encoder's is bare; a bad value must not end the agent
            lost = sum(map(len, readings.values()))
            for sender in senders:
                sender.lose(lost)
            if not self._told_of_encoding:
                names = ", ".join(metric.name for metric in readings)
                _log.exception("otlp: %d points lost, one cannot be encoded, of: %s", lost, names)
            self._told_of_encoding = True
            return None

    def _offer_events(self, snapshot: Snapshot) -> None:
        """Offer the events that are new since the last call; those already forgotten are lost."""
        senders = [sender for sender in self._senders if sender.signal == "logs"]
        new = snapshot.event_total - self._events_seen
        self._events_seen = snapshot.event_total
        if not senders or new <= 0:
            return
        events = snapshot.events[-new:]
        for sender in senders:
            sender.lose(new - len(events))
        if events:
            _offer(senders, event_request(events, snapshot.taken_at, self._who))


def _offer(senders: Iterable[Sender], encoded: Encoded) -> None:
    for sender in senders:
        sender.offer(encoded)


def _transport(target: Target) -> Transport:
    if target.protocol == GRPC:
        from exporters.otlp.grpc_transport import GrpcTransport  # noqa: PLC0415 - an extra

        return GrpcTransport(target)
    return HttpTransport(target)
