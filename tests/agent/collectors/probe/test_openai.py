import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from agent.catalogue import probe
from agent.collectors.probe import Plan
from agent.snapshot import Distribution
from tests.agent.collectors.probe.asking import failure, probed, value


class Server:
    """A small OpenAI-compatible server, which keeps what it was asked."""

    def __init__(self, *pieces: object, pause: float = 0.0) -> None:
        self._pieces = pieces
        self._pause = pause
        self.asked: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.models: object = {"object": "list", "data": [{"id": "tiny"}, {"id": "other"}]}

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """Stream the pieces."""
        self.asked.append((request.path, await request.json(), dict(request.headers)))
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        for piece in self._pieces:
            await asyncio.sleep(self._pause)
            text = piece if isinstance(piece, str) else json.dumps(piece)
            await answer.write(f"data: {text}\n\n".encode())
        return answer

    async def list_models(self, _: web.Request) -> web.Response:
        """Tell the models."""
        return web.json_response(self.models)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Listen; give the URL."""
        app = web.Application()
        app.router.add_post("/v1/completions", self.complete)
        app.router.add_post("/v1/chat/completions", self.complete)
        app.router.add_get("/v1/models", self.list_models)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


def text(words: str, finish: str | None = None) -> dict[str, Any]:
    """Return a piece of a completion."""
    return {"choices": [{"index": 0, "text": words, "finish_reason": finish}]}


def delta(finish: str | None = None, **fields: str) -> dict[str, Any]:
    """Return a piece of a chat."""
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


USAGE = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 4}}


async def test_a_completion_is_a_success_with_its_times_and_tokens() -> None:
    """A stream with text and an end counts as answered, with the first token before the end."""
    server = Server(text(""), text(" one"), text(" two", "length"), USAGE, "[DONE]", pause=0.02)

    async with server.running() as url:
        batch = await probed(Plan(kind="openai", url=url, model="tiny"))

    whole = value(batch, probe.DURATION, "tiny")
    first = value(batch, probe.TIME_TO_FIRST_TOKEN, "tiny")
    assert isinstance(whole, Distribution)
    assert isinstance(first, Distribution)
    assert whole.observations == first.observations == 1
    assert 0.04 <= first.sum <= whole.sum - 0.04
    assert value(batch, probe.SUCCESS) == 1
    assert value(batch, probe.TOKENS) == 9
    assert batch.problems == ()


async def test_the_request_is_small_and_marked() -> None:
    """The request asks for few tokens, no randomness and a stream, and says that it is a probe."""
    server = Server(text("1", "length"), "[DONE]")

    async with server.running() as url:
        await probed(Plan(kind="openai", url=url, model="tiny", max_tokens=3, prompt="Hello"))

    ((path, body, headers),) = server.asked
    assert path == "/v1/completions"
    assert body["model"] == "tiny"
    assert body["prompt"] == "Hello"
    assert (body["max_tokens"], body["temperature"], body["stream"]) == (3, 0, True)
    assert headers["X-Warpwatch-Probe"] == "1"
    assert headers["User-Agent"].startswith("warpwatch-probe/")


async def test_a_chat_is_asked_by_messages() -> None:
    """With chat, the prompt is a message; a role alone is no token, text in the delta is."""
    server = Server(delta(role="assistant"), delta(content="hi"), delta("stop"), "[DONE]")

    async with server.running() as url:
        batch = await probed(Plan(kind="openai", url=url, model="tiny", chat=True, prompt="Hello"))

    ((path, body, _),) = server.asked
    assert path == "/v1/chat/completions"
    assert body["messages"] == [{"role": "user", "content": "Hello"}]
    assert value(batch, probe.SUCCESS) == 1


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
async def test_thinking_aloud_is_a_token(field: str) -> None:
    """A model that thinks before it answers shows its first token while it thinks."""
    server = Server(delta(**{field: "hm"}), delta("length"), "[DONE]")

    async with server.running() as url:
        batch = await probed(Plan(kind="openai", url=url, model="tiny", chat=True))

    assert value(batch, probe.TIME_TO_FIRST_TOKEN, "tiny") is not None


async def test_without_a_model_the_first_listed_one_is_asked() -> None:
    """A plan without a model takes the first that the server lists, which then labels the times."""
    server = Server(text("1", "stop"), "[DONE]")

    async with server.running() as url:
        batch = await probed(Plan(kind="openai", url=url))

    assert server.asked[0][1]["model"] == "tiny"
    assert value(batch, probe.DURATION, "tiny") is not None


@pytest.mark.parametrize(
    "models", [{"data": []}, {"data": None}, {}, {"data": [{"id": "x" * 999}]}, {"data": ["x"]}]
)
async def test_a_server_without_a_model_is_not_ready(models: object) -> None:
    """A list without a usable model is a named failure."""
    server = Server()
    server.models = models

    async with server.running() as url:
        batch = await probed(Plan(kind="openai", url=url))

    assert failure(batch) == "not_ready"
    assert server.asked == []


async def test_tokens_without_text_count_where_the_server_says_so() -> None:
    """Tokens that make no text are an answer, but not a moment of the first one."""
    server = Server(text("", "length"), USAGE, "[DONE]")

    async with server.running() as url:
        batch = await probed(Plan(kind="openai", url=url, model="tiny"))

    assert value(batch, probe.SUCCESS) == 1
    assert value(batch, probe.TIME_TO_FIRST_TOKEN, "tiny") is None


async def test_tokens_are_booked_as_asked_for_where_the_server_tells_none() -> None:
    """Without a usage, a probe costs what it asked for at most: its tokens and the prompt's bytes."""
    server = Server(text("1", "length"), "[DONE]")

    async with server.running() as url:
        batch = await probed(
            Plan(kind="openai", url=url, model="tiny", prompt="1234", max_tokens=6)
        )

    assert value(batch, probe.TOKENS) == 10


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        ((text("one"),), "truncated"),
        ((text("", "stop"), "[DONE]"), "empty"),
        (("[DONE]",), "empty"),
        (({"error": {"message": "no GPU"}},), "refused"),
        (("not json",), "malformed"),
        (("[1]",), "malformed"),
        (({"choices": 1},), "malformed"),
        (({"choices": [1]},), "malformed"),
        (("[" * 50_000,), "malformed"),
        ((text("x" * 2_000_000),), "too_large"),
        ((), "malformed"),
    ],
)
async def test_a_bad_stream_is_a_named_failure(pieces: tuple[object, ...], reason: str) -> None:
    """Whatever is wrong with a stream has a name and never ends the agent."""
    server = Server(*pieces)

    async with server.running() as url:
        batch = await probed(Plan(kind="openai", url=url, model="tiny"))

    assert failure(batch) == reason
    assert value(batch, probe.SUCCESS) == 0
    assert value(batch, probe.FAILURES, reason) == 1


async def test_prompts_and_answers_stay_between_the_two() -> None:
    """Neither the prompt nor what the server said is in a reading, a problem or an event."""
    server = Server({"error": {"message": "tell-tale answer"}})

    async with server.running() as url:
        batch = await probed(Plan(kind="openai", url=url, model="tiny", prompt="tell-tale prompt"))

    assert batch.events
    assert "tell-tale" not in repr(batch)
