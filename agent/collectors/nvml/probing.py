"""Asks one device single questions, and remembers what it lacks, refuses and says again."""

from math import inf
from typing import Any, Final

from agent.collectors.nvml import codes, refusals
from agent.collectors.nvml.decoding import Refused
from agent.collectors.nvml.driver import DeviceError, FieldProblem, GpuLost
from agent.collectors.nvml.guards import Backwards
from agent.collectors.nvml.probes import Key, Probe, Read, label

_COUNTERS: Final = frozenset(
    {"energy", "throttle_time", "ecc_errors", "ecc_lifetime_errors", "pcie_replays", "nvlink_bytes"}
)
"""Fields that only ever grow while the driver is loaded; PCIe's and NVLink's meters judge their own."""


class Probing:
    """The questions of one device. ``nvml`` is the binding's module, initialized."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml = nvml
        self._handle = handle
        self.now = -inf
        """Seconds of any clock that goes forward."""
        self._lacking: dict[Probe, int] = {}
        self._kept: dict[Probe, tuple[object, dict[Key, Any]]] = {}
        """What was last said, and what was believed of it, where that was all."""
        self._refused: dict[Probe, tuple[float, list[FieldProblem]]] = {}
        """Until when what is not allowed is not asked again, and what was said of it."""
        self._backwards = Backwards()

    def way(self, probe: Probe) -> Read | None:
        """Return the best way to ask that the device is not known to lack; `None` where it lacks all."""
        which = self._lacking.get(probe, 0)
        return probe.reads[which] if which < len(probe.reads) else None

    def lacks(self, probe: Probe) -> bool:
        """Whether the device has none of the ways to ask."""
        return self.way(probe) is None

    def fill(self, probe: Probe, values: dict[Key, Any], problems: list[FieldProblem]) -> bool:
        """Take in what ``probe`` gives; return whether it needs no asking again."""
        refused = self._refused.get(probe)
        if refused is not None and refused[0] > self.now:
            problems += refused[1]
            return False
        try:
            self._believe(probe, values, problems)
        except GpuLost:
            raise
        except DeviceError as error:
            said = str(error)
            found = [FieldProblem(label(key), error.reason, said) for key in probe.fields]
            if error.reason == refusals.REASON:
                self._refused[probe] = self.now + refusals.AGAIN, found
            problems += found
            return False
        return True

    def take(
        self, key: Key, answer: object, values: dict[Key, Any], problems: list[FieldProblem]
    ) -> None:
        """Take in a value, if it can be believed."""
        if isinstance(answer, int | float) and (
            key in _COUNTERS if isinstance(key, str) else key[0] in _COUNTERS
        ):
            answer = self._backwards.judge(key, answer)
        if type(answer) is Refused:
            problems.append(FieldProblem(label(key), answer.reason, answer.seen))
        elif answer is not None:
            values[key] = answer

    def _ask(self, probe: Probe) -> Any:
        """Return what the library says to ``probe``; `None` where the device lacks it."""
        nvml = self._nvml
        while (which := self._lacking.get(probe, 0)) < len(probe.reads):
            try:
                return probe.reads[which](nvml, self._handle)
            except nvml.NVMLError as error:
                unknown_choice = probe.chooses and error.value == codes.INVALID_ARGUMENT
                if not unknown_choice and error.value not in codes.LACKING:
                    raise codes.failure(error.value, str(error)) from error
                self._lacking[probe] = which + 1
        return None

    def _believe(self, probe: Probe, values: dict[Key, Any], problems: list[FieldProblem]) -> None:
        """Ask, and take in what can be believed: without another look where it is the same again."""
        try:
            said = self._ask(probe)
            if said is None:
                return
            kept = self._kept.get(probe)
            if kept is not None and kept[0] == said:
                values |= kept[1]
                return
            answers = probe.decode(said)
        except UnicodeDecodeError as error:
            raise DeviceError("not_text", repr(error.object[:80])) from error
        except codes.UNFORESEEN as error:
            raise DeviceError("unexpected_error", f"{type(error).__name__}: {error}") from error
        found: dict[Key, Any] = {}
        before = len(problems)
        for key, answer in zip(probe.fields, answers, strict=True):
            self.take(key, answer, found, problems)
        if len(problems) == before:
            self._kept[probe] = said, found
        else:
            self._kept.pop(probe, None)
        values |= found
