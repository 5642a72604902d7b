"""Measures what one run over the GPUs costs: ``python -m tests.simulated_nvml.cost``, some seconds.

The simulated library answers at once, so that the processor time is the agent's own (and the simulation's,
which is small); the calls are what a real driver would be asked for, under a lock that all its users share.
It reports and never fails.
"""

import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.agent.collectors.nvml.node import Node
from tests.simulated_nvml.build import build

RUNS: Final = 300
CALLS: Final = "nvmlSimulatedCalls"
NODES: Final = {
    "8 H100": "model h100 *",
    "8 B200": "model b200 *",
    "8 T4": "model t4 *",
    "16 H100": "devices 16\nmodel h100 *",
}


def cost(node: Node, directives: str) -> tuple[float, float, int]:
    """Return milliseconds of processor time and calls of a run, and how many series it gives."""
    node.renew()
    node.tell(directives)
    for _ in range(12):
        batch = node.collect()
    before = node.ask("simulated", CALLS)
    seconds = node.ask("seconds", RUNS)
    calls = (node.ask("simulated", CALLS) - before) / RUNS
    return seconds * 1000, calls, len(batch.readings)


def main() -> None:
    """Print a line for each kind of node."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        node = Node(folder, build(folder))
        for title, directives in NODES.items():
            milliseconds, calls, series = cost(node, directives)
            line = f"{title:8} {milliseconds:6.2f} ms {calls:6.0f} calls {series:5} series a run\n"
            sys.stdout.write(line)
        node.close()


if __name__ == "__main__":
    main()
