import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from agent.catalogue import events, gpu, itself
from agent.sampler import Sampler
from agent.snapshot import Batch, Event, Reading, Snapshot
from exporters.otlp.exporter import FIRST_EXPORT, OtlpExporter
from exporters.otlp.metrics import MOST_POINTS, SLICE
from exporters.otlp.settings import Destination, SettingsError, otlp_settings
from tests.exporters import snapshots
from tests.exporters.otlp.hand_clock import HandClock
from tests.otlp_sink import Answer, HttpSink

INTERVAL = 15.0


class Source:
    """Snapshots by hand."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self._published = asyncio.Event()

    def publish(self, snapshot: Snapshot) -> None:
        """Make this the latest snapshot."""
        self.snapshot = snapshot
        self._published.set()
        self._published = asyncio.Event()

    async def next(self, after: int) -> Snapshot:
        """Wait for one newer than ``after``."""
        while self.snapshot is None or self.snapshot.sequence <= after:
            await self._published.wait()
        return self.snapshot


def exporter(url: str, clock: HandClock | None = None, **variables: str) -> OtlpExporter:
    """Return an exporter to one receiver."""
    (settings,) = otlp_settings(
        [Destination(url, "http/protobuf", None, INTERVAL)], variables, node="node-1"
    )
    return OtlpExporter(settings, clock=clock.clock if clock else None)


@asynccontextmanager
async def running(one: OtlpExporter, source: Source | Sampler) -> AsyncIterator[None]:
    """Run an exporter as the agent does: cancel it, then close it."""
    task = asyncio.create_task(one.run(source))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await one.close()


def numbered(sequence: int, *happened: Event, total: int | None = None) -> Snapshot:
    """Return a snapshot whose one value is its number."""
    batch = Batch(1000.0 + sequence, (Reading(gpu.DEVICES, (), sequence),))
    count = len(happened) if total is None else total
    return Snapshot(sequence, 1000.0, {"nvml": batch}, events=happened, event_total=count)


def lost(number: int) -> Event:
    """Return an event with a number."""
    return Event(events.GPU_LOST, float(number), f"GPU {number} cannot be reached")


def values(sink: HttpSink) -> list[float]:
    """Return the values that arrived, in order."""
    return [point.value for point in sink.points()]


def bodies(sink: HttpSink) -> list[str]:
    """Return the sentences of the events that arrived, in order."""
    return [record.body.string_value for record, _ in sink.records()]


async def test_latest_snapshot_leaves_each_interval() -> None:
    """The first export comes early, the next ones on the interval, each with the latest values only."""
    clock, source = HandClock(), Source()
    with HttpSink() as sink:
        one = exporter(sink.url, clock)
        async with running(one, source):
            source.publish(numbered(1))
            source.publish(numbered(2))
            await clock.advance(FIRST_EXPORT - 0.1)
            early = values(sink)
            await clock.advance(0.1)
            await sink.until(lambda: sink.metrics)
            source.publish(numbered(3))
            await clock.advance(INTERVAL - 0.1)
            between = values(sink)
            source.publish(numbered(4))
            await clock.advance(0.1)
            await sink.until(lambda: len(sink.metrics) == 2)

        assert (early, between, values(sink)) == ([], [2], [2, 4])
        metrics, logs = one.states()
        assert (metrics.signal, metrics.sent, metrics.queued) == ("metrics", 2, 0)
        assert (logs.signal, logs.sent) == ("logs", 0)


async def test_snapshot_that_does_not_change_is_not_sent_again() -> None:
    """Where sampling stands still nothing is pushed: old values must not look fresh."""
    clock, source = HandClock(), Source()
    with HttpSink() as sink:
        async with running(exporter(sink.url, clock), source):
            source.publish(numbered(1))
            for _ in range(4):
                await clock.advance(INTERVAL)
            await sink.until(lambda: sink.metrics)
            await clock.advance(INTERVAL)

        assert values(sink) == [1]


async def test_events_leave_at_once_and_once() -> None:
    """An event does not wait for the interval, and no snapshot that still holds it sends it again."""
    clock, source = HandClock(), Source()
    with HttpSink() as sink:
        async with running(exporter(sink.url, clock), source):
            source.publish(numbered(1, lost(1)))
            await sink.until(lambda: sink.logs)
            source.publish(numbered(2, lost(1)))
            source.publish(numbered(3, lost(1), lost(2), lost(3)))
            await sink.until(lambda: len(bodies(sink)) >= 3)
            source.publish(numbered(4, lost(1), lost(2), lost(3)))
            await clock.advance(0)
            assert sink.metrics == []  # not a moment of the interval has passed

        assert bodies(sink) == [f"GPU {number} cannot be reached" for number in (1, 2, 3)]


async def test_events_that_the_snapshot_forgot_count_as_dropped() -> None:
    """More events than a snapshot keeps are lost to late readers, and counted."""
    clock, source = HandClock(), Source()
    with HttpSink() as sink:
        one = exporter(sink.url, clock)
        async with running(one, source):
            source.publish(numbered(1, lost(9), lost(10), total=10))
            await sink.until(lambda: sink.logs)

        assert len(bodies(sink)) == 2
        assert next(state for state in one.states() if state.signal == "logs").dropped == 8


async def test_large_snapshots_leave_in_several_requests() -> None:
    """No request holds more points than receivers are sure to take, and none is lost between them."""
    clock, source = HandClock(), Source()
    readings = tuple(
        Reading(gpu.POWER_LIMIT, (f"GPU-{number}",), number)
        for number in range(MOST_POINTS * 2 + 7)
    )
    with HttpSink() as sink:
        async with running(exporter(sink.url, clock), source):
            source.publish(Snapshot(1, 1.0, {"nvml": Batch(1.0, readings)}))
            await clock.advance(FIRST_EXPORT)
            await sink.until(lambda: len(sink.points()) == len(readings))

        assert len(sink.metrics) == 3
        assert sorted(values(sink)) == list(range(len(readings)))


async def test_everything_of_a_node_arrives() -> None:
    """Readings and events of a whole node go through one exporter."""
    clock, source = HandClock(), Source()
    snapshot = snapshots.full()
    with HttpSink() as sink:
        async with running(exporter(sink.url, clock), source):
            source.publish(snapshot)
            await clock.advance(FIRST_EXPORT)
            await sink.until(lambda: sink.metrics and sink.logs)

        expected = sum(len(batch.readings) for batch in snapshot.batches.values())
        assert len(sink.points()) == expected
        assert bodies(sink) == [event.body for event in snapshot.events]


@pytest.mark.parametrize(
    ("variables", "signals"),
    [
        ({"OTEL_METRICS_EXPORTER": "none"}, ["logs"]),
        ({"OTEL_LOGS_EXPORTER": "none"}, ["metrics"]),
    ],
)
async def test_a_signal_that_is_off_is_not_sent(
    variables: dict[str, str], signals: list[str]
) -> None:
    """A signal that the environment switches off has no sender and no state."""
    source = Source()
    source.publish(numbered(1, lost(1)))
    with HttpSink() as sink:
        one = exporter(sink.url, HandClock(), **variables)
        async with running(one, source):
            await asyncio.sleep(0)

        assert [state.signal for state in one.states()] == signals
        assert sink.paths == [f"/v1/{signal}" for signal in signals]


async def test_the_end_delivers_what_is_new() -> None:
    """Closing sends the last values and the last events, which say why the agent ended."""
    clock, source = HandClock(), Source()
    with HttpSink() as sink:
        async with running(exporter(sink.url, clock), source):
            await clock.advance(FIRST_EXPORT)
            source.publish(numbered(1))
            await sink.until(lambda: sink.metrics)
            source.snapshot = numbered(2, lost(1))

        assert values(sink) == [1, 2]
        assert bodies(sink) == ["GPU 1 cannot be reached"]


async def test_the_end_does_not_wait_for_a_hung_receiver() -> None:
    """A receiver that hangs delays the end of the agent by what is granted and no more."""
    clock, source = HandClock(), Source()
    with HttpSink() as sink:
        sink.script.extend([Answer(hang=True)] * 9)
        one = exporter(sink.url, clock)
        task = asyncio.create_task(one.run(source))
        source.publish(numbered(1, lost(1)))
        await clock.advance(FIRST_EXPORT)
        await sink.until(lambda: len(sink.paths) == 2)
        task.cancel()
        began = time.monotonic()

        await one.close(0.2)

        assert time.monotonic() - began < 5  # its own time-out would be 10 s
        assert [(state.dropped, state.queued) for state in one.states()] == [(1, 0), (1, 0)]


async def test_a_hung_receiver_does_not_hold_up_sampling() -> None:
    """While a receiver hangs the queue grows to its limit and the exporter goes on at its pace."""
    clock, source = HandClock(), Source()
    with HttpSink() as sink:
        sink.script.extend([Answer(hang=True)] * 9)
        one = exporter(sink.url, clock)
        task = asyncio.create_task(one.run(source))
        for number in range(1, 200):
            source.publish(numbered(number))
            await clock.advance(INTERVAL)
        metrics, _ = one.states()
        task.cancel()
        await one.close(0)

        assert metrics.queued == 121
        assert metrics.dropped == 199 - 121
        assert metrics.sent == 0


async def test_a_value_that_cannot_be_encoded_costs_its_slice_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A mistake in one value is counted and told once; what is not beside it still arrives."""
    clock, source = HandClock(), Source()
    good = tuple(Reading(gpu.POWER_LIMIT, (f"GPU-{each}",), 700) for each in range(SLICE))
    bad = Reading(gpu.ENERGY, ("too", "many", "attributes"), 1)
    with HttpSink() as sink:
        one = exporter(sink.url, clock)
        async with running(one, source):
            for number in (1, 2):
                source.publish(Snapshot(number, 1.0, {"nvml": Batch(1.0, (*good, bad))}))
                await clock.advance(INTERVAL)
            await sink.until(lambda: len(sink.metrics) == 2)

        assert len(sink.points()) == 2 * SLICE
        assert one.states()[0].dropped == 2
        assert [record.levelno for record in caplog.records] == [logging.ERROR]
        assert "hw.energy" in caplog.text


