"""Which fields a device is asked for together, and what is asked instead of those that it lacks.

All fields that are due come in one call: those that move at every sample, the others with them once in a
while. What the device lacks is given up for as long as its handle holds, or asked for in an older way.
"""

from collections.abc import Callable
from typing import Any, Final

from agent.collectors.nvml import codes
from agent.collectors.nvml.driver import FieldProblem
from agent.collectors.nvml.fields import QUICK, SLOW_FIELDS, FieldBatch, FieldValue, decoded
from agent.collectors.nvml.nvlink import NvLinks
from agent.collectors.nvml.probes import Key, Probe, label

Take = Callable[[FieldValue, int, object, dict[Key, Any], list[FieldProblem]], bool]
"""Takes in a value, by its field, nvmlValueType_t and itself; false where the field is of no use."""
_Answer = tuple[int, int, int]
"""Type, return code, and the bytes of the union."""
_LINK: Final = "link"
_WRAPS: Final = "pcie_bytes"
"""The same number again may be once around: not known to be the last one."""


class FieldQuestions:
    """The fields of one device. ``moving`` and ``slow`` are the lists to which older questions are added."""

    def __init__(self, nvml: Any, handle: Any, moving: list[Probe], slow: list[Probe]) -> None:
        self._nvml = nvml
        self._handle = handle
        self._moving = moving
        self._slow_probes = slow
        self._quick: list[FieldValue] = list(QUICK)
        self._slow: list[FieldValue] = list(SLOW_FIELDS)
        self._often: FieldBatch | None = None
        self._full: FieldBatch | None = None
        self._said: list[_Answer | None] = []
        """By position in the call: what was last said, where `_taken` is what was believed of it."""
        self._taken: list[Any] = []
        self.links: NvLinks | None = None
        """Asked for among what moves slowly, once it is known how many there are."""
        self.unsettled = False
        """Whether other questions than the last ones are to be asked, which need not wait."""

    def asks_for(self, field: str) -> bool:
        """Return whether an entry of the mapping ``field`` is still asked for at every sample."""
        return any(one.key[0] == field for one in self._quick)

    def ask(
        self,
        values: dict[Key, Any],
        slow: dict[Key, Any] | None,
        problems: list[FieldProblem],
        take: Take,
    ) -> None:
        """Ask for what moves into ``values``, and for what moves slowly into ``slow`` where it is given."""
        batch = self._batch(slow=slow is not None)
        if not batch.wanted:
            return
        code = batch.ask()
        if code != codes.SUCCESS:
            self._miss_all(batch, code, problems)
            return
        silent: list[tuple[FieldValue, int]] = []
        useless: list[FieldValue] = []
        quick = len(self._quick)
        said, taken = self._said, self._taken
        said += [None] * (len(batch.wanted) - len(said))
        taken += [None] * (len(batch.wanted) - len(taken))
        for position, (wanted, answer) in enumerate(batch.answers()):
            into = values if position < quick or slow is None else slow
            if said[position] == answer:
                into[wanted[0]] = taken[position]  # nothing moved: nothing to judge
            elif answer[1]:
                silent.append((wanted, answer[1]))
            elif not self._take(position, wanted, answer, into, problems, take):
                useless.append(wanted)
        for wanted in useless:
            self._ask_instead(wanted)
        for wanted, failed in silent:
            self._miss(wanted, failed, slow or {}, problems)
        if slow is not None:
            self._settle()

    def _batch(self, *, slow: bool) -> FieldBatch:
        """Return the kept call for what moves, or the one for everything."""
        if slow:
            if self._full is None:
                links = self.links.fields() if self.links else []
                wanted = [*self._quick, *self._slow, *links]
                self._full = FieldBatch(self._nvml, self._handle, wanted)
            return self._full
        if self._often is None:
            self._often = FieldBatch(self._nvml, self._handle, self._quick)
        return self._often

    def _take(
        self,
        position: int,
        wanted: FieldValue,
        answer: _Answer,
        into: dict[Key, Any],
        problems: list[FieldProblem],
        take: Take,
    ) -> bool:
        """Take in a value that is not the last one again; remember it if it was believed."""
        key, (kind, _, bits) = wanted.key, answer
        useful = take(wanted, kind, decoded(wanted, kind, bits), into, problems)
        if key in into and key[0] != _WRAPS:
            self._said[position], self._taken[position] = answer, into[key]
        else:
            self._said[position] = None
        return useful

    def _settle(self) -> None:
        """Have another question for the links asked soon, where they do not know the last one."""
        if self.links is None or not self.links.settle():
            return
        self.unsettled = True
        self._ask_others()
        if probe := self.links.state_by_call():
            self._slow_probes.append(probe)

    def _miss_all(self, batch: FieldBatch, code: int, problems: list[FieldProblem]) -> None:
        """Take in that the whole call failed: asked for one by one if there is no such call."""
        if code not in codes.LACKING:
            fault = codes.fault(self._nvml.NVMLError(code))
            problems.append(FieldProblem("field_values", fault.reason, str(fault)))
            return
        self.links = NvLinks(0, detail=False)
        for wanted in batch.wanted:
            if wanted.key[0] != _LINK:
                self._ask_instead(wanted, batched=False)

    def _miss(
        self, wanted: FieldValue, code: int, slow: dict[Key, Any], problems: list[FieldProblem]
    ) -> None:
        """Take in that one field has no value: it is lacking, or this is a problem."""
        is_link = wanted.key[0] == _LINK
        if code in codes.LACKING or code == codes.INVALID_ARGUMENT:
            if is_link and self.links is not None:
                self.links.lacks(wanted)
            else:
                self._ask_instead(wanted)
            return
        fault = codes.fault(self._nvml.NVMLError(code))
        if is_link and slow.get((_LINK, (wanted.key[1][0], "state"))) == "inactive":
            return  # a link that is down has nothing to tell
        problems.append(FieldProblem(label(wanted.key), fault.reason, str(fault)))

    def _ask_others(self) -> None:
        """Make the calls anew: other fields have other positions."""
        self._full = self._often = None
        self._said.clear()
        self._taken.clear()

    def _ask_instead(self, lacking: FieldValue, *, batched: bool = True) -> None:
        """Stop asking for a field, and ask for the same in an older way where there is one."""
        self._ask_others()
        fields, probes = (
            (self._quick, self._moving)
            if lacking in self._quick
            else (self._slow, self._slow_probes)
        )
        fields.remove(lacking)
        instead = lacking.instead
        while isinstance(instead, FieldValue) and not batched:
            instead = instead.instead
        if isinstance(instead, FieldValue):
            fields.append(instead)
        elif instead is None and lacking.key[0] == "nvlink_bytes" and self.links is not None:
            self.links.sum_bytes(lacking.key[1])
            self.unsettled = True
        elif instead is not None and instead not in probes:
            probes.append(instead)
