from typing import Any

import pytest
from aiohttp import web

from agent.catalogue import probe
from agent.collectors.probe import Plan
from agent.snapshot import Batch, Distribution
from tests.agent.collectors.probe.asking import failure, probed, value

X = {"name": "x", "datatype": "FP32", "shape": [-1, 3]}
Y = {"name": "y", "datatype": "FP32", "shape": [1], "data": [0.0]}


class Server:
    """A small server of the open inference protocol, which keeps what it was asked."""

    def __init__(self, inputs: object = (X,), outputs: object = (Y,)) -> None:
        self._inputs = inputs
        self._outputs = outputs
        self.ready = 200
        self.asked: list[dict[str, Any]] = []

    async def probed(self, **plan: Any) -> Batch:
        """Run, and be probed once."""
        app = web.Application()
        app.router.add_get("/base/v2/health/ready", self._ready)
        app.router.add_get("/base/v2/models/m", self._metadata)
        app.router.add_post("/base/v2/models/m/infer", self._infer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            url = f"http://127.0.0.1:{runner.addresses[0][1]}/base/"
            return await probed(Plan(**{"kind": "triton", "url": url, "model": "m", **plan}))
        finally:
            await runner.cleanup()

    async def _ready(self, _: web.Request) -> web.Response:
        return web.Response(status=self.ready)

    async def _metadata(self, _: web.Request) -> web.Response:
        return web.json_response({"name": "m", "inputs": self._inputs})

    async def _infer(self, request: web.Request) -> web.Response:
        self.asked.append(await request.json())
        return web.json_response({"model_name": "m", "outputs": self._outputs})


@pytest.mark.parametrize("kind", ["triton", "kserve_v2"])
async def test_an_inference_is_a_success_with_its_duration(kind: str) -> None:
    """An answer with an output counts as answered; there is no first token and none is paid."""
    batch = await Server().probed(kind=kind)

    duration = value(batch, probe.DURATION, "m")
    assert isinstance(duration, Distribution)
    assert duration.observations == 1
    assert duration.sum > 0
    assert value(batch, probe.SUCCESS) == 1
    assert value(batch, probe.TIME_TO_FIRST_TOKEN, "m") is None
    assert value(batch, probe.TOKENS) == 0


async def test_inputs_are_made_of_the_metadata() -> None:
    """Each input has its type and shape, 1 where the size is open, and zeros of its kind."""
    text = {"name": "t", "datatype": "BYTES", "shape": [1]}
    flag = {"name": "b", "datatype": "BOOL", "shape": [2]}
    server = Server((X, text, flag))

    await server.probed()

    (body,) = server.asked
    assert body["inputs"] == [
        {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [0.0, 0.0, 0.0]},
        {"name": "t", "datatype": "BYTES", "shape": [1], "data": [""]},
        {"name": "b", "datatype": "BOOL", "shape": [2], "data": [False, False]},
    ]


async def test_a_configured_body_is_sent_as_it_is() -> None:
    """Where a body is configured, the metadata is not asked for."""
    server = Server(inputs=None)

    await server.probed(body={"inputs": [1]})

    assert server.asked == [{"inputs": [1]}]


async def test_a_server_that_says_that_it_is_not_ready_is_not_asked() -> None:
    """A bad readiness is its own failure, and no inference is sent."""
    server = Server()
    server.ready = 400

    batch = await server.probed()

    assert failure(batch) == "not_ready"
    assert server.asked == []


@pytest.mark.parametrize(
    "inputs",
    [
        (),
        None,
        "x",
        [1],
        [{"name": "x"}],
        [{**X, "datatype": "FP16"}],
        [{**X, "shape": ["1"]}],
        [{**X, "shape": [True]}],
        [{**X, "shape": [1 << 80]}],
        [{**X, "shape": [1000, 1000]}],
        [{**X, "shape": [1] * 17}],
        [{**X, "shape": [40_000]}, {**X, "shape": [40_000]}],
    ],
)
async def test_inputs_that_cannot_be_made_up_are_a_named_failure(inputs: object) -> None:
    """No request is guessed; the failure says that a body must be configured."""
    server = Server(inputs)

    batch = await server.probed()

    assert failure(batch) == "no_input"
    assert "body" in batch.problems[0].detail
    assert server.asked == []


@pytest.mark.parametrize(
    ("outputs", "reason"),
    [(None, "malformed"), ([1], "malformed"), ([], "empty"), ([{"data": []}], "empty")],
)
async def test_an_answer_without_an_output_is_a_named_failure(outputs: object, reason: str) -> None:
    """An answer must be outputs, and one of them must have data."""
    batch = await Server(outputs=outputs).probed()

    assert failure(batch) == reason


async def test_another_model_is_refused() -> None:
    """A model that the server does not have is a failure of HTTP, whatever its name holds."""
    batch = await Server().probed(model="m/../../../x y")

    assert failure(batch) == "refused"
