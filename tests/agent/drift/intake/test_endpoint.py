import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from agent.drift.intake.endpoint import Intake
from agent.drift.intake.tally import IntakeTally
from agent.drift.models import Models
from exporters.guard import guard

Client = TestClient[web.Request, web.Application]
GOOD = {"model": "churn", "model_version": "3", "rows": [{"age": 3, "user": {"plan": "free"}}]}


class Process:
    """An intake behind a client, and what it counted."""

    def __init__(self, **bounds: Any) -> None:
        self.models = Models(clock=lambda: 100.0, most_models=bounds.pop("most_models", 40))
        self.tally = IntakeTally()
        app = web.Application(middlewares=[guard((), intake="/v1/")])
        self.intake = Intake(self.models, self.tally, clock=lambda: 100.0, **bounds)
        app.add_routes(self.intake.routes())
        self.client: Client = TestClient(TestServer(app))

    def refused(self) -> dict[str, float]:
        """Return what was refused, by reason."""
        return {reason: count for (_, reason), count in self.tally.refused.items() if count}


@pytest.fixture
async def process() -> AsyncIterator[Process]:
    """Give an intake with small bounds."""
    process = Process(most_bytes=100_000, most_in_flight=150_000, most_models=2)
    async with process.client:
        yield process


async def test_rows_are_taken_by_path_of_their_features(process: Process) -> None:
    """Nested objects become dotted features, and what stands beside the rows becomes columns."""
    body = {**GOOD, "predictions": ["yes"], "scores": [0.9]}

    answer = await process.client.post("/v1/rows", json=body)

    assert (answer.status, await answer.json()) == (200, {"rows": 1})
    assert process.tally.rows["rows"] == 1
    process.models.count()
    traffic = process.models.find("churn", "3")
    assert traffic is not None
    assert set(traffic._learners) == {"age", "user.plan", "prediction", "score"}


async def test_lines_are_rows(process: Process) -> None:
    """NDJSON has a row a line, the model is in the query, and a row may lack a feature."""
    lines = b'{"a": 1}\n\n{"b": "x"}\n'

    answer = await process.client.post("/v1/rows?model=m&model_version=2", data=lines)

    assert await answer.json() == {"rows": 2}
    process.models.count()
    traffic = process.models.find("m", "2")
    assert traffic is not None
    assert traffic.rows == 2


@pytest.mark.parametrize(
    ("body", "reason", "said"),
    [
        (b"", "malformed", "no JSON"),
        (b"\xff{}", "malformed", "no UTF-8"),
        (b"[" * 50_000, "malformed", "nested too deep"),
        (b'{"model": "m", "rows": [{"a": ' + b"9" * 5_000 + b"}]}", "malformed", "too long"),
        (b"[]", "malformed", "must be an object"),
        (b'{"rows": []}', "no_model", "must name the model"),
        (b'{"model": 3, "rows": []}', "no_model", "must name the model"),
        (b'{"model": "m", "rows": {"a": 1}}', "malformed", "list of objects"),
        (b'{"model": "m", "rows": [1]}', "malformed", "list of objects"),
        (b'{"model": "m", "rows": [], "prediction": []}', "malformed", "known are"),
        (b'{"model": "m", "rows": [{}], "scores": [1, 2]}', "malformed", "as long as"),
        (b'{"model": "m", "model_version": {}, "rows": []}', "malformed", "must be text"),
    ],
)
async def test_nonsense_is_refused_in_words(
    process: Process, body: bytes, reason: str, said: str
) -> None:
    """A sender learns what is wrong with 400, and it is counted by its reason."""
    answer = await process.client.post("/v1/rows", data=body)

    assert answer.status == 400
    assert said in await answer.text()
    assert process.refused() == {reason: 1}


async def test_a_wrong_line_is_named(process: Process) -> None:
    """Of a thousand lines, the one that is wrong can be found."""
    answer = await process.client.post("/v1/rows?model=m", data=b'{"a": 1}\n{"a": \n')

    assert answer.status == 400
    assert "line 2" in await answer.text()


