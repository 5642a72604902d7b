"""What the simulated driver costs by itself, to be told apart from what the agent costs."""

import time

from agent.collectors.nvml.driver import DeviceError, GpuLost
from agent.simulation.gpus import SimulatedGpus
from agent.simulation.spec import parse_spec


def driver_cpu_seconds(spec: str, seconds: int, start: float) -> float:
    """Return the CPU time of the calls that ``seconds`` cycles at 1 s make, ``start`` into the play."""
    now = 0.0
    driver = SimulatedGpus(parse_spec(spec), clock=lambda: now)
    driver.open()
    now = start
    began = time.process_time()
    for _ in range(seconds):
        now += 1
        for index in range(driver.device_count()):
            try:
                driver.sample(index)
                driver.recent(index)
                driver.processes(index)
            except (GpuLost, DeviceError):
                continue
        driver.xid_events()
    return time.process_time() - began