async def test_the_sampler_is_a_source() -> None:
    """With the agent's own sampler the push carries what the exporter says of itself."""
    with HttpSink() as sink:
        one = exporter(sink.url)
        sampler = Sampler([], interval=0.05, exporters=one.states)
        sampling = asyncio.create_task(sampler.run())
        async with running(one, sampler):
            await sink.until(lambda: sink.metrics)
        sampling.cancel()
        await asyncio.wait({sampling})

        named = {point.name: point for point in sink.points()}
        assert named[itself.EXPORT_ITEMS.name].attributes["warpwatch.exporter"].startswith("otlp/")
        assert named[itself.SNAPSHOT_TIMESTAMP.name].attributes["k8s.node.name"] == "node-1"
        assert one.states()[0].sent > 0


def test_files_that_are_missing_are_told_before_anything_starts(tmp_path: Path) -> None:
    """An exporter cannot be made with a headers file that is not there."""
    missing = str(tmp_path / "headers")
    (settings,) = otlp_settings([Destination("http://h:1", None, missing)], {})

    with pytest.raises(SettingsError, match=r"headers_file .* No such file"):
        OtlpExporter(settings)


def test_endpoints_name_what_doctor_can_try() -> None:
    """Each receiver is listed once with name, host and port; a socket file is not."""
    http, unix = otlp_settings(
        [Destination("http://[::1]:4318"), Destination("unix:/run/otel.sock", "grpc")], {}
    )

    assert list(OtlpExporter(http).endpoints()) == [("otlp/[::1]:4318", "::1", 4318)]
    assert list(OtlpExporter(unix).endpoints()) == []
