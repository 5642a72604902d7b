"""Labels find the predictions that they belong to, by the id of the event, whenever they come."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from agent.drift.awaited import MOST_LABELS, PATIENCE, TIME_TO_LIVE
from agent.drift.collector import DriftCollector
from agent.drift.intake.endpoint import Intake
from agent.drift.intake.tally import IntakeTally
from agent.drift.models import Models
from agent.drift.selection import Selection
from agent.drift.traffic import Learning, Traffic


class Process:
    """An intake behind a client, by a clock of its own."""

    def __init__(self, *selections: Selection) -> None:
        self.now = 1_000.0
        self.models = Models(
            clock=lambda: self.now,
            learning=Learning(rows=10, seconds=0),
            selections=selections or [Selection(model="half", share=0.5)],
        )
        self.tally = IntakeTally()
        app = web.Application()
        self.intake = Intake(self.models, self.tally, clock=lambda: self.now)
        app.add_routes(self.intake.routes())
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
        """Send labels; return how many of them wait for their row."""
        body = {"model": "iris", "ids": ids, "labels": labels, **more}
        answer = await self.client.post("/v1/labels", json=body)
        assert answer.status == 200
        told: dict[str, int] = await answer.json()
        return told["waiting"]

    def unmatched(self) -> float:
        """Return how many labels of the model belong to no row, an hour after the last one."""
        self.now += PATIENCE
        return self.traffic().labels_unmatched + self.traffic("2").labels_unmatched

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

    waiting = await process.label(["e1", "e2", "e3"], ["a", "a", "a"])

    assert waiting == 1
    assert process.outcomes() == {"right": 1, "wrong": 1}
    assert process.traffic().labels_unmatched + process.traffic("2").labels_unmatched == 0
    assert process.unmatched() == 1
    assert process.tally.rows["labels"] == 3
    assert process.traffic().rows == 2


async def test_an_event_of_several_rows_has_several_labels(process: Process) -> None:
    """A list of labels is one for each row of the event, in order."""
    await process.predict("e1", ["a", "b", "c"])

    waiting = await process.label(["e1"], [["a", "b", "x"]])

    assert waiting == 0
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
    process.now += PATIENCE
    assert process.traffic("2").labels_unmatched == 1


async def test_labels_come_as_lines(process: Process) -> None:
    """NDJSON has an id and a label a line, and the model in the query."""
    await process.predict("e1", ["a"])
    lines = b'{"id": "e1", "label": "a"}\n\n{"id": 7, "label": "a"}\n'

    answer = await process.client.post("/v1/labels?model=iris", data=lines)

    assert await answer.json() == {"rows": 2, "waiting": 1}
    assert process.outcomes() == {"right": 1, "wrong": 0}


async def test_labels_have_a_week(process: Process) -> None:
    """What came too late or twice is a miss and never a guess."""
    await process.predict("e1", ["a"])
    await process.predict("e2", ["a"])
    await process.label(["e2", "e2"], ["a", "a"])
    process.models.count()
    process.now += TIME_TO_LIVE / 2
    await process.predict("x", ["a"])
    process.now += TIME_TO_LIVE / 2 + 1
    await process.predict("y", ["a"])

    await process.label(["e1"], ["a"])

    assert process.outcomes() == {"right": 1, "wrong": 0}
    assert process.unmatched() == 2


@pytest.mark.parametrize("version", ["", "2", "new"])
@pytest.mark.parametrize("told", [False, True])
async def test_labels_may_come_first(process: Process, version: str, *, told: bool) -> None:
    """What is counted is the same as if they had come later, of a version that is not known yet as well."""
    named = {"model_version": version} if told else {}

    waiting = await process.label(["e1", "e2"], ["a", "b"], **named)
    process.traffic()
    await process.predict("e2", ["a"], version=version)
    process.now += PATIENCE - 1
    await process.predict("e1", ["a"], version=version)
    for number in range(10):
        await process.predict(f"n{number}", ["a"], version=version)

    found = process.traffic(version)
    assert waiting == 2
    if version == "new":
        assert found.reference is not None
        assert found.reference.by_name["label.length"].samples == 2
    else:
        assert process.outcomes(version) == {"right": 1, "wrong": 1}
    process.now += PATIENCE
    assert process.traffic(version).labels_unmatched == 0
    assert len(process.models._halves.labels) == 0


async def test_labels_of_a_model_of_which_nothing_came_wait_as_well(process: Process) -> None:
    """They find its first row; those of a model that never comes are refused in the end, with no series."""
    await process.label(["e1"], ["a"], model="fresh")
    await process.label(["e1", "e2"], ["a", "b"], model="nobody")
    await process.predict("e1", ["a"], model="fresh")
    collector = DriftCollector(
        process.models, process.tally, lambda: process.now, settle=process.intake.settle
    )
    for _ in range(3):
        await collector.collect()
        process.now += PATIENCE

    learned = process.models.freeze("fresh", "")
    assert learned is not None
    assert learned.by_name["label.length"].samples == 1
    assert process.traffic(model="fresh").labels_unmatched == 0
    assert process.tally.refused["labels", "no_model"] == 2
    assert process.models.find("nobody", "") is None


async def test_labels_that_wait_make_room_for_newer_ones(process: Process) -> None:
    """There are so many of them and no more, long ones count as several, and none goes uncounted."""
    ids: list[object] = [f"n{number}" for number in range(MOST_LABELS + 50)]
    for place in range(0, len(ids), 10_000):
        await process.label(ids[place : place + 10_000], ["a"] * len(ids[place : place + 10_000]))
    await process.label(["long"], ["x" * 64_000])

    await process.predict("n1050", ["a"])
    await process.predict("n1051", ["a"])
    process.models.count()

    assert len(process.models._halves.labels) == MOST_LABELS - 1_001
    assert process.outcomes() == {"right": 1, "wrong": 0}
    assert process.traffic().labels_unmatched + process.traffic("2").labels_unmatched == 1_051
    assert process.unmatched() == MOST_LABELS + 50


async def test_a_label_in_a_request_waits_for_the_answer(process: Process) -> None:
    """Where one row has the label and another the answer, by one id, either may be first."""
    label: dict[str, object] = {"rows": [{"x": 1.0}], "labels": ["a"], "ids": ["e1"]}
    answer: dict[str, object] = {"rows": [{"x": 1.0}], "predictions": ["a"], "ids": ["e1"]}
    for body in (label, answer):
        sent = await process.client.post("/v1/rows", json={"model": "iris", **body})
        assert sent.status == 200

    assert process.outcomes() == {"right": 1, "wrong": 0}
    assert process.unmatched() == 0


async def test_of_two_early_labels_the_later_one_counts(process: Process) -> None:
    """The other one is a miss."""
    await process.label(["e1", "e1"], ["b", "a"])

    await process.predict("e1", ["a"])

    assert process.outcomes() == {"right": 1, "wrong": 0}
    assert process.traffic().labels_unmatched + process.traffic("2").labels_unmatched == 1


async def test_early_labels_that_are_hashed_wait_as_hashes() -> None:
    """What is only to be seen as a hash is kept as nothing else, and agrees with what is hashed later."""
    process = Process(Selection(hashed=("label", "prediction")))
    async with process.client:
        for number in range(10):
            await process.predict(f"n{number}", ["yes"])
        await process.label(["e1"], ["yes"])

        assert "yes" not in str([*process.models._halves.labels._waiting.values()])
        await process.predict("e1", ["yes"])

        assert process.outcomes() == {"right": 1, "wrong": 0}


async def test_labels_of_a_sampled_model_are_not_sampled(process: Process) -> None:
    """Each label of a row that was looked at is counted, and each other one is a miss."""
    for number in range(200):
        await process.predict(f"s{number}", ["a"], model="half")
    kept = len(process.models._halves.rows)
    process.traffic(model="half")
    kept = len(process.models._halves.rows) - 20

    await process.label([f"s{n}" for n in range(200)], ["a"] * 200, model="half")

    assert 50 < kept < 150
    process.now += PATIENCE
    assert process.traffic(model="half").labels_unmatched == 200 - kept


async def test_texts_are_not_kept_until_their_label_comes(process: Process) -> None:
    """A long answer waits as a hash, which is as good to compare."""
    text = "a long answer " * 20
    await process.predict("e1", [text])
    process.models.count()
    waiting = process.models._halves.rows

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


@pytest.mark.parametrize("road", ["/v1/labels", "/v1/rows"])
async def test_too_many_labels_at_once_are_refused(process: Process, road: str) -> None:
    """Looking them up would keep other senders waiting; none of them is taken."""
    ids = [str(number) for number in range(20_001)]

    answer = await process.client.post(
        road, json={"model": "iris", "ids": ids, "labels": [1] * len(ids)}
    )

    assert answer.status == 413
    assert "20,000 labels" in await answer.text()
    assert len(process.models._halves.labels) == 0


async def test_lines_that_are_no_labels_are_refused(process: Process) -> None:
    """The line is named."""
    answer = await process.client.post(
        "/v1/labels?model=iris", data=b'{"id": "e1", "label": 1}\n{"id": "e2"}\n'
    )

    assert answer.status == 400
    assert "line 2" in await answer.text()
