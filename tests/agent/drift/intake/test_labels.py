"""Labels find the predictions that they belong to, by the id of the event, whenever they come."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from agent.drift.intake.endpoint import Intake
from agent.drift.intake.tally import IntakeTally
from agent.drift.models import Models
from agent.drift.performance_labels import TIME_TO_LIVE
from agent.drift.selection import Selection
from agent.drift.traffic import Learning, Traffic


class Process:
    """An intake behind a client, by a clock of its own."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.models = Models(
            clock=lambda: self.now,
            learning=Learning(rows=10, seconds=0),
            selections=[Selection(model="half", share=0.5)],
        )
        self.tally = IntakeTally()
        app = web.Application()
        app.add_routes(Intake(self.models, self.tally, clock=lambda: self.now).routes())
        self.client: TestClient[web.Request, web.Application] = TestClient(TestServer(app))

    async def predict(
        self, identity: str, predictions: list[object], *, model: str = "iris", version: str = ""
    ) -> None:
        """Send what a logger logs of one inference."""
        answer: dict[str, object] = {"predictions": predictions}
        if version:
            answer["model_version"] = version
        for kind, body in (
            ("request", {"instances": [[1.0]] * len(predictions)}),
            ("response", answer),
        ):
            headers = {
                "Ce-Specversion": "1.0",
                "Ce-Type": f"org.kubeflow.serving.inference.{kind}",
                "Ce-Id": identity,
                "Ce-Inferenceservicename": model,
            }
            answered = await self.client.post("/v1/kserve", json=body, headers=headers)
            assert answered.status == 200

    async def label(self, ids: list[object], labels: list[object], **more: str) -> int:
        """Send labels; return the status."""
        body = {"model": "iris", "ids": ids, "labels": labels, **more}
        return (await self.client.post("/v1/labels", json=body)).status

    def traffic(self, version: str = "", model: str = "iris") -> Traffic:
        """Return what is known of a version of the model, all being counted."""
        self.models.count()
        found = self.models.find(model, version)
        assert found is not None
        return found

    def outcomes(self, version: str = "") -> dict[str, int]:
        """Return how many predictions were right and wrong."""
        counted = self.traffic(version).labels
        found: dict[str, int] = {}
        for (_, outcome), count in counted or ():
            found[outcome] = found.get(outcome, 0) + count
        return found


@pytest.fixture
async def process() -> AsyncIterator[Process]:
    """Give an intake whose model has a reference."""
    process = Process()
    async with process.client:
        for version in ("", "2"):
            for number in range(10):
                await process.predict(f"first-{version}-{number}", ["a"], version=version)
            assert process.traffic(version).reference is not None
        yield process


async def test_labels_find_events_by_their_id(process: Process) -> None:
    """A label is held against what the event's response said; what nobody said is counted."""
    await process.predict("e1", ["a"])
    await process.predict("e2", ["b"])
    process.now += 3 * 86_400

    status = await process.label(["e1", "e2", "e3"], ["a", "a", "a"])

    assert status == 200
    assert process.outcomes() == {"right": 1, "wrong": 1}
    assert process.traffic().labels_unmatched + process.traffic("2").labels_unmatched == 1
    assert process.tally.rows["labels"] == 3
    assert process.traffic().rows == 2


async def test_an_event_of_several_rows_has_several_labels(process: Process) -> None:
    """A list of labels is one for each row of the event, in order."""
    await process.predict("e1", ["a", "b", "c"])

    status = await process.label(["e1"], [["a", "b", "x"]])

    assert status == 200
    assert process.outcomes() == {"right": 2, "wrong": 1}


async def test_the_version_may_be_left_out(process: Process) -> None:
    """Who labels seldom knows which version answered: the event does."""
    await process.predict("e1", ["a"])
    await process.predict("e2", ["a"], version="2")

    await process.label(["e2", "e1"], ["a", "b"])

    assert process.outcomes("2") == {"right": 1, "wrong": 0}
    assert process.outcomes() == {"right": 0, "wrong": 1}


async def test_a_version_that_is_named_is_the_one(process: Process) -> None:
    """A label of another version's event finds nothing."""
    await process.predict("e1", ["a"])

    await process.label(["e1"], ["a"], model_version="2")

    assert process.outcomes() == {}
    assert process.traffic("2").labels_unmatched == 1


async def test_labels_come_as_lines(process: Process) -> None:
    """NDJSON has an id and a label a line, and the model in the query."""
    await process.predict("e1", ["a"])
    lines = b'{"id": "e1", "label": "a"}\n\n{"id": 7, "label": "a"}\n'

    answer = await process.client.post("/v1/labels?model=iris", data=lines)

    assert await answer.json() == {"rows": 2}
    assert process.outcomes() == {"right": 1, "wrong": 0}


async def test_labels_have_a_week(process: Process) -> None:
    """What came too late, twice, or of no model, is a miss and never a guess."""
    await process.predict("e1", ["a"])
    await process.predict("e2", ["a"])
    await process.label(["e2", "e2"], ["a", "a"])
    process.models.count()
    process.now += TIME_TO_LIVE / 2
    await process.predict("x", ["a"])
    process.now += TIME_TO_LIVE / 2 + 1
    await process.predict("y", ["a"])

    await process.label(["e1"], ["a"])
    unknown = await process.label(["e1"], ["a"], model="nobody")

    assert process.outcomes() == {"right": 1, "wrong": 0}
    assert process.traffic().labels_unmatched + process.traffic("2").labels_unmatched == 2
    assert unknown == 404
    assert process.tally.refused["labels", "no_model"] == 1
    assert process.models.find("nobody", "") is None


async def test_labels_of_a_sampled_model_are_not_sampled(process: Process) -> None:
    """Each label of a row that was looked at is counted, and each other one is a miss."""
    for number in range(200):
        await process.predict(f"s{number}", ["a"], model="half")
    kept = len(process.models._awaited)
    process.traffic(model="half")
    kept = len(process.models._awaited) - 20

    await process.label([f"s{n}" for n in range(200)], ["a"] * 200, model="half")

    assert 50 < kept < 150
    assert process.traffic(model="half").labels_unmatched == 200 - kept


async def test_texts_are_not_kept_until_their_label_comes(process: Process) -> None:
    """A long answer waits as a hash, which is as good to compare."""
    text = "a long answer " * 20
    await process.predict("e1", [text])
    process.models.count()
    waiting = process.models._awaited

    assert text not in str([*waiting._young.values()])
    await process.label(["e1"], [text])
    assert process.outcomes() == {"right": 1, "wrong": 0}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([], "an object"),
        ({"model": "iris", "ids": ["a"]}, "the same length"),
        ({"model": "iris", "ids": ["a"], "labels": []}, "the same length"),
        ({"model": "iris", "ids": [None], "labels": [1]}, "an id must be"),
        ({"model": "iris", "ids": [True], "labels": [1]}, "an id must be"),
        ({"ids": ["a"], "labels": [1]}, "must name the model"),
        ({"model": "iris", "ids": [], "labels": [], "label": 1}, "known are"),
    ],
)
async def test_what_is_no_label_is_refused(process: Process, body: Any, said: str) -> None:
    """A sender learns what is wrong with 400."""
    answer = await process.client.post("/v1/labels", data=json.dumps(body).encode())

    assert answer.status == 400
    assert said in await answer.text()


async def test_lines_that_are_no_labels_are_refused(process: Process) -> None:
    """The line is named."""
    answer = await process.client.post(
        "/v1/labels?model=iris", data=b'{"id": "e1", "label": 1}\n{"id": "e2"}\n'
    )

    assert answer.status == 400
    assert "line 2" in await answer.text()
