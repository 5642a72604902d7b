"""The probe of an OpenAI-compatible server: a streamed completion of a few tokens.

The time to the first token is what a client sees: to the first piece of the stream that holds text.
The request asks for the usage, which not every server tells; then the tokens that were asked for count.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from agent.collectors.probe.client import Client, parsed
from agent.collectors.probe.events import EventStream
from agent.collectors.probe.outcome import Answer, ProbeError
from agent.collectors.probe.plan import Plan

_DONE: Final = b"[DONE]"
_TEXTS: Final = ("content", "reasoning_content", "reasoning")
"""Where a piece of a chat holds text; the other two are of models that think aloud."""


async def probe(client: Client, plan: Plan, clock: Callable[[], float]) -> Answer:
    """Ask for a completion. Raises `ProbeError` for an answer that is not one."""
    model = plan.model or await _first_model(client)
    path = "/v1/chat/completions" if plan.chat else "/v1/completions"
    began = clock()
    stream = _Completion(f"{client.shown}{path}")
    async with client.open("POST", path, _request(plan, model)) as response:
        async for chunk in client.chunks(response, path):
            now = clock()
            for data in stream.events.feed(chunk):
                stream.take(data, now)
            if stream.done:
                break
    stream.check()
    first = None if stream.first is None else stream.first - began
    return Answer(model, clock() - began, first, stream.tokens)


def _request(plan: Plan, model: str) -> dict[str, Any]:
    asked: dict[str, Any] = {"prompt": plan.prompt}
    if plan.chat:
        asked = {"messages": [{"role": "user", "content": plan.prompt}]}
    return {
        "model": model,
        **asked,
        "max_tokens": plan.max_tokens,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def _first_model(client: Client) -> str:
    """Return the id of the first model that the server lists."""
    found = parsed(await client.get("/v1/models"), f"{client.shown}/v1/models").get("data")
    first = found[0] if isinstance(found, list) and found else None
    name = first.get("id") if isinstance(first, dict) else None
    if not isinstance(name, str) or not 0 < len(name) <= 200 or not name.isprintable():
        detail = f"{client.shown}/v1/models lists no model; set the probe's model"
        raise ProbeError("not_ready", detail)
    return name


class _Completion:
    """What came of the stream so far."""

    def __init__(self, where: str) -> None:
        self.events = EventStream(where)
        self._where = where
        self.first: float | None = None
        self.tokens: int | None = None
        self.done = False
        self._ended = False
        self._generated = False

    def take(self, data: bytes, now: float) -> None:
        """Take in one event, which came at ``now``. Raises `ProbeError`."""
        if data.strip() == _DONE:
            self.done = True
            return
        piece = self._parsed(data)
        if piece.get("error"):
            raise ProbeError("refused", f"{self._where} ends its stream with an error")
        choices = piece.get("choices")
        if not isinstance(choices, list):
            raise ProbeError("malformed", f"{self._where} streams something else than completions")
        self._count(piece.get("usage"))
        for choice in choices:
            self._look(choice, now)

    def check(self) -> None:
        """Raise `ProbeError` unless the stream came to its end and brought a token."""
        if not self.events.any:
            raise ProbeError("malformed", f"{self._where} does not stream events")
        if not (self.done or self._ended):
            raise ProbeError("truncated", f"{self._where} ended before the completion did")
        if self.first is None and not self._generated:
            raise ProbeError("empty", f"{self._where} completes without a single token")

    def _look(self, choice: object, now: float) -> None:
        if not isinstance(choice, Mapping):
            raise ProbeError("malformed", f"{self._where} streams something else than completions")
        self._ended = self._ended or choice.get("finish_reason") is not None
        delta = choice.get("delta")
        texts = [choice.get("text")]
        texts += [delta.get(key) for key in _TEXTS] if isinstance(delta, Mapping) else []
        if self.first is None and any(isinstance(text, str) and text for text in texts):
            self.first = now

    def _count(self, usage: object) -> None:
        if not isinstance(usage, Mapping):
            return
        counts = [usage.get(key) for key in ("prompt_tokens", "completion_tokens")]
        known = [each for each in counts if type(each) is int and 0 <= each < 10**9]
        if len(known) == 2:
            self.tokens = sum(known)
            self._generated = known[1] > 0

    def _parsed(self, data: bytes) -> dict[str, Any]:
        try:
            found = json.loads(data)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise ProbeError("malformed", f"{self._where} streams something else than JSON")
        return found
