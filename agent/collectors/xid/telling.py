"""From judged errors and bursts to events and readings of the catalogue."""

from collections.abc import Iterable, Iterator
from typing import Final

from agent.catalogue import events, gpu, gpu_errors
from agent.catalogue.attributes import (
    BURST_CODES,
    BURST_ERRORS,
    BURST_SECONDS,
    DETAIL,
    GPU_PCI,
    HW_DRIVER,
    HW_ID,
    PROCESS_ID,
    PROCESS_NAME,
    SWITCH_PCI,
    SXID,
    URGENCY,
    XID,
    XID_ACTION,
    XID_FOLLOWS,
    XID_NAME,
    XID_NOTE,
    XID_SIMULATED,
    XID_SOURCE,
)
from agent.catalogue.metric import Attribute, EventKind
from agent.snapshot import Batch, Event, Problem, Reading
from agent.xid.account import Account, Error, News, title
from agent.xid.bursts import Burst
from agent.xid.ledger import XidLedger
from agent.xid.record import Action, Urgency

_KINDS: Final = {
    Urgency.PAGE: events.GPU_XID_FATAL,
    Urgency.TICKET: events.GPU_XID_TICKET,
    Urgency.INFO: events.GPU_XID,
}
_MEANING: Final = {
    Action.RESTART_APP: "restart the application",
    Action.RESET_GPU: "reset the GPU",
    Action.RESTART_VM: "restart the VM",
    Action.RESTART_BM: "reboot the machine",
    Action.DRAIN_P2P: "drain what uses peer-to-peer",
    Action.DRAIN_AND_RESET: "drain, then reset the GPU",
    Action.RECOVER_IMEX: "recover the IMEX domain",
    Action.RESET_BUS: "reset the bus",
    Action.CHECK_MECHANICALS: "check seating and power cables",
    Action.WORKFLOW_48: "reset the GPU, then check its memory",
    Action.WORKFLOW_NVLINK: "find the link's fault, then reset the GPU",
}
_CODES_TOLD: Final = 20
_REFUSED_TOLD: Final = 20
"""Refused sightings that a run reports one by one."""

Value = str | int | float


class Teller:
    """Makes a batch of what a ledger has; keeps its readings as long as nothing happens."""

    def __init__(self, ledger: XidLedger) -> None:
        self._ledger = ledger
        self._shape = (-1, -1)
        self._readings: tuple[Reading, ...] = ()

    def batch(self, now: float) -> Batch:
        """Settle the ledger at ``now`` (Unix seconds)."""
        news = self._ledger.settle(now)
        account = self._ledger.account
        shape = account.changes, len(account.xids)
        if shape != self._shape:
            self._shape, self._readings = shape, tuple(readings(account))
        return Batch(now, self._readings, _problems(news), tell(news.errors, news.bursts))


def error_event(error: Error) -> Event:
    """Return the event of one error."""
    return _switch_event(error) if error.sighting.switch else _gpu_event(error)


def burst_event(burst: Burst) -> Event:
    """Return the event of a burst that is over, at the time of its last error."""
    codes: dict[str, int] = {}
    for (_, name), count in burst.kinds.items():
        codes[name] = codes.get(name, 0) + count
    names = sorted(codes, key=lambda name: (-codes[name], name))
    devices = len({device for device, _ in burst.kinds})
    told = ", ".join(f"{name} ({codes[name]})" for name in names[:_CODES_TOLD])
    body = (
        f"A burst of {burst.errors} driver errors on {devices} device{'s' * (devices != 1)} is over, "
        f"worst {burst.urgency.word}: {told}"
    )
    return Event(
        events.GPU_XID_BURST,
        burst.last,
        body,
        (
            (URGENCY.key, burst.urgency.word),
            (BURST_ERRORS.key, burst.errors),
            (BURST_SECONDS.key, round(burst.last - burst.began, 3)),
            (BURST_CODES.key, ", ".join(names[:_CODES_TOLD])),
        ),
    )


