# ruff: noqa: TRY004 - one kind of error for every bad value
"""What was promised about models, and what their GPUs cost: the keys `slos`, `gpu_hour_price`, `gpus`."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agent.config.fields import option, required
from agent.config.values import TEXT, Form, choice_form, duration_form

SIGNALS: Final = (
    "time_to_first_token",
    "request_duration",
    "inter_token_latency",
    "time_per_output_token",
    "queue",
    "availability",
)
_DAY: Final = 86_400.0
_WINDOWS: Final = {"7d": 7 * _DAY, "28d": 28 * _DAY, "30d": 30 * _DAY}
_PERCENT: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(%?)\s*")


def share(value: object) -> float:
    """Take a share that leaves room for failure: ``0.99`` or ``99%``; return it as part of 1."""
    wrong = f"must be a share such as 0.99 or 99%, not {value!r}"
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(wrong)
    match = _PERCENT.fullmatch(str(value))
    if match is None:
        raise ValueError(wrong)
    # Divided as text is read, so that 99.9% is the number that 0.999 is.
    number = float(f"{match[1]}e-2") if match[2] else float(match[1])
    if not 0.0 < number < 1.0:
        raise ValueError(f"must lie between 0 and 1 (0% and 100%), both excluded, not {value!r}")
    return number


def window(value: object) -> float:
    """Take ``7d``, ``28d`` or ``30d``; return seconds."""
    if value not in _WINDOWS:
        raise ValueError(f"must be one of {', '.join(_WINDOWS)}, not {value!r}")
    return _WINDOWS[str(value)]


def prices(value: object) -> dict[str, float]:
    """Take a mapping of GPU models, or patterns of them, to prices: ``{"NVIDIA H100*": 2.49}``."""
    like = 'as {"NVIDIA H100*": 2.49}'
    if not isinstance(value, Mapping):
        raise ValueError(f"must map GPU models to the price of an hour, {like}, not {value!r}")
    found: dict[str, float] = {}
    for model, price in value.items():
        if not isinstance(model, str) or not model.strip():
            raise ValueError(f"must have names of GPU models as keys, {like}, not {model!r}")
        number = math.nan if isinstance(price, bool) else price
        if not isinstance(number, int | float) or not 0 < number < math.inf:
            raise ValueError(f"must have prices above 0 as values, {like}, not {price!r}")
        found[model.strip()] = float(number)
    return found


def gpus(value: object) -> tuple[str, ...]:
    """Take a list of GPUs by UUID or index: ``[0, 1]``."""
    like = "must be a list of GPUs by UUID or index, such as [0, 1]"
    if not isinstance(value, list) or not value:
        raise ValueError(f"{like}, not {value!r}")
    for each in value:
        named = isinstance(each, str) and re.fullmatch(r"\d+|(GPU|MIG)-[\w/-]+", each.strip())
        numbered = isinstance(each, int) and not isinstance(each, bool) and each >= 0
        if not named and not numbered:
            raise ValueError(f"{like}, and {each!r} is neither")
    return tuple(str(each).strip() for each in value)


SHARE: Final = Form(
    share,
    {
        "oneOf": [
            {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
            {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*%?\s*$"},
        ]
    },
)
WINDOW: Final = Form(window, {"type": "string", "enum": list(_WINDOWS)})
PRICES: Final = Form(
    prices,
    {"type": "object", "additionalProperties": {"type": "number", "exclusiveMinimum": 0}},
    structured=True,
)
GPUS: Final = Form(
    gpus,
    {"type": "array", "minItems": 1, "items": {"type": ["string", "integer"]}},
    structured=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """One service level objective."""

    name: str = required(TEXT, "What it is called, in metrics and alerts.", example="chat-ttft")
    model: str = required(
        TEXT,
        "The model that it is about, as the server names it; * and ? stand for any characters, and each "
        "model is judged by itself.",
        example='"llama-3*"',
    )
    server: str | None = option(
        TEXT, "The server's name, * and ? as above. Default: any server.", example="chat"
    )
    signal: str = required(
        choice_form(*SIGNALS),
        "What is promised: a latency, or availability, which is requests that end without an error.",
        example="time_to_first_token",
    )
    threshold: float | None = option(
        duration_form(0.001, 86_400),
        "Up to which latency an event is good. What counts is the next lower bound of the server's own "
        "histogram, told as inference.slo.threshold; best name one of its bounds.",
        example="1s",
    )
    objective: float = required(
        SHARE, "The share of events that must be good, 0.99 or 99%.", example="99%"
    )
    window: float = option(
        WINDOW,
        "The time over which it must be kept: 7d, 28d or 30d. Alerts fire by the speed at which what "
        "may fail within it is used up.",
        example="30d",
        default=_WINDOWS["30d"],
    )


def contradictions(slos: Sequence[Slo]) -> Iterator[tuple[str, str]]:
    """Give the path of each key that cannot be meant so, and why."""
    seen: dict[str, int] = {}
    for position, each in enumerate(slos):
        where = f"slos[{position}]"
        if each.name in seen:
            yield f"{where}.name", f"is that of slos[{seen[each.name]}] as well; names must differ"
        seen.setdefault(each.name, position)
        if each.signal == "availability" and each.threshold is not None:
            yield f"{where}.threshold", "means nothing for availability; leave it out"
        if each.signal != "availability" and each.threshold is None:
            yield f"{where}.threshold", f"is required for {each.signal}, such as 1s"
