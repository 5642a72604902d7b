"""From an XID line in the kernel log to an event at the OTLP receiver and a counter on the page."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final

from agent.catalogue import gpu
from agent.catalogue.attributes import XID
from tests.bench.agent_process import running_agent
from tests.bench.figures import Figure
from tests.otlp_sink import HttpSink, attributes
from tests.real_parts.programs import eventually, http_get
from tests.simulated_nvml.workshop import SimulatedNode

CODES: Final = (
    8,
    13,
    31,
    32,
    38,
    43,
    45,
    46,
    48,
    61,
    62,
    63,
    64,
    68,
    69,
    74,
    79,
    92,
    94,
    95,
    119,
    120,
)
"""All different, so that each line is an event of its own and raises a counter from 0."""
_BUDGET: Final = 1.0
_STEP: Final = 0.01
_PAUSE: Final = 0.137
"""Seconds between a line that was heard and the next: no multiple of any interval of the agent's."""


def xid_latency(folder: Path, node: SimulatedNode) -> list[Figure]:
    """Write a line for each code and see when it arrives, by the clock of who wrote it."""
    log = folder / "kern.log"
    log.touch()
    with HttpSink() as sink:
        settings: dict[str, Any] = {
            "node": "bench",
            "kernel_log": str(log),
            "otlp": [{"endpoint": sink.url, "interval": 15}],
        }
        with running_agent(folder, settings, environment=node.environment()) as agent:
            page = f"{agent.program.url}/metrics"
            eventually("the GPUs are met", lambda: gpu.INFO.series[0].encode() in http_get(page))
            time.sleep(2)  # until the log is open, and its end is known
            waits = [_one(log, sink, page, number) for number in range(len(CODES))]
    method = f"{len(waits)} lines of a log file, each heard before the next; OTLP at 15 s, page each 10 ms"
    exported, counted = [wait[0] for wait in waits], [wait[1] for wait in waits]
    return [
        Figure("XID line -> event at the receiver, median", median(exported), "s", None, method),
        Figure("XID line -> event at the receiver, max", max(exported), "s", _BUDGET, method),
        Figure("XID line -> counter raised, median", median(counted), "s", None, method),
        Figure("XID line -> counter raised, max", max(counted), "s", _BUDGET, method),
    ]


def _one(log: Path, sink: HttpSink, page: str, number: int) -> tuple[float, float]:
    """Return after how many seconds a line came out at the receiver, and on the page."""
    code, bus = CODES[number], 0x1B + number % 8
    time.sleep(_PAUSE)
    stamp = datetime.now(UTC).isoformat(timespec="microseconds")
    line = (
        f"{stamp} bench kernel: NVRM: Xid (PCI:0000:{bus:02x}:00): {code}, pid=4711, name=python3\n"
    )
    began = time.monotonic()
    with log.open("a", encoding="ascii") as file:
        file.write(line)
    seen: list[float | None] = [None, None]
    probes: list[Callable[[], bool]] = [
        lambda: any(
            str(attributes(record.attributes).get(XID.key)) == str(code)
            for record, _ in sink.records()
        ),
        lambda: _counted(http_get(page).decode(), code),
    ]

    def both() -> bool:
        for place, probe in enumerate(probes):
            if seen[place] is None and probe():
                seen[place] = time.monotonic() - began
        return None not in seen

    eventually(f"XID {code} at the receiver and on the page", both, timeout=10, step=_STEP)
    exported, counted = seen
    return exported or 0.0, counted or 0.0


def _counted(page: str, code: int) -> bool:
    series, label = gpu.XID_EVENTS.series[0], f'{XID.label}="{code}"'
    lines = (line for line in page.splitlines() if line.startswith(series) and label in line)
    return any(float(line.rpartition(" ")[2]) > 0 for line in lines)
