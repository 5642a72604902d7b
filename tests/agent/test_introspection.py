"""What the agent says of itself."""

import os
from pathlib import Path

import pytest

import agent
from agent import introspection
from agent.catalogue import EVENT_KINDS, itself
from agent.introspection import (
    collector_readings,
    event_readings,
    exporter_readings,
    process_readings,
)
from agent.snapshot import CollectorState, ExporterState, Reading, Status


def test_a_collector_is_in_exactly_one_state() -> None:
    """Of the states of a collector one is 1 and the rest are 0, and `up` is 1 for ok alone."""
    for status in Status:
        readings = collector_readings([CollectorState("nvml", status, 1.0)], {})

        states = {r.attributes[1]: r.value for r in readings if r.metric is itself.COLLECTOR_STATE}
        up = [r.value for r in readings if r.metric is itself.COLLECTOR_UP]
        assert states == {other.value: int(other is status) for other in Status}
        assert up == [int(status is Status.OK)]


def test_what_a_collector_has_not_done_is_absent() -> None:
    """A collector that never ran has no duration and no last success, instead of zeros."""
    readings = collector_readings([CollectorState("nvml", Status.UNAVAILABLE, 1.0)], {})

    metrics = {reading.metric for reading in readings}
    assert metrics == {itself.COLLECTOR_UP, itself.COLLECTOR_STATE}


def test_problems_are_counted_by_collector_and_reason() -> None:
    """Each kind of problem is a counter of its own."""
    readings = collector_readings([], {("nvml", "not_supported"): 3, ("dcgm", "timeout"): 1})

    assert readings == [
        Reading(itself.COLLECTOR_PROBLEMS, ("nvml", "not_supported"), 3),
        Reading(itself.COLLECTOR_PROBLEMS, ("dcgm", "timeout"), 1),
    ]


def test_each_exporter_has_four_readings_per_signal() -> None:
    """Sent, failed, dropped and queued are told for each exporter and signal."""
    state = ExporterState("otlp/c:4318", "logs", sent=1, failed=2, dropped=3, queued=4)

    readings = exporter_readings([state])

    assert [reading.value for reading in readings] == [1, 2, 3, 4]
    assert {reading.attributes for reading in readings} == {("otlp/c:4318", "logs")}


def test_every_kind_of_event_has_a_counter() -> None:
    """Kinds of events that have not happened are there at 0."""
    readings = event_readings({"gpu.lost": 2})

    assert {r.attributes[0]: r.value for r in readings} == {
        kind.name: 2 if kind.name == "gpu.lost" else 0 for kind in EVENT_KINDS
    }


def test_the_process_is_measured() -> None:
    """CPU time, memory and uptime are those of this process, under its version."""
    readings = {reading.metric: reading for reading in process_readings(1060.0, 1000.0)}

    times = os.times()
    assert readings[itself.INFO].attributes[0] == agent.__version__
    assert readings[itself.PROCESS_UPTIME].value == 60.0
    assert readings[itself.PROCESS_CPU].value == pytest.approx(times.user + times.system, abs=0.5)
    resident = readings[itself.PROCESS_MEMORY].value
    assert isinstance(resident, int)
    assert 2**20 < resident < 2**34


def test_uptime_is_never_negative() -> None:
    """A clock that was set back gives an uptime of 0, not less."""
    readings = {reading.metric: reading.value for reading in process_readings(900.0, 1000.0)}

    assert readings[itself.PROCESS_UPTIME] == 0.0


def test_memory_is_absent_without_proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where there is no /proc the memory is absent and the rest is there."""
    introspection._statm.cache_clear()
    monkeypatch.setattr("agent.introspection._STATM", tmp_path / "statm")

    metrics = {reading.metric for reading in process_readings(2.0, 1.0)}

    assert itself.PROCESS_MEMORY not in metrics
    assert itself.PROCESS_CPU in metrics
