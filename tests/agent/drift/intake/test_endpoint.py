import asyncio
import gzip
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from agent.drift.intake.bodies import Bodies
from agent.drift.intake.endpoint import Intake
from agent.drift.intake.tally import IntakeTally
from agent.drift.models import Models
from agent.drift.selection import Selection
from exporters.guard import guard

Client = TestClient[web.Request, web.Application]
GOOD = {"model": "churn", "model_version": "3", "rows": [{"age": 3, "user": {"plan": "free"}}]}


class Process:
    """An intake behind a client, and what it counted."""

    def __init__(self, **bounds: Any) -> None:
        self.models = Models(clock=lambda: 100.0, most_models=bounds.pop("most_models", 40))
        self.tally = IntakeTally()
        app = web.Application(middlewares=[guard((), intake="/v1/")])
        self.bodies = Bodies(**bounds)
        self.intake = Intake(self.models, self.tally, clock=lambda: 100.0, bodies=self.bodies)
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
        (b'{"model": "m", "rows": [{}], "ids": [[1]]}', "malformed", "an id must be"),
        (b'{"model": "m", "ids": [null], "labels": [1]}', "malformed", "an id must be"),
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


async def test_a_document_is_no_line(process: Process) -> None:
    """Who names the model in the query and sends the document of rows learns which of both to leave."""
    answer = await process.client.post("/v1/rows?model=m", json=GOOD)

    assert answer.status == 400
    assert "name the model in the body" in await answer.text()


@pytest.mark.parametrize(
    ("predictions", "told"),
    [
        (["a", None], {"prediction": ["a", None]}),
        ([[0.25, 0.75], [0.5, 0.5]], {"prediction.0": [0.25, 0.5], "prediction.1": [0.75, 0.5]}),
        (
            [{"class": "a", "p": 0.5}, {"class": "b"}],
            {"prediction.class": ["a", "b"], "prediction.p": [0.5, None]},
        ),
    ],
)
async def test_predictions_of_any_shape_are_those_of_a_logger(
    process: Process, predictions: list[object], told: dict[str, list[object]]
) -> None:
    """A list is a class each, an object a field each, as in what an inference logger sends."""
    rows = [{"a": 1}, {"a": 2}]
    lines = [
        {**row, "prediction": prediction} for row, prediction in zip(rows, predictions, strict=True)
    ]
    document = {"model": "m", "rows": rows, "predictions": predictions}

    for path, sent in (
        ("/v1/rows", json.dumps(document)),
        ("/v1/rows?model=m", "\n".join(map(json.dumps, lines))),
        ("/v1/bentoml?model=m&prediction=prediction", "\n".join(map(json.dumps, lines))),
    ):
        await process.client.post(path, data=sent.encode())
        (waiting,) = process.models._gathering.take(("m", ""))
        assert waiting.columns == {"a": [1, 2], **told}


@pytest.mark.parametrize("selected", [False, True])
async def test_rows_without_a_feature_lack_each_of_them(*, selected: bool) -> None:
    """A row of nothing is a row: all that the reference knows is missing in it."""
    process = Process()
    if selected:
        process.models._selections = [Selection(exclude=("b",))]
    async with process.client:
        await process.client.post("/v1/rows", json={"model": "m", "rows": [{"a": 1.0}] * 100})
        process.models.freeze("m", "")

        for path, body in (
            ("/v1/rows", b'{"model": "m", "rows": [{}, {}]}'),
            ("/v1/rows?model=m", b"{}"),
            ("/v1/rows?model=m", b'{"b": 1}'),
        ):
            answer = await process.client.post(path, data=body)
            assert await answer.json() == {"rows": body.count(b"}") - body.count(b'"rows"')}

        process.models.count()
        traffic = process.models.find("m", "")
        assert traffic is not None
        assert traffic.rows == 4
        assert traffic.counters["a"].counts[-2] == 4


async def test_all_features_of_a_row_are_taken_or_none() -> None:
    """As many as a model may have at most: no part of a row is left out without a word."""
    process = Process()
    row = {f"k{number}": number for number in range(10_001)}
    async with process.client:
        refused = await process.client.post("/v1/rows", json={"model": "m", "rows": [row]})
        said = await refused.text()
        del row["k0"]
        taken = await process.client.post("/v1/rows", json={"model": "m", "rows": [row]})

    assert (refused.status, taken.status) == (413, 200)
    assert "10,000 features" in said


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
        yield b" " * 80_000 + b'{"model": "m", '
        reading.set()
        await go_on.wait()
        yield b'"rows": [{"a": 1}]}'

    async with process.client:
        first = asyncio.create_task(process.client.post("/v1/rows", data=slow()))
        await reading.wait()
        while not process.bodies.in_flight < 80_000:  # noqa: ASYNC110 - the handler has no event to wait for
            await asyncio.sleep(0)
        second = await process.client.post("/v1/rows", data=b" " * 90_000)
        go_on.set()
        third = await process.client.post("/v1/rows", json=GOOD)

        assert (second.status, second.headers["Retry-After"]) == (503, "5")
        assert ((await first).status, third.status) == (200, 200)
        assert process.refused() == {"overload": 1}


