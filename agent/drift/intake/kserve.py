"""KServe's inference logger, and Seldon's: a CloudEvent for each request and each answer.

The service is the model. Where it is not in the namespace ``default``, the namespace stands before it, for
two teams may have a model of one name.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from agent.drift.intake.cloud_event import CloudEvent, is_json, read_events
from agent.drift.intake.inference_body import request_columns, response_columns
from agent.drift.intake.pairing import Pair, Pairing, Side
from agent.drift.intake.refusal import RefusedError
from agent.drift.rows import LATENCY, Rows

_KINDS: Final = {
    "org.kubeflow.serving.inference.request": False,
    "org.kubeflow.serving.inference.response": True,
    "io.seldon.serving.inference.request": False,
    "io.seldon.serving.inference.response": True,
}
_SERVICE: Final = ("inferenceservicename", "inferenceservice", "modelid")
_STREAM: Final = "text/event-stream"
_LONGEST: Final = 3_600.0
"""Seconds; a longer answer is a wrong clock."""


class Logged(NamedTuple):
    """One side of an inference, as it was logged."""

    model: str
    event: str
    answer: bool
    side: Side


def read(headers: Mapping[str, str], content_type: str, body: bytes) -> list[Logged]:
    """Return what a request of a logger says. Pure; raises `RefusedError`."""
    return [_logged(event) for event in read_events(headers, content_type, body)]


def _logged(event: CloudEvent) -> Logged:
    if event.type not in _KINDS:
        raise RefusedError(
            400,
            "wrong_type",
            "the CloudEvent's type is neither an inference's request nor response",
        )
    answer = _KINDS[event.type]
    if not is_json(event.content_type) and not (answer and event.content_type == _STREAM):
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
        columns, said = response_columns(event.data)
        side = Side(columns, event.time, said or version)
    else:
        side = Side(request_columns(event.data), event.time, version)
    identity = told.get("requestid") or event.id
    return Logged(model[:128], identity, answer, side)


class Joining:
    """Makes rows of what is logged, with the answer beside the request where both came."""

    def __init__(self, pairing: Pairing | None = None) -> None:
        self._pairing = pairing or Pairing()

    def add(self, logged: Logged, now: float) -> list[Rows] | None:
        """Return the rows that are complete with this; `None` for a replay."""
        done = self._pairing.add(
            logged.model, logged.event, logged.side, answer=logged.answer, now=now
        )
        return None if done is None else _rows(done, now)

    def overdue(self, now: float) -> list[Rows]:
        """Return the rows of what stayed alone for too long."""
        return _rows(self._pairing.overdue(now), now)


def _rows(pairs: Iterable[Pair], now: float) -> list[Rows]:
    return [_joined(pair, now) for pair in pairs]


def _joined(pair: Pair, now: float) -> Rows:
    sides = [side for side in (pair.request, pair.response) if side]
    columns = {name: column for side in sides for name, column in side.columns.items()}
    size = max(map(len, columns.values()), default=0)
    took = _took(pair)
    if took is not None:
        columns[LATENCY] = [took] * size
    version = next((side.version for side in reversed(sides) if side.version), "")
    return Rows(pair.model, version, columns, now, whole=len(sides) == 2)


def _took(pair: Pair) -> float | None:
    """Return the seconds between request and answer, both by the logger's clock."""
    if not pair.request or not pair.response:
        return None
    if pair.request.time is None or pair.response.time is None:
        return None
    took = pair.response.time - pair.request.time
    return took if 0 <= took < _LONGEST else None
