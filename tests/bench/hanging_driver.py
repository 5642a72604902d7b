"""Runs `warpwatch` with a driver that hangs: from its tenth second on, a call never comes back."""

import sys
import threading
from typing import Any, Final

from agent import cli
from agent.simulation.gpus import SimulatedGpus

HEALTHY_SECONDS: Final = 10.0


def _hang(self: SimulatedGpus, index: int) -> Any:
    if self.elapsed() > HEALTHY_SECONDS:
        threading.Event().wait()
    return _sample(self, index)


_sample = SimulatedGpus.sample
SimulatedGpus.sample = _hang  # type: ignore[method-assign]

if __name__ == "__main__":
    sys.exit(cli.main(sys.argv[1:]))
