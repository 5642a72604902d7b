"""KServe's inference logger, and Seldon's: a CloudEvent for each request and each answer.

The service is the model. Where it is not in the namespace ``default``, the namespace stands before it, for
two teams may have a model of one name.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from agent.drift.intake.cloud_event import MAX_ID, CloudEvent, is_json, read_events
from agent.drift.intake.inference_body import Columns, request_columns, response_columns
from agent.drift.intake.names import bounded
from agent.drift.intake.pairing import Pair, Pairing, Side
from agent.drift.intake.refusal import RefusedError
from agent.drift.intake.tensor_bytes import HEAD_LENGTH
from agent.drift.rows import LATENCY, PREDICTION, ROW_ID, Rows, id_of_row

_KINDS: Final = {
    "org.kubeflow.serving.inference.request": False,
    "org.kubeflow.serving.inference.response": True,
    "io.seldon.serving.inference.request": False,
    "io.seldon.serving.inference.response": True,
}
_SERVICE: Final = ("inferenceservicename", "inferenceservice", "modelid")
_STREAM: Final = "text/event-stream"
_BYTES: Final = "application/octet-stream"
"""Of V2 with binary tensors, whose head is JSON; an answer is logged with the content type of its request."""
_HEAD_LENGTH: Final = HEAD_LENGTH.lower()
_OF_ANSWERS: Final = frozenset({PREDICTION, LATENCY, ROW_ID})
"""Columns that a request cannot tell; what it calls so is a feature of another name."""
_LONGEST_NUMBER: Final = 18
"""Digits."""
_LONGEST: Final = 3_600.0
"""Seconds; a longer answer is a wrong clock."""


class Events(NamedTuple):
    """What a request of a logger held: events, and why others of its batch are none."""

    logged: list["Logged"]
    refused: list[RefusedError]


class Logged(NamedTuple):
    """One side of an inference, as it was logged."""

    model: str
    event: str
    answer: bool
    side: Side


def read(headers: Mapping[str, str], content_type: str, body: bytes) -> Events:
    """Return what a request of a logger says. Pure; raises `RefusedError` where there is no event in it."""
    logged: list[Logged] = []
    refused: list[RefusedError] = []
    head = _head_length(headers)
    for event in read_events(headers, content_type, body):
        try:
            if isinstance(event, RefusedError):
                raise event
            logged.append(_logged(event, head))
        except RefusedError as error:
            refused.append(error)
    if refused and not logged:
        raise refused[0]
    return Events(logged, refused)


def _head_length(headers: Mapping[str, str]) -> int | None:
    told = next((value for name, value in headers.items() if name.lower() == _HEAD_LENGTH), "")
    if not told:
        return None
    if not told.isascii() or not told.isdigit() or len(told) > _LONGEST_NUMBER:
        raise RefusedError(400, "malformed", f"{HEAD_LENGTH} is no length")
    return int(told)


def _logged(event: CloudEvent, head: int | None) -> Logged:
    if event.type not in _KINDS:
        raise RefusedError(
            400,
            "wrong_type",
            "the CloudEvent's type is neither an inference's request nor response",
        )
    answer = _KINDS[event.type]
    known = is_json(event.content_type) or event.content_type == _BYTES
    if not known and not (answer and event.content_type == _STREAM):
        raise RefusedError(415, "wrong_type", "the event's data must be JSON")
    told = event.extensions
    service = next((told[name] for name in _SERVICE if told.get(name)), "")
    if not service:
        raise RefusedError(400, "no_model", "the CloudEvent names no inferenceservicename")
    namespace = told.get("namespace", "")
    model = service if namespace in {"", "default"} else f"{namespace}/{service}"
    version = told.get("endpoint", "")
    version = "" if version == "default" else version
    if answer:
        columns, said = response_columns(event.data, head)
        version = said or version
    else:
        asked = request_columns(event.data, head)
        columns = {f"input.{name}" if name in _OF_ANSWERS else name: asked[name] for name in asked}
    side = Side(columns, event.time, bounded(version), len(event.data))
    identity = told.get("requestid") or event.id
    return Logged(bounded(model), bounded(identity, MAX_ID), answer, side)


class Joining:
    """Makes rows of what is logged, with the answer beside the request where both came."""

    def __init__(self, pairing: Pairing | None = None) -> None:
        self._pairing = pairing or Pairing()
        self.skewed = 0
        """Pairs whose answer was before the request or hours after it, by the clocks of those who logged."""

    def add(self, logged: Logged, now: float) -> list[Rows] | None:
        """Return the rows that are complete with this; `None` for a replay."""
        done = self._pairing.add(
            logged.model, logged.event, logged.side, answer=logged.answer, now=now
        )
        return None if done is None else self._rows(done, now)

    def overdue(self, now: float) -> list[Rows]:
        """Return the rows of what stayed alone for too long."""
        return self._rows(self._pairing.overdue(now), now)

    def _rows(self, pairs: Iterable[Pair], now: float) -> list[Rows]:
        return [rows for pair in pairs for rows in self._joined(pair, now)]

    def _joined(self, pair: Pair, now: float) -> Iterator[Rows]:
        """Yield the rows of an inference; those of each side apart where they are not as many."""
        sides = [side for side in (pair.request, pair.response) if side]
        version = next((side.version for side in reversed(sides) if side.version), "")
        told = [side.columns for side in sides]
        whole = len(sides) == 2 and len({_rows_of(each) for each in told if each}) <= 1
        if whole:
            told = [{**told[0], **told[1]}]
        took = self._took(pair)
        for columns in told:
            size = _rows_of(columns)
            ids = [id_of_row(pair.event, number, size) for number in range(size)]
            beside: Columns = {ROW_ID: [*ids]}
            if took is not None and columns is told[-1]:
                beside[LATENCY] = [took] * size
            yield Rows(pair.model, version, {**columns, **beside}, now, whole)

    def _took(self, pair: Pair) -> float | None:
        """Return the seconds between request and answer; a clock that cannot be right is counted."""
        took = _between(pair)
        if took is None or 0 <= took < _LONGEST:
            return took
        self.skewed += 1
        return None


def _rows_of(columns: Columns) -> int:
    return max(map(len, columns.values()), default=0)


def _between(pair: Pair) -> float | None:
    """Return the seconds between request and answer, both by the logger's clock."""
    if not pair.request or not pair.response:
        return None
    if pair.request.time is None or pair.response.time is None:
        return None
    return pair.response.time - pair.request.time
