"""The HTTP side of the intake. Whoever logs to it must never wait or be hurt: every answer is quick.

A road in reads the body (`agent.drift.intake.bodies`), hands it to the parser of its format, and counts what
came of it or why it was refused.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from time import time
from typing import Final, TypeVar

from aiohttp import web

from agent.drift.intake import bentoml, kserve, labels, otlp_logs, plain_rows, triton_trace
from agent.drift.intake.bodies import INLINE, LINES, Bodies, check_type
from agent.drift.intake.kserve import Events, Joining, Logged
from agent.drift.intake.otlp_logs import Logs
from agent.drift.intake.refusal import RefusedError
from agent.drift.intake.tally import IntakeTally
from agent.drift.models import Models
from agent.drift.rows import Rows
from agent.drift.traffic import Traffic

RETRY_AFTER: Final = 5
"""Seconds that a sender should wait after 429 and 503."""
MOST_LABELS: Final = 20_000
"""Labels of one body: each is looked up in every version of its model, and others wait that long."""
_OK: Final = 200
_CLOSING: Final = frozenset({408, 413, 503})
"""Statuses after which a body may not have been read to its end."""
_Read = TypeVar("_Read")


class Intake:
    """Takes bodies and turns them into rows of ``models``; ``tally`` counts what came and what did not."""

    def __init__(
        self,
        models: Models,
        tally: IntakeTally,
        *,
        clock: Callable[[], float] = time,
        bodies: Bodies | None = None,
    ) -> None:
        self._models = models
        self._tally = tally
        self._clock = clock
        self._bodies = bodies or Bodies()
        self._joining = Joining()

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of all roads."""
        return [
            web.post("/v1/rows", self.rows),
            web.post("/v1/kserve", self.kserve),
            web.post("/v1/logs", self.logs),
            web.post("/v1/bentoml", self.bentoml),
            web.post("/v1/triton", self.triton),
            web.post("/v1/labels", self.labels),
            web.get("/v1/references", self.references),
            web.post("/v1/references/freeze", self.freeze),
            web.get("/v1/reservoir", self.reservoir),
        ]

    def settle(self) -> None:
        """Take what waited for its other side for too long; to be called each second or so."""
        try:
            self._take("kserve", self._joining.overdue(self._clock()))
        except RefusedError as error:
            self._tally.refuse("kserve", error.reason)
        self._tally.refused["kserve", "clock_skew"] = float(self._joining.skewed)
        self._tally.refuse("labels", "no_model", self._models.unclaimed())

    async def rows(self, request: web.Request) -> web.Response:
        """Take plain rows: JSON, or NDJSON by its content type or by ``?model=``."""
        lines = request.content_type in LINES or "model" in request.query
        query, now = dict(request.query), self._clock()

        def read(data: bytes) -> Rows:
            return (
                plain_rows.from_lines(data, query, now)
                if lines
                else plain_rows.from_json(data, now)
            )

        def take(rows: Rows) -> Mapping[str, int]:
            return self._take_labels(rows) if rows.late else self._take("rows", [rows])

        return await self._answer("rows", request, read, take)

    async def kserve(self, request: web.Request) -> web.Response:
        """Take what an inference logger sends. A replay is counted and answered as if it were new.

        What is wrong with some events of a batch is counted, and the others are taken.
        """
        headers, kind = dict(request.headers), request.content_type

        def read(data: bytes) -> Events:
            return kserve.read(headers, kind if "Content-Type" in headers else "", data)

        def take(events: Events) -> Mapping[str, int]:
            for error in events.refused:
                self._tally.refuse("kserve", error.reason)
            return self._take("kserve", chain.from_iterable(map(self._joined, events.logged)))

        return await self._answer("kserve", request, read, take, typed=False)

    async def labels(self, request: web.Request) -> web.Response:
        """Take labels by the ids of events or rows, which come before or after; misses are counted."""
        lines = request.content_type in LINES or "model" in request.query
        query, now = dict(request.query), self._clock()

        def read(data: bytes) -> Rows:
            if lines:
                return labels.from_lines(data, query, now)
            return labels.from_json(data, now)

        return await self._answer("labels", request, read, self._take_labels)

    async def logs(self, request: web.Request) -> web.Response:
        """Take OTLP logs; records that tell nothing of an inference are counted and left out."""
        kind, now = request.content_type, self._clock()

        def take(logs: Logs) -> Mapping[str, int]:
            if logs.unknown:
                self._tally.refuse("otlp", "wrong_type", logs.unknown)
            return self._take("otlp", logs.rows)

        answer = await self._answer(
            "otlp",
            request,
            lambda data: otlp_logs.read(kind, data, now),
            take,
            typed=kind != otlp_logs.PROTOBUF,
        )
        if answer.status != _OK:
            return answer
        # An empty message is a full success in either encoding.
        empty = b"" if kind == otlp_logs.PROTOBUF else b"{}"
        return web.Response(body=empty, content_type=kind or "application/json")

    async def bentoml(self, request: web.Request) -> web.Response:
        """Take the lines of BentoML's monitoring; ``?model=`` names the model."""
        query, now = dict(request.query), self._clock()
        return await self._answer(
            "bentoml",
            request,
            lambda data: bentoml.read(data, query, now),
            lambda rows: self._take("bentoml", [rows]),
        )

    async def triton(self, request: web.Request) -> web.Response:
        """Take a trace file of Triton's, with tensors."""
        now = self._clock()
        return await self._answer(
            "triton",
            request,
            lambda data: triton_trace.read(data, now),
            lambda found: self._take("triton", found),
        )

    async def references(self, _: web.Request) -> web.Response:
        """Tell what each model is compared with, and how far learning is."""
        return web.json_response([_state(traffic) for traffic in self._models])

    async def reservoir(self, request: web.Request) -> web.Response:
        """Give the rows that are kept of ``?model=``, as NDJSON; 404 where none are."""
        query = request.query
        rows = self._models.sample(query.get("model", ""), query.get("model_version", ""))
        if not rows:
            said = "no rows are kept of this model; see drift.models[].reservoir"
            return refusal(RefusedError(404, "no_model", said))
        text = "".join(f"{json.dumps(row)}\n" for row in rows)
        return web.Response(text=text, content_type="application/x-ndjson")

    async def freeze(self, request: web.Request) -> web.Response:
        """End the learning of ``?model=`` and ``?model_version=`` now."""
        try:
            model = plain_rows.model_name(request.query.get("model"))
        except RefusedError as error:
            return refusal(error)
        learned = self._models.freeze(model, request.query.get("model_version", ""))
        traffic = self._models.find(model, request.query.get("model_version", ""))
        if learned is None or traffic is None:
            said = f"nothing is being learned of {model!r}"
            if traffic is not None and traffic.reference is None:
                said = f"nothing came of {model!r} yet that could be compared: no number, no word"
            return refusal(RefusedError(409, "no_model", said))
        return web.json_response({"reference": learned.id, "left_out": list(traffic.left_out)})

    async def _answer(
        self,
        road: str,
        request: web.Request,
        read: Callable[[bytes], _Read],
        take: Callable[[_Read], Mapping[str, int]],
        *,
        typed: bool = True,
    ) -> web.Response:
        """Read the body, turn it into rows, count them, and say how that went.

        ``typed``: the body must be JSON by its content type.
        """
        try:
            if typed:
                check_type(request.content_type)
            found, size = await self._bodies.read(request, read)
            taken = take(found)
            if size > INLINE:  # large ones would be much to hold until they are a batch
                self._models.count()
        except RefusedError as error:
            self._tally.refuse(road, error.reason)
            return refusal(error)
        return web.json_response(taken)

    def _take(self, road: str, found: Iterable[Rows]) -> Mapping[str, int]:
        """Count rows; return how many. Raises `RefusedError` where there are too many models."""
        taken, refused = 0, False
        for rows in found:
            if self._models.add(rows):
                taken += rows.size
            else:
                refused = True
        self._tally.take(road, taken)
        if refused:
            raise RefusedError(
                429, "too_many_models", "there are too many models; see drift.max_models"
            )
        return {"rows": taken}

    def _take_labels(self, late: Rows) -> Mapping[str, int]:
        """Hand labels to the rows that they belong to; return how many there are, and how many wait.

        Raises `RefusedError` where there are too many.
        """
        if late.size > MOST_LABELS:
            said = f"more than {MOST_LABELS:,} labels at once; send fewer"
            raise RefusedError(413, "too_large", said)
        waiting = self._models.label(late)
        self._tally.take("labels", late.size)
        return {"rows": late.size, "waiting": waiting}

    def _joined(self, logged: Logged) -> Sequence[Rows]:
        rows = self._joining.add(logged, self._clock())
        if rows is None:
            self._tally.refuse("kserve", "duplicate")
        return rows or ()


def _state(traffic: Traffic) -> dict[str, object]:
    reference = traffic.reference
    return {
        "model": traffic.model,
        "model_version": traffic.model_version,
        "reference": reference.id if reference else None,
        "origin": reference.origin if reference else "",
        "features": len(traffic.counters),
        "rows": traffic.rows,
        "learning": reference is None,
    }


def refusal(error: RefusedError) -> web.Response:
    """Return the answer to what was refused. The connection ends where a body may not have been read."""
    headers = {"Retry-After": str(RETRY_AFTER)} if error.status in {429, 503} else {}
    answer = web.Response(status=error.status, text=f"{error}\n", headers=headers)
    if error.status in _CLOSING:
        answer.force_close()
    return answer
