"""The collector of the kernel log: reads what is new in it and tells the ledger of XIDs.

XIDs are counted where what NVML hears is counted too; processes that the kernel killed for want of memory
are counted here.
"""

import asyncio
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from agent.catalogue import events, system
from agent.catalogue.attributes import CONTAINER_ID, OOM_LIMIT, PROCESS_ID, PROCESS_NAME
from agent.collector import Unavailable
from agent.collectors.kernel.cursor import Cursor
from agent.collectors.kernel.kmsg import PATH, Kmsg
from agent.collectors.kernel.lines import BrokenLine, Line, LocatedLine, XidLine, read
from agent.collectors.kernel.log import KernelLog, Portion, Record
from agent.collectors.kernel.log_file import LogFile
from agent.collectors.kernel.oom_kills import CGROUP, HOST, OomKill, OomKills
from agent.snapshot import Batch, Event, Problem, Reading
from agent.xid.ledger import XidLedger
from agent.xid.sighting import Sighting

_PORTIONS: Final = 8
"""A run reads no more portions: a flood must not keep it from ending, and the next run goes on."""
_BROKEN_TOLD: Final = 20
"""Unreadable lines that a run reports one by one."""
_KILLS_TOLD: Final = 20
"""Killed processes that a run tells one by one; the rest is counted."""


def kernel_log(path: Path, clock: Callable[[], float]) -> KernelLog:
    """Return what reads ``path``: the kernel's device, or a file that a daemon writes."""
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except OSError:
        regular = path != PATH
    return LogFile(path, clock=clock) if regular else Kmsg(path)


_LOOK_AGAIN: Final = 0.5
"""Seconds between two looks at a log that does not say when something is written to it."""


class KernelCollector:
    """Reads ``path`` from where it was left, when something is written to it.

    ``state_dir`` is where the position outlives the agent; without it an agent that starts begins at the
    end of the log. ``interval`` and ``deadline`` are seconds, ``clock`` gives Unix seconds. Idle, a run is
    one read that finds nothing.
    """

    name = "kernel"

    def __init__(
        self,
        ledger: XidLedger,
        *,
        path: Path = PATH,
        state_dir: Path | None = None,
        interval: float = 5.0,
        deadline: float = 5.0,
        clock: Callable[[], float] = time.time,
        log: KernelLog | None = None,
    ) -> None:
        self.interval = interval
        self.deadline = deadline
        self._ledger = ledger
        self._path = path
        self._cursor = Cursor(state_dir)
        self._clock = clock
        self._given = log
        self._log: KernelLog | None = None
        self._oom_kills = OomKills()
        self._killed: Counter[str] = Counter({HOST: 0, CGROUP: 0})

    async def collect(self) -> Batch:
        """Tell the ledger what is new. See `agent.collector.Collector.collect`."""
        try:
            return await self._collect()
        except (OSError, Unavailable):
            await self.close()
            raise

    async def news(self) -> None:
        """Return when there is something to read. See `agent.collector.Heralding`."""
        if self._log is None:
            await asyncio.Event().wait()  # nothing is known of it before its turn
            return
        descriptor = self._log.descriptor()
        if descriptor is None or not await _readable(descriptor):
            await asyncio.sleep(_LOOK_AGAIN)

    async def close(self) -> None:
        """Close the log."""
        self._ledger.deaf("kernel")
        if self._log is not None:
            self._log.close()
            self._log = None

    async def _collect(self) -> Batch:
        problems: list[Problem] = []
        kills: list[Event] = []
        log = self._open(problems, kills)
        for _ in range(_PORTIONS):
            portion = log.read()
            self._report(log, portion, problems, kills)
            if not portion.more:
                break
            await asyncio.sleep(0)  # a flood of lines must not stop everything else
        readings = (Reading(system.OOM_KILLS, (limit,), n) for limit, n in self._killed.items())
        return Batch(self._clock(), tuple(readings), tuple(problems), tuple(kills[:_KILLS_TOLD]))

    def _open(self, problems: list[Problem], kills: list[Event]) -> KernelLog:
        """Open the log, and keep where it begins: what is written while the agent is down is news."""
        if self._log is None:
            log = self._given or kernel_log(self._path, self._clock)
            log.open(self._cursor.load(str(self._path)))
            self._log = log
            self._report(log, log.read(), problems, kills, always=True)
        return self._log

    def _report(
        self,
        log: KernelLog,
        portion: Portion,
        problems: list[Problem],
        kills: list[Event],
        *,
        always: bool = False,
    ) -> None:
        """Tell what a portion holds, XIDs to the ledger, after keeping that it was read."""
        problems += portion.problems
        now = self._clock()
        sightings, broken = _sightings(portion.records, now, self._ledger)
        if portion.records or always:
            failed = self._cursor.save(str(self._path), log.position())
            problems += (failed,) if failed else ()
        problems += [
            Problem("kernel_line_unreadable", str(self._path), line.text)
            for line in broken[:_BROKEN_TOLD]
        ]
        kills += self._kills(portion.records, now)
        self._ledger.hear("kernel", now, sightings)

    def _kills(self, records: Iterable[Record], now: float) -> list[Event]:
        """Count who was killed, and return an event of each."""
        told: list[Event] = []
        for record in records:
            for line in record.message.decode("utf-8", "replace").split("\n"):
                kill = self._oom_kills.read(line)
                if kill is not None:
                    self._killed[kill.limit] += 1
                    told.append(_kill_event(kill, now - (record.age or 0.0)))
        return told


async def _readable(descriptor: int) -> bool:
    """Wait until there is something to read; return at once and false where that cannot be waited for."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    try:
        loop.add_reader(descriptor, ready.set)
    except (OSError, ValueError, NotImplementedError):  # a regular file, which is always readable
        return False
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)
    return True


def _sightings(
    records: Iterable[Record], now: float, ledger: XidLedger
) -> tuple[list[Sighting], list[BrokenLine]]:
    sightings: list[Sighting] = []
    broken: list[BrokenLine] = []
    for record in records:
        at = now - (record.age or 0.0)
        for line in _lines(record.message):
            match line:
                case XidLine():
                    sightings.append(_sighting(line, at))
                case LocatedLine(pci, uuid):
                    ledger.locate(pci, uuid)
                case BrokenLine():
                    broken.append(line)
    return sightings, broken


def _lines(message: bytes) -> list[Line]:
    text = message.decode("utf-8", "replace")
    return [line for part in text.split("\n") for line in read(part)] if text else []


def _sighting(line: XidLine, at: float) -> Sighting:
    return Sighting(
        source="kernel",
        code=line.code,
        time=at,
        since=at,
        pci=line.pci,
        text=line.text,
        pid=line.pid,
        process=line.process,
        switch=line.switch,
        fatal=line.fatal,
    )


def _kill_event(kill: OomKill, at: float) -> Event:
    held = "" if kill.resident is None else f", which held {kill.resident / 1024**3:.1f} GiB"
    limit = {HOST: "the node was out of memory", CGROUP: "its control group was at its limit"}
    why = limit.get(kill.limit, "out of memory")
    who = f"{kill.process or 'a process'} (pid {kill.pid})"
    where = f" of container {kill.container[:12]}" if kill.container else ""
    return Event(
        events.OOM_KILL,
        at,
        f"The kernel killed {who}{where}{held}: {why}",
        (
            (OOM_LIMIT.key, kill.limit),
            (PROCESS_ID.key, kill.pid),
            (PROCESS_NAME.key, kill.process),
            (CONTAINER_ID.key, kill.container),
        ),
    )
