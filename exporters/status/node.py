"""The whole node as one view, from a snapshot and the history beside it. Pure."""

from typing import Final

from agent.catalogue import itself
from agent.snapshot import CollectorState, Event, ExporterState, Snapshot, Status
from exporters.status import words
from exporters.status.gpus import gpu_views
from exporters.status.headlines import headlines
from exporters.status.history import History
from exporters.status.lookup import Lookup
from exporters.status.model import (
    SCHEMA,
    AgentView,
    CollectorView,
    Counts,
    EventView,
    ExporterView,
    GpuView,
    Level,
    NodeView,
    ProblemView,
    ServerView,
)
from exporters.status.servers import server_views

EVENTS_SHOWN: Final = 50
SILENT: Final = 60.0
"""Seconds without a success after which the last error of an exporter counts as its state."""

_LEVELS: Final = {
    Status.OK: Level.OK,
    Status.UNAVAILABLE: Level.OFF,
    Status.FAILED: Level.LOST,
    Status.STALLED: Level.LOST,
}


def node_view(
    snapshot: Snapshot, history: History, *, node: str, cluster: str, now: float
) -> NodeView:
    """Return all that is known of the node; ``now`` (Unix seconds) tells how old it is."""
    lookup = Lookup(snapshot, history)
    gpus = gpu_views(snapshot, lookup)
    servers = server_views(lookup, snapshot.taken_at)
    collectors = tuple(_collector(state) for state in snapshot.collectors)
    exporters = tuple(_exporter(state, snapshot.taken_at) for state in snapshot.exporters)
    sentences = headlines(gpus, servers, collectors, exporters)
    return NodeView(
        schema=SCHEMA,
        node=node,
        cluster=cluster,
        sequence=snapshot.sequence,
        taken_at=snapshot.taken_at,
        age=max(0.0, now - snapshot.taken_at),
        level=_worst(gpus, servers, collectors, exporters),
        headlines=sentences,
        counts=_counts(gpus),
        gpus=gpus,
        servers=servers,
        events=tuple(_event(event) for event in reversed(snapshot.events[-EVENTS_SHOWN:])),
        event_total=snapshot.event_total,
        collectors=collectors,
        exporters=exporters,
        agent=_agent(lookup),
    )


def _counts(gpus: tuple[GpuView, ...]) -> Counts:
    levels = [gpu.level for gpu in gpus]
    return Counts(
        ok=levels.count(Level.OK),
        attention=levels.count(Level.ATTENTION),
        lost=levels.count(Level.LOST),
    )


def _worst(
    *groups: tuple[GpuView, ...]
    | tuple[ServerView, ...]
    | tuple[CollectorView, ...]
    | tuple[ExporterView, ...],
) -> Level:
    levels = {view.level for group in groups for view in group}
    return next((level for level in (Level.LOST, Level.ATTENTION) if level in levels), Level.OK)


def _collector(state: CollectorState) -> CollectorView:
    level = _LEVELS[state.status]
    if level is Level.OK and state.problems:
        level = Level.ATTENTION
    return CollectorView(
        name=state.name,
        status=state.status.value,
        level=level,
        since=state.since,
        detail=state.detail,
        duration=state.duration,
        last_success=state.last_success,
        problems=tuple(ProblemView(*problem) for problem in state.problems),
    )


def _exporter(state: ExporterState, now: float) -> ExporterView:
    level, verdict = _judge(state, now)
    return ExporterView(
        name=state.name,
        signal=state.signal,
        level=level,
        verdict=verdict,
        sent=state.sent,
        failed=state.failed,
        dropped=state.dropped,
        queued=state.queued,
        last_success=state.last_success,
        last_error=state.last_error,
    )


def _judge(state: ExporterState, now: float) -> tuple[Level, str]:
    """Return how an exporter is doing.

    Its last error counts while something waits to be sent, or while nothing was accepted for long.
    """
    silent = state.last_success is None or now - state.last_success > SILENT
    if state.last_error and (silent or state.queued):
        return Level.LOST, f"Failing: {state.last_error}"
    if state.dropped:
        return Level.ATTENTION, f"{words.whole(state.dropped)} items dropped since the start"
    return Level.OK, "Sends" if state.last_success is not None else "Nothing sent yet"


def _event(event: Event) -> EventView:
    return EventView(
        time=event.time,
        kind=event.kind.name,
        severity=event.kind.severity.value,
        body=event.body,
        attributes=dict(event.attributes),
    )


def _agent(lookup: Lookup) -> AgentView:
    version, python = next(iter(lookup.rows(itself.INFO)), ("", ""))
    return AgentView(
        version=version,
        python=python,
        uptime=lookup.number(itself.PROCESS_UPTIME),
        cpu=lookup.number(itself.PROCESS_CPU),
        memory=lookup.number(itself.PROCESS_MEMORY),
    )
