"""What the agent says of itself, as readings like any other."""

import os
import platform
import resource
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import Final

import agent
from agent.catalogue import EVENT_KINDS, itself
from agent.snapshot import CollectorState, ExporterState, Reading, Status

_PAGE: Final = resource.getpagesize()
_STATM: Final = "/proc/self/statm"
_PYTHON: Final = platform.python_version()


def collector_readings(
    states: Iterable[CollectorState], problems: Mapping[tuple[str, str], int]
) -> list[Reading]:
    """Return the readings about collectors; ``problems`` counts by collector and reason."""
    readings = [Reading(itself.COLLECTOR_PROBLEMS, key, count) for key, count in problems.items()]
    for state in states:
        name = (state.name,)
        readings += _status(state.name, state.status)
        if state.duration is not None:
            readings.append(Reading(itself.COLLECTOR_DURATION, name, state.duration))
        if state.last_success is not None:
            readings.append(Reading(itself.COLLECTOR_LAST_SUCCESS, name, state.last_success))
    return readings


@lru_cache(maxsize=1024)
def _status(collector: str, is_so: Status) -> tuple[Reading, ...]:
    """Return what a status says, the same objects each time."""
    return (
        Reading(itself.COLLECTOR_UP, (collector,), int(is_so is Status.OK)),
        *(
            Reading(itself.COLLECTOR_STATE, (collector, status.value), int(is_so is status))
            for status in Status
        ),
    )


def exporter_readings(states: Iterable[ExporterState]) -> list[Reading]:
    """Return the readings about exporters that push."""
    readings: list[Reading] = []
    for state in states:
        key = (state.name, state.signal)
        readings += (
            Reading(itself.EXPORT_ITEMS, key, state.sent),
            Reading(itself.EXPORT_FAILED, key, state.failed),
            Reading(itself.EXPORT_DROPPED, key, state.dropped),
            Reading(itself.EXPORT_QUEUE, key, state.queued),
        )
    return readings


def event_readings(counts: Mapping[str, int]) -> list[Reading]:
    """Return a counter per kind of event, at 0 for what has not happened yet."""
    return [Reading(itself.EVENTS, (kind.name,), counts.get(kind.name, 0)) for kind in EVENT_KINDS]


@cache
def _statm() -> int:
    """Return the open file, which is read twice a second for as long as the agent runs."""
    return os.open(_STATM, os.O_RDONLY | os.O_CLOEXEC)


def process_readings(now: float, started_at: float) -> list[Reading]:
    """Return what the agent's process costs. ``now`` and ``started_at`` are Unix seconds."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    readings = [
        Reading(itself.INFO, (agent.__version__, _PYTHON), 1),
        Reading(itself.SNAPSHOT_TIMESTAMP, (), now),
        Reading(itself.PROCESS_CPU, (), usage.ru_utime + usage.ru_stime),
        Reading(itself.PROCESS_UPTIME, (), max(0.0, now - started_at)),
    ]
    try:
        resident = int(os.pread(_statm(), 128, 0).split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return readings  # no /proc: absent is absent
    readings.append(Reading(itself.PROCESS_MEMORY, (), resident))
    return readings
