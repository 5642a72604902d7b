"""Traffic over PCIe: the GPU's own byte counters, and a dear question where it has none.

`nvmlDeviceGetPcieThroughput` watches the link for 20 ms a call (nvml.h). It is asked once in a while for
one direction, by whoever keeps the order of all GPUs, and its answer is kept until the next one.
"""

from collections.abc import Mapping
from typing import Any, Final

from agent.collectors.nvml import codes
from agent.collectors.nvml.decoding import KILOBYTES_A_SECOND, Refused
from agent.collectors.nvml.driver import FieldProblem
from agent.collectors.nvml.fields import UNSIGNED_INT
from agent.collectors.nvml.guards import Meter

_CALLS: Final = (("transmit", 0), ("receive", 1))
"""nvmlPcieUtilCounter_t."""
_FIRST_GENERATION: Final = 250_000_000
"""Bytes per second of one lane of PCIe 1; each generation doubles it, within 2 %."""


class PcieTraffic:
    """The PCIe traffic of one device."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml = nvml
        self._handle = handle
        self._meters: dict[str, Meter] = {}
        self._turn = 0
        self.seen: dict[str, float] = {}
        """Bytes per second, by direction, as last asked for."""
        self.can_be_asked = True

    def farthest(self, known: Mapping[str, Any], seconds: float | None) -> float | None:
        """Return how many bytes the link can have carried, from what is known of the GPU."""
        generation, width = known.get("pcie_generation_limit"), known.get("pcie_width_limit")
        if not generation or not width or seconds is None:
            return None
        return float(_FIRST_GENERATION * 2 ** (generation - 1) * width * seconds)

    def count(
        self, direction: str, value: int, kind: int, farthest: float | None
    ) -> int | Refused | None:
        """Return the bytes counted so far; `None` where the counter is too small to be followed.

        ``kind`` is its nvmlValueType_t; ``farthest`` how far it can have run since the last time.
        """
        if kind == UNSIGNED_INT and farthest is not None and farthest >= 1 << 32:
            return None
        return self._meters.setdefault(direction, Meter()).judge(value)

    def ask(self, problems: list[FieldProblem]) -> None:
        """Ask for one direction, the other one the next time. Takes 20 ms."""
        nvml = self._nvml
        direction, number = _CALLS[self._turn % len(_CALLS)]
        self._turn += 1
        self.seen.pop(direction, None)
        try:
            said = nvml.nvmlDeviceGetPcieThroughput(self._handle, number)
        except nvml.NVMLError as error:
            self._fail(direction, error, problems)
            return
        (told,) = KILOBYTES_A_SECOND(said)
        if isinstance(told, Refused):
            problems.append(FieldProblem(f"pcie_throughput {direction}", told.reason, told.seen))
        elif isinstance(told, int | float):
            self.seen[direction] = told

    def _fail(self, direction: str, error: Any, problems: list[FieldProblem]) -> None:
        if error.value in codes.LACKING:
            self.can_be_asked = False
            return
        fault = codes.fault(error)
        what = f"pcie_throughput {direction}"
        problems.append(FieldProblem(what, fault.reason, str(fault)))
