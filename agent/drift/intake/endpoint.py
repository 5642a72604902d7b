"""The HTTP side of the intake. Whoever logs to it must never wait or be hurt: every answer is quick.

Bodies are bounded, one by one and together; beyond that the answer is 413, or 503 with Retry-After, before
the body is read. Small bodies are read in the loop, large ones beside it.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from time import time
from typing import Final, TypeVar

import aiohttp
from aiohttp import web

from agent.drift.intake import bentoml, kserve, otlp_logs, plain_rows, triton_trace
from agent.drift.intake.kserve import Joining, Logged
from agent.drift.intake.otlp_logs import Logs
from agent.drift.intake.refusal import RefusedError
from agent.drift.intake.tally import IntakeTally
from agent.drift.models import Models
from agent.drift.rows import Rows
from agent.drift.traffic import Traffic

MAX_BODY: Final = 8 * 2**20
"""Bytes of one body: some 10,000 rows of 20 features, or one large image, which is no row."""
MAX_IN_FLIGHT: Final = 32 * 2**20
"""Bytes of all bodies that are being read or parsed at once."""
INLINE: Final = 64 * 1024
"""Bytes that are parsed in the loop: less than a millisecond."""
PATIENCE: Final = 30.0
"""Seconds for a body to arrive: it holds room that others want."""
RETRY_AFTER: Final = 5
"""Seconds that a sender should wait after 503."""
_NDJSON: Final = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}
)

_OK: Final = 200
_Read = TypeVar("_Read")


class Intake:
    """Takes bodies and turns them into rows of ``models``; ``tally`` counts what came and what did not."""

    def __init__(
        self,
        models: Models,
        tally: IntakeTally,
        *,
        clock: Callable[[], float] = time,
        most_bytes: int = MAX_BODY,
        most_in_flight: int = MAX_IN_FLIGHT,
        patience: float = PATIENCE,
    ) -> None:
        self._models = models
        self._tally = tally
        self._clock = clock
        self._most_bytes = most_bytes
        self._most_in_flight = most_in_flight
        self._patience = patience
        self._joining = Joining()
        self.in_flight = 0
        """Bytes of bodies that are being read or parsed."""

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of all roads."""
        return [
            web.post("/v1/rows", self.rows),
            web.post("/v1/kserve", self.kserve),
            web.post("/v1/logs", self.logs),
            web.post("/v1/bentoml", self.bentoml),
            web.post("/v1/triton", self.triton),
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

    async def rows(self, request: web.Request) -> web.Response:
        """Take plain rows: JSON, or NDJSON by its content type or by ``?model=``."""
        lines = request.content_type in _NDJSON or "model" in request.query
        query, now = dict(request.query), self._clock()

        def read(data: bytes) -> Rows:
            return (
                plain_rows.from_lines(data, query, now)
                if lines
                else plain_rows.from_json(data, now)
            )

        return await self._answer("rows", request, read, lambda rows: self._take("rows", [rows]))

    async def kserve(self, request: web.Request) -> web.Response:
        """Take what an inference logger sends. A replay is counted and answered as if it were new."""
        headers, kind = dict(request.headers), request.content_type

        def read(data: bytes) -> list[Logged]:
            return kserve.read(headers, kind if "Content-Type" in headers else "", data)

        def take(logged: list[Logged]) -> int:
            return sum(self._take("kserve", self._joined(each)) for each in logged)

        return await self._answer("kserve", request, read, take)

    async def logs(self, request: web.Request) -> web.Response:
        """Take OTLP logs; records that tell nothing of an inference are counted and left out."""
        kind, now = request.content_type, self._clock()

        def take(logs: Logs) -> int:
            if logs.unknown:
                self._tally.refuse("otlp", "wrong_type", logs.unknown)
            return self._take("otlp", logs.rows)

        answer = await self._answer(
            "otlp", request, lambda data: otlp_logs.read(kind, data, now), take
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
        if learned is None:
            return refusal(RefusedError(409, "no_model", f"nothing is being learned of {model!r}"))
        return web.json_response({"reference": learned.id})

    async def _answer(
        self,
        road: str,
        request: web.Request,
        read: Callable[[bytes], _Read],
        take: Callable[[_Read], int],
    ) -> web.Response:
        """Read the body, turn it into rows, count them, and say how that went."""
        try:
            rows = take(await self._with_body(request, read))
        except RefusedError as error:
            self._tally.refuse(road, error.reason)
            return refusal(error)
        return web.json_response({"rows": rows})

    def _take(self, road: str, found: Iterable[Rows]) -> int:
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
        return taken

    def _joined(self, logged: Logged) -> Sequence[Rows]:
        rows = self._joining.add(logged, self._clock())
        if rows is None:
            self._tally.refuse("kserve", "duplicate")
        return rows or ()

    async def _with_body(self, request: web.Request, read: Callable[[bytes], _Read]) -> _Read:
        """Return what ``read`` makes of the body. The room that it takes is given back in any case."""
        announced = request.content_length
        if announced is not None and announced > self._most_bytes:
            raise self._too_large()
        room = self._most_bytes if announced is None else announced
        if self.in_flight + room > self._most_in_flight and self.in_flight:
            raise RefusedError(503, "overload", "too much is being read already; try again later")
        self.in_flight += room
        try:
            data = await self._body(request)
            return read(data) if len(data) <= INLINE else await asyncio.to_thread(read, data)
        finally:
            self.in_flight -= room

    async def _body(self, request: web.Request) -> bytes:
        """Return the body, decompressed, as long as it stays within bounds of size and time."""
        parts, size = [], 0
        try:
            async with asyncio.timeout(self._patience):
                async for part in request.content.iter_any():
                    size += len(part)
                    if size > self._most_bytes:
                        raise self._too_large()
                    parts.append(part)
        except TimeoutError:
            said = f"the body did not arrive within {self._patience:g} s; send fewer rows at once"
            raise RefusedError(408, "too_slow", said) from None
        except (web.RequestPayloadError, aiohttp.ClientPayloadError) as error:
            raise RefusedError(
                400, "malformed", "the body ends early or is compressed wrongly"
            ) from error
        return b"".join(parts)

    def _too_large(self) -> RefusedError:
        most = self._most_bytes // 2**20
        return RefusedError(
            413, "too_large", f"the body is larger than {most} MiB; send fewer rows at once"
        )


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
    if error.status in {408, 413, 503}:
        answer.force_close()
    return answer
