"""The NVLinks of one device: which questions its generation answers, and what they amount to together.

Only bytes are summed by the driver; state, speed and errors are told link by link, under other numbers on
each generation. Links of one GPU answer alike, so a question is given up when no link answers it. What is
summed here is made of increments: a link that is down or was reset does not make the sum fall.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from agent.collectors.nvml.condition import MAX_LINKS
from agent.collectors.nvml.decoding import (
    BYTES,
    KIBIBYTES,
    MEGABYTES_A_SECOND,
    Decode,
    Refused,
    count,
    word,
)
from agent.collectors.nvml.driver import FieldProblem, Link
from agent.collectors.nvml.fields import FieldValue
from agent.collectors.nvml.guards import Meter
from agent.collectors.nvml.probes import Probe

_ROW: Final = 6
"""Links whose field numbers follow each other."""
_STATE_WORDS: Final = ("inactive", "active", "sleep", "traffic_disabled")
_BYTES: Final = ("transmit", "receive")


class _Way(NamedTuple):
    """One way to ask for something of a link.

    By the scope of one ``number``; or, before Hopper, by a number per link: six from ``number`` on, and six
    more from ``seventh``.
    """

    kind: str
    number: int
    decode: Decode
    seventh: int | None = None

    def suits(self, links: int) -> bool:
        """Return whether all links of a GPU can be asked so."""
        return links <= (MAX_LINKS if self.seventh is None else 2 * _ROW)

    def field(self, link: int) -> FieldValue:
        """Return the question for one link."""
        key = ("link", (link, self.kind))
        if self.seventh is None:
            return FieldValue(key, self.number, self.decode, scope=link)
        first = self.number if link < _ROW else self.seventh - _ROW
        return FieldValue(key, first + link, self.decode)


_WAYS: Final[Mapping[str, tuple[_Way, ...]]] = {
    "state": (_Way("state", 165, word(*_STATE_WORDS)),),
    "speed": (
        _Way("speed", 164, MEGABYTES_A_SECOND),
        _Way("speed", 84, MEGABYTES_A_SECOND, 132),
    ),
    "crc": (_Way("crc", 163, count), _Way("crc", 32, count, 96)),
    "crc_data": (_Way("crc_data", 39, count, 102),),
    "ecc_data": (_Way("ecc_data", 148, count, 154),),
    "replay": (_Way("replay", 161, count), _Way("replay", 46, count, 108)),
    "recovery": (
        _Way("recovery", 162, count),
        _Way("recovery", 53, count, 114),
        _Way("recovery", 215, count),
    ),
    "recovery_failed": (_Way("recovery_failed", 214, count),),
    "malformed": (_Way("malformed", 206, count),),
    "overrun": (_Way("overrun", 207, count),),
    "receive_errors": (_Way("receive_errors", 208, count),),
    "integrity": (_Way("integrity", 211, count),),
    "discard": (_Way("discard", 212, count),),
    "effective": (_Way("effective", 219, count),),
    "transmit": (_Way("transmit", 138, KIBIBYTES), _Way("transmit", 202, BYTES)),
    "receive": (_Way("receive", 139, KIBIBYTES), _Way("receive", 204, BYTES)),
}
"""Numbers from nvml.h; from `malformed` to `effective` NVLink 5 (Blackwell) alone counts."""
_NO_ERRORS: Final = frozenset({"state", "speed", *_BYTES})


class NvLinks:
    """What to ask of ``count`` links, and what the answers amount to.

    ``detail``: tell each link by itself as well.
    """

    def __init__(self, links: int, *, detail: bool) -> None:
        self._links = links
        self._detail = detail
        self._ways: dict[str, list[_Way]] = {
            kind: [way for way in ways if way.suits(links)]
            for kind, ways in _WAYS.items()
            if detail or kind not in _BYTES
        }
        self._lacked: Counter[str] = Counter()
        self._meters: dict[tuple[int, str], Meter] = {}
        self._asked_by_call = False
        self._amounted: tuple[dict[tuple[int, str], Any], dict[str, Any]] | None = None
        """What the links said last, and what that came to, where all of it was believed."""
        self._summed: set[str] = set()

    def fields(self) -> list[FieldValue]:
        """Return what to ask for in the batch."""
        return [
            ways[0].field(link)
            for ways in self._ways.values()
            if ways
            for link in range(self._links)
        ]

    def sum_bytes(self, direction: str) -> None:
        """Ask for the bytes of one direction link by link, since the driver does not sum them."""
        self._summed.add(direction)
        self._amounted = None
        self._ways.setdefault(direction, list(_WAYS[direction]))

    def lacks(self, wanted: FieldValue) -> None:
        """Take in that a link does not know a field."""
        self._lacked[wanted.key[1][1]] += 1

    def settle(self) -> bool:
        """Give up what no link knew; return whether other questions are to be asked next time."""
        given_up = [kind for kind, links in self._lacked.items() if links >= self._links]
        for kind in given_up:
            self._ways[kind].pop(0)
        self._lacked.clear()
        return bool(given_up)

    def state_by_call(self) -> Probe | None:
        """Return the older question for the states, once, where no field tells them."""
        if self._asked_by_call or self._ways["state"]:
            return None
        self._asked_by_call = True
        links = range(self._links)
        states = word("inactive", "active")
        return Probe(
            tuple(("link", (link, "state")) for link in links),
            (lambda nvml, device: [nvml.nvmlDeviceGetNvLinkState(device, i) for i in links],),
            lambda found: tuple(states(state)[0] for state in found),
        )

    def amount_to(
        self, answers: Mapping[tuple[int, str], Any], problems: list[FieldProblem]
    ) -> dict[str, Any]:
        """Return fields of `Condition`, from the answers by link and kind."""
        if self._amounted is not None and answers == self._amounted[0]:
            return dict(self._amounted[1])
        before = len(problems)
        told = self._told(answers, problems)
        believed = len(problems) == before  # else the same number again may be the end of a reset
        self._amounted = (dict(answers), told) if believed else None
        return dict(told)

    def _told(
        self, answers: Mapping[tuple[int, str], Any], problems: list[FieldProblem]
    ) -> dict[str, Any]:
        states = {link: said for (link, kind), said in answers.items() if kind == "state"}
        errors: Counter[str] = Counter()
        moved: Counter[str] = Counter()
        for kind, total in self._totals(answers, problems):
            (moved if kind in _BYTES else errors)[kind] += total
        told: dict[str, Any] = {"nvlink_errors": dict(errors) or None}
        if summed := self._summed & moved.keys():
            told["nvlink_bytes"] = {direction: moved[direction] for direction in summed}
        if states and len(states) == self._links:
            told["nvlinks"] = dict.fromkeys(_STATE_WORDS, 0) | Counter(states.values())
            told["nvlink_bandwidth"] = _speed_of_active(states, answers)
        if self._detail and answers:
            told["links"] = tuple(_link(index, answers) for index in range(self._links))
        return told

    def _totals(
        self, answers: Mapping[tuple[int, str], Any], problems: list[FieldProblem]
    ) -> Iterator[tuple[str, int]]:
        """Yield what each counter of each link has counted; those that are silent count on."""
        for (link, kind), value in answers.items():
            if kind in {"state", "speed"}:
                continue
            judged = self._meters.setdefault((link, kind), Meter()).judge(value)
            if isinstance(judged, Refused):
                problems.append(FieldProblem(f"link {link} {kind}", judged.reason, judged.seen))
        heard = {kind for _, kind in answers}
        for (_, kind), meter in self._meters.items():
            if kind in heard:
                yield kind, meter.total


def _speed_of_active(
    states: Mapping[int, str], answers: Mapping[tuple[int, str], Any]
) -> float | None:
    speeds = [answers.get((link, "speed")) for link, state in states.items() if state == "active"]
    known = [speed for speed in speeds if speed is not None]
    return sum(known) if len(known) == len(speeds) else None


def _link(index: int, answers: Mapping[tuple[int, str], Any]) -> Link:
    errors = {
        kind: value
        for (link, kind), value in answers.items()
        if link == index and kind not in _NO_ERRORS
    }
    return Link(
        index,
        answers.get((index, "state")),
        answers.get((index, "speed")),
        answers.get((index, "transmit")),
        answers.get((index, "receive")),
        errors or None,
    )
