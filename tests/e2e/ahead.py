"""Runs `warpwatch` with the play of the simulated node SECONDS ahead: ``python ahead.py SECONDS run ...``.

The play begins as always and then jumps, so that a test sees a GPU fall off the bus without waiting for
it for minutes.
"""

import sys
import time
from itertools import chain, repeat

from agent import cli
from agent.simulation.gpus import SimulatedGpus


def _jump(seconds: float) -> None:
    """Let the clock of the simulation show its start once, and ``seconds`` more from then on."""
    offsets = chain([0.0], repeat(seconds))
    defaults = SimulatedGpus.__init__.__kwdefaults__
    assert defaults is not None
    defaults["clock"] = lambda: time.monotonic() + next(offsets)


if __name__ == "__main__":
    _jump(float(sys.argv[1]))
    sys.exit(cli.main(sys.argv[2:]))
