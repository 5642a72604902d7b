# ruff: noqa: TRY004 - one kind of error for every bad value
"""How a model server is asked for an answer of its own: the keys of `servers[].probe`."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from agent.config.fields import option, required
from agent.config.values import SWITCH, TEXT, URL, Form, choice_form, duration_form

PROBE_KINDS: Final = ("openai", "kserve_v2", "triton")


def whole(low: int, high: int) -> Callable[[object], int]:
    """Return a parser of whole numbers from ``low`` to ``high``; the environment gives them as text."""

    def parse(value: object) -> int:
        text = str(value).strip()
        if isinstance(value, bool) or not re.fullmatch(r"\d{1,12}", text, re.ASCII):
            raise ValueError(f"must be a whole number, not {value!r}")
        if not low <= int(text) <= high:
            raise ValueError(f"must be between {low} and {high}, not {value!r}")
        return int(text)

    return parse


def whole_form(low: int, high: int) -> Form:
    """Return the form of a whole number from ``low`` to ``high``."""
    return Form(whole(low, high), {"type": "integer", "minimum": low, "maximum": high})


def request(value: object) -> dict[str, Any]:
    """Take the body of a request: a mapping that can be written as JSON."""
    like = "must be the body of a request, as {inputs: [...]}"
    if not isinstance(value, Mapping):
        raise ValueError(f"{like}, not {value!r}")
    try:
        copy: dict[str, Any] = json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        raise ValueError(f"{like}; something in it cannot be written as JSON") from None
    return copy


_BODY: Final = Form(request, {"type": "object"}, structured=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A request of our own, sent now and then: it finds a server that hangs behind metrics that look fine."""

    kind: str = required(
        choice_form(*PROBE_KINDS),
        "The protocol: openai asks for a streamed completion; kserve_v2 and triton ask for an inference by "
        "the open inference protocol.",
        example="openai",
    )
    url: str | None = option(
        URL,
        "Where its API is, where that is not host and port of the metrics; triton needs it.",
        example="http://127.0.0.1:8000",
    )
    model: str | None = option(
        TEXT,
        "The model to ask. Default: the first that an openai server lists; the others need it.",
        example="meta-llama/Llama-3.1-8B",
    )
    interval: float = option(
        duration_form(1, 3600),
        "How often; the server's own metrics count these requests among its users'.",
        example="60s",
        default=60.0,
    )
    timeout: float = option(
        duration_form(0.1, 600),
        "In which an answer must be complete: longer than the slowest that your users would bear.",
        example="10s",
        default=10.0,
    )
    chat: bool = option(
        SWITCH,
        "Ask /v1/chat/completions and not /v1/completions (openai).",
        example="false",
        default=False,
    )
    prompt: str | None = option(
        TEXT, "What is asked (openai). Default: a few harmless words.", example="Count to three"
    )
    max_tokens: int = option(
        whole_form(1, 256), "How long an answer may be (openai).", example="4", default=4
    )
    body: Mapping[str, Any] | None = option(
        _BODY,
        "What is asked (kserve_v2, triton). Default: zeros in the shape that the model's metadata tell.",
        example="{inputs: [{name: x, shape: [1], datatype: FP32, data: [0]}]}",
        aside=True,
    )
    requests_per_minute: int = option(
        whole_form(1, 600),
        "Probes beyond it are not sent, and counted as skipped.",
        example="6",
        default=6,
    )
    tokens_per_day: int = option(
        whole_form(1, 100_000_000),
        "Once prompts and answers of 24 hours came to this, no more probes are sent (openai).",
        example="50000",
        default=50_000,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundProbe:
    """A request of our own, now and then, to each server that is found and speaks OpenAI's API.

    The budgets are of all of them together.
    """

    interval: float = option(
        duration_form(1, 3600),
        "How often each is asked; its own metrics count these requests among its users'.",
        example="60s",
        default=60.0,
    )
    timeout: float = option(
        duration_form(0.1, 600),
        "In which an answer must be complete: longer than the slowest that your users would bear.",
        example="10s",
        default=10.0,
    )
    chat: bool = option(
        SWITCH,
        "Ask /v1/chat/completions and not /v1/completions.",
        example="false",
        default=False,
    )
    prompt: str | None = option(
        TEXT, "What is asked. Default: a few harmless words.", example="Count to three"
    )
    max_tokens: int = option(
        whole_form(1, 256), "How long an answer may be.", example="4", default=4
    )
    requests_per_minute: int = option(
        whole_form(1, 600),
        "To all servers that are found together; probes beyond it are not sent, and counted as skipped.",
        example="60",
        default=60,
    )
    tokens_per_day: int = option(
        whole_form(1, 100_000_000),
        "Once prompts and answers of all of them came to this in 24 hours, no more probes are sent.",
        example="200000",
        default=200_000,
    )


def contradictions(probe: Probe) -> Iterator[tuple[str, str]]:
    """Give each key of a probe that cannot be meant so, and why."""
    if probe.kind == "openai":
        if probe.body is not None:
            yield "body", "is of kserve_v2 and triton; set prompt, or another kind"
        return
    if probe.model is None:
        yield "model", f"is required, because {probe.kind} has no list of models to choose from"
    if probe.kind == "triton" and probe.url is None:
        yield "url", "is required: Triton has its API on another port than its metrics, often 8000"
    for key, given in (("prompt", probe.prompt is not None), ("chat", probe.chat)):
        if given:
            yield key, f"is of openai, and the kind is {probe.kind}; leave one of them out"