async def test_slow_senders_take_no_room_from_others() -> None:
    """Who announces much and sends little holds only that, and is told 408 in the end."""
    process = Process(most_bytes=100_000, most_in_flight=150_000, most_seconds=0.2)

    async def dribble() -> AsyncIterator[bytes]:
        yield b" "
        await asyncio.sleep(30)

    async with process.client:
        headers = {"Content-Length": "99000"}
        slow = [
            asyncio.create_task(process.client.post("/v1/rows", data=dribble(), headers=headers))
            for _ in range(4)
        ]
        while process.bodies.in_flight < len(slow):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
        answer = await process.client.post("/v1/rows", json=GOOD)

        assert answer.status == 200
        assert [each.status for each in await asyncio.gather(*slow)] == [408] * 4
        assert process.refused() == {"too_slow": 4}
        assert process.bodies.in_flight == 0


@pytest.mark.parametrize("kind", ["text/plain", "image/png", "multipart/form-data", "text/csv"])
@pytest.mark.parametrize("road", ["rows", "bentoml", "triton", "logs", "labels"])
async def test_what_says_it_is_no_json_is_refused(process: Process, road: str, kind: str) -> None:
    """A wrong content type is 415 on every road, whatever the body looks like."""
    answer = await process.client.post(
        f"/v1/{road}?model=m", data=b"{}", headers={"Content-Type": kind}
    )

    assert answer.status == 415
    assert "application/json" in await answer.text()
    assert process.refused() == {"wrong_type": 1}


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "APPLICATION/JSON", None])
async def test_parameters_of_a_content_type_do_not_matter(
    process: Process, kind: str | None
) -> None:
    """Case and charset say nothing about JSON; curl and many others say nothing at all."""
    headers = {} if kind is None else {"Content-Type": kind}

    answer = await process.client.post("/v1/rows", data=json.dumps(GOOD).encode(), headers=headers)

    assert answer.status == 200


@pytest.mark.parametrize(
    "rows",
    [
        [{f"k{n}": 1} for n in range(3_000)],
        [{f"k{n}": 1 for n in range(start, start + 900)} for start in range(0, 1_350_000, 900)],
    ],
    ids=["one each", "many each"],
)
async def test_rows_that_have_nothing_in_common_take_no_memory(rows: list[dict[str, int]]) -> None:
    """A column for each feature of each row would be the square of the body: 413, at once."""
    process = Process(most_bytes=30_000_000, most_in_flight=30_000_000)

    async with process.client:
        body = io.BytesIO(json.dumps({"model": "m", "rows": rows}).encode())
        answer = await process.client.post("/v1/rows", data=body)

        assert answer.status == 413
        assert "same features" in await answer.text()


@pytest.mark.parametrize("empty", ["{}", "[]", "[1]"])
async def test_a_body_of_nothing_but_brackets_takes_no_memory(empty: str) -> None:
    """Eight megabytes of empty objects would be hundreds of them in memory: 413 before they are made."""
    process = Process()
    body = f'{{"model": "m", "rows": [{",".join([empty] * 250_000)}]}}'.encode()

    async with process.client:
        answer = await process.client.post("/v1/rows", data=io.BytesIO(body))

        assert answer.status == 413
        assert process.refused() == {"too_large": 1}


async def test_requests_that_have_nothing_in_common_take_no_memory(process: Process) -> None:
    """Single rows with other features each are counted before they are many columns by many rows."""
    for start in range(0, 40_000, 1_000):
        row = {f"k{n}": 1 for n in range(start, start + 1_000)}
        await process.client.post("/v1/rows", json={"model": "m", "rows": [row]})

    traffic = process.models.find("m", "")
    assert traffic is not None
    assert traffic.rows >= 30
    assert traffic.schema_violations >= 30_000


@pytest.mark.parametrize(
    "body",
    [
        b'{"model": "m\\ud800", "rows": [{"a": 1}]}',
        b'{"model": "m", "rows": [{"a\\uDFFF": 1}]}',
        b'{"model": "m", "rows": [{"a": "\\udc00x"}]}',
        b'{"model": "m", "rows": [{"a": "\xed\xa0\x80"}]}',
        b'{"model": "m", "rows": [{"a": 1, "a": 2}]}',
        b'{"model": "m", "rows": [{"a.b": 1, "a": {"b": 2}}]}',
    ],
)
async def test_what_has_no_meaning_is_refused(process: Process, body: bytes) -> None:
    """Half of a character can be in no label, and of two values of one key none is the right one."""
    answer = await process.client.post("/v1/rows", data=body)

    assert answer.status == 400
    assert process.refused() == {"malformed": 1}


async def test_a_whole_character_in_two_halves_is_taken(process: Process) -> None:
    """JSON writes what is beyond 16 bits as a pair."""
    body = b'{"model": "m", "rows": [{"mood": "\\ud83d\\ude00"}]}'

    answer = await process.client.post("/v1/rows", data=body)

    assert answer.status == 200


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 400])
@pytest.mark.parametrize("learning", [True, False])
async def test_numbers_that_are_none_are_counted(
    process: Process, number: str, *, learning: bool
) -> None:
    """NaN is missing, infinity and what no float holds are out of range; none of it stops the counting."""
    if not learning:
        await process.client.post("/v1/rows", json={"model": "m", "rows": [{"a": 1.0}] * 100})
        process.models.freeze("m", "")
    body = f'{{"model": "m", "rows": [{{"a": {number}, "score": {number}, "label": 1}}]}}'

    answer = await process.client.post("/v1/rows", data=body.encode())

    process.models.count()
    assert answer.status == 200
    traffic = process.models.find("m", "")
    assert traffic is not None
    if not learning:
        missing, other = traffic.counters["a"].counts[-2:]
        assert (missing, other) == ((1, 0) if number == "NaN" else (0, 1))
        assert traffic.counters["a"].issues["out_of_range"] == other


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
