"""What the simulated drivers of the benchmarks are told: what their calls cost, who uses the GPUs, MIG."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from tests.real_parts.programs import plain_environment

FREE: Final = ""
"""A driver that answers at once."""
_MODELLED: Final = (
    ("nvmlDeviceGetPowerUsage", 365),
    ("nvmlDeviceGetComputeRunningProcesses", 500),
    ("nvmlDeviceGetGraphicsRunningProcesses", 500),
)
_CALL_US: Final = 40
_FIELD_US: Final = 10
_PCIE_US: Final = 20_000
"""Of a question for PCIe throughput (nvml.h); it waits for that long and uses no processor time."""


def costly(how: str) -> str:
    """Return directives for a driver that costs what real ones are said to cost: ``work`` or ``latency``.

    Power: 2,743 calls a second were seen on a K40m (gpustat#76). 40 us a call and 500 us a list of processes
    are what others simulate (codecarbon#1264). 10 us a field of a batch is an assumption, which gives a
    batch no advantage to speak of. ``work`` uses up processor time, ``latency`` sleeps; the truth is between.
    """
    rules = [f"rule {function} * {how} {cost}" for function, cost in _MODELLED]
    rules.append(f"rule nvmlDeviceGetPcieThroughput * latency {_PCIE_US}")
    return "\n".join([f"{how} {_CALL_US} {_FIELD_US}", *rules])


@contextmanager
def tenants(gpus: int, count: int) -> Iterator[str]:
    """Run ``count`` processes that do nothing, and give the directives that put them on the GPUs."""
    sleep = shutil.which("sleep") or "/bin/sleep"
    running = [
        subprocess.Popen([sleep, "3600"], env=plain_environment())  # noqa: S603 - waits, and is ended below
        for _ in range(count)
    ]
    try:
        yield "\n".join(_seats([each.pid for each in running], gpus))
    finally:
        for each in running:
            each.kill()
            each.wait()


def _seats(pids: Sequence[int], gpus: int) -> Iterator[str]:
    for number, pid in enumerate(pids):
        yield f"process {number % gpus} compute {pid} {(4 + number % 5) << 30} /usr/bin/sleep"


def divided(gpus: int, parts: int = 7) -> str:
    """Return the directives of ``gpus`` GPUs that are divided into ``parts`` busy instances of 1g.10gb."""
    shares = ((1, 70), (2, 65), (3, 30), (4, 9), (5, 40), (10, 38), (11, 0), (12, 12), (13, 3))
    lines = []
    for gpu in range(gpus):
        lines.append(f"mode {gpu} 1")
        for part in range(parts):
            uuid = f"MIG-00000000-0000-{gpu:04d}-{part:04d}-000000000000"
            lines.append(f"instance {gpu} {part + 7} 0 1 1 9984 {1024 * (part + 1)} {uuid} 1g.10gb")
            lines += [f"activity {gpu} {part + 7} {m} {share}" for m, share in shares]
    return "\n".join(lines) + "\n"