async def test_values_are_never_repeated(process: Process) -> None:
    """What is said about a body does not have its content in it."""
    answer = await process.client.post(
        "/v1/rows", data=b'{"model": "m", "rows": "ann@example.org"}'
    )

    assert "ann" not in await answer.text()


async def test_a_large_body_is_refused_before_it_is_read(process: Process) -> None:
    """413 for what announces too much, for what turns out to be too much, and for what inflates to it."""
    bomb = gzip.compress(b" " * 10_000_000)

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 10_000

    announced = await process.client.post("/v1/rows", data=b" " * 100_001)
    streamed = await process.client.post("/v1/rows", data=endless())
    inflated = await process.client.post(
        "/v1/rows", data=bomb, headers={"Content-Encoding": "gzip"}
    )

    assert [announced.status, streamed.status, inflated.status] == [413, 413, 413]
    assert process.refused() == {"too_large": 3}


async def test_a_compressed_body_is_read(process: Process) -> None:
    """Senders may compress."""
    body = gzip.compress(json.dumps(GOOD).encode())

    answer = await process.client.post("/v1/rows", data=body, headers={"Content-Encoding": "gzip"})

    assert answer.status == 200


async def test_overload_is_told_with_a_time() -> None:
    """Beyond what may be read at once, the answer is 503 and when to try again; then there is room again."""
    process = Process(most_bytes=100_000, most_in_flight=150_000)
    reading, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b'{"model": "m", '
        reading.set()
        await go_on.wait()
        yield b'"rows": [{"a": 1}]}'

    async with process.client:
        first = asyncio.create_task(process.client.post("/v1/rows", data=slow()))
        await reading.wait()
        while not process.intake.in_flight:  # noqa: ASYNC110 - the handler has no event to wait for
            await asyncio.sleep(0)
        second = await process.client.post("/v1/rows", data=b" " * 90_000)
        go_on.set()
        third = await process.client.post("/v1/rows", json=GOOD)

        assert (second.status, second.headers["Retry-After"]) == (503, "5")
        assert ((await first).status, third.status) == (200, 200)
        assert process.refused() == {"overload": 1}


async def test_a_body_has_its_time() -> None:
    """Who trickles a body is refused, and the room that it held is there for others."""
    process = Process(most_bytes=100_000, most_in_flight=100_000, patience=0.05)
    go_on = asyncio.Event()

    async def trickle() -> AsyncIterator[bytes]:
        yield b'{"model": "m", '
        await go_on.wait()

    async with process.client:
        slow = await process.client.post("/v1/rows", data=trickle())
        go_on.set()
        next_one = await process.client.post("/v1/rows", json=GOOD)

        assert (slow.status, next_one.status) == (408, 200)
        assert process.intake.in_flight == 0
        assert process.refused() == {"too_slow": 1}


async def test_models_have_a_limit(process: Process) -> None:
    """A name per request takes no memory: 429, counted."""
    statuses = [
        (await process.client.post("/v1/rows", json={"model": f"m{n}", "rows": [{"a": 1}]})).status
        for n in range(5)
    ]

    assert statuses == [200, 200, 429, 429, 429]
    assert process.refused() == {"too_many_models": 3}
    problems, _ = process.models.take()
    assert {problem.reason for problem in problems} == {"too_many_models"}


async def test_labels_may_come_late(process: Process) -> None:
    """Ids beside the rows, then ids and labels alone: the label is that of the row, and no row of its own."""
    ids = {"ids": ["a", "b"]}
    rows = {**GOOD, **ids, "rows": [{"age": 1}, {"age": 2}], "predictions": ["x", "y"]}
    late = {"model": "churn", "model_version": "3", **ids, "labels": ["x", "x"]}

    first = await process.client.post("/v1/rows", json=rows)
    process.models.count()
    second = await process.client.post("/v1/rows", json=late)
    wrong = await process.client.post("/v1/rows", json={**late, "labels": ["x"]})

    assert (first.status, second.status, wrong.status) == (200, 200, 400)
    process.models.count()
    traffic = process.models.find("churn", "3")
    assert traffic is not None
    assert (traffic.rows, traffic.labels_unmatched) == (2, 0)