def readings(account: Account) -> Iterator[Reading]:
    """Return all counters."""
    for (hw_id, code), count in account.xids.items():
        yield Reading(gpu.XID_EVENTS, (hw_id, str(code)), count)
    for (hw_id, urgency), count in account.by_urgency.items():
        yield Reading(gpu_errors.XID_FAULTS, (hw_id, urgency.word), count)
    for (switch, code), count in account.sxids.items():
        yield Reading(gpu_errors.SXID_EVENTS, (switch, str(code)), count)
    for urgency, count in account.bursts.counts.items():
        yield Reading(gpu_errors.XID_BURSTS, (urgency.word,), count)


def _gpu_event(error: Error) -> Event:
    sighting, judgement = error.sighting, error.judgement
    return Event(
        _KINDS[judgement.urgency],
        sighting.time,
        _body(error),
        _attributes(
            (HW_ID, error.hw_id),
            (XID, sighting.code),
            (XID_NAME, judgement.name),
            (URGENCY, judgement.urgency.word),
            (XID_ACTION, judgement.action.value),
            (XID_NOTE, judgement.note),
            (XID_FOLLOWS, error.follows),
            (XID_SIMULATED, "true" if judgement.simulated else ""),
            (XID_SOURCE, sighting.source),
            (GPU_PCI, sighting.pci or (error.gpu.pci if error.gpu else "")),
            (HW_DRIVER, error.gpu.driver if error.gpu else ""),
            (PROCESS_ID, sighting.pid),
            (PROCESS_NAME, sighting.process),
            (DETAIL, sighting.text),
        ),
    )


def _switch_event(error: Error) -> Event:
    sighting, judgement = error.sighting, error.judgement
    fatal = judgement.urgency is Urgency.PAGE
    kind: EventKind = events.NVSWITCH_SXID_FATAL if fatal else events.NVSWITCH_SXID
    said = f": {sighting.text}" if sighting.text else ""
    return Event(
        kind,
        sighting.time,
        f"NVSwitch {sighting.pci} reported {title(sighting)}{said}",
        _attributes(
            (SWITCH_PCI, sighting.pci),
            (SXID, sighting.code),
            (URGENCY, judgement.urgency.word),
            (XID_ACTION, judgement.action.value),
            (XID_SIMULATED, "true" if judgement.simulated else ""),
            (DETAIL, sighting.text),
        ),
    )


def _body(error: Error) -> str:
    """Return one sentence: who, what, of which process, and what to do."""
    sighting, judgement = error.sighting, error.judgement
    who = (error.gpu.title or error.hw_id) if error.gpu else _nameless(error)
    process = sighting.process or (f"pid {sighting.pid}" if sighting.pid else "")
    parts = [f"{who} reported {title(sighting)} ({judgement.name})"]
    if process:
        parts.append(f"while {process} used it")
    sentence = " ".join(parts)
    if judgement.note:
        sentence += f"; {judgement.note}"
    if error.follows:
        sentence += f"; it follows {error.follows}"
    if judgement.simulated:
        return f"{sentence}; it was made to test something"
    meaning = _MEANING.get(judgement.action)
    return f"{sentence}: {meaning}" if meaning else sentence


def _nameless(error: Error) -> str:
    if error.sighting.pci:
        return f"The GPU at {error.sighting.pci}"
    return error.hw_id or "A GPU that the driver does not name"


def _attributes(
    *pairs: tuple[Attribute, Value | None],
) -> tuple[tuple[str, Value], ...]:
    """Return the pairs that have a value, by key."""
    return tuple((attribute.key, value) for attribute, value in pairs if value not in (None, ""))


def tell(errors: Iterable[Error], bursts: Iterable[Burst]) -> tuple[Event, ...]:
    """Return the events of errors and of bursts that are over, in the order of their time."""
    told = [*map(error_event, errors), *map(burst_event, bursts)]
    return tuple(sorted(told, key=lambda event: event.time))


def _problems(news: News) -> tuple[Problem, ...]:
    refused = [
        Problem("xid_refused", one.hw_id or one.pci, f"{title(one)} from {one.source}")
        for one in news.refused[:_REFUSED_TOLD]
    ]
    if news.lost:
        refused.append(
            Problem("xid_overflow", "", f"{news.lost} errors came too fast to be counted")
        )
    return tuple(refused)
