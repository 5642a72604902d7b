"""What a family that nobody mapped might be, by the words of its name. For a person to judge.

Names deceive: `time_per_output_token` is per step on one server and per request on another, and a counter
of successes may count every end. So a guess is only ever printed, as a comment, and never used.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from agent.catalogue import Kind, Metric, serving
from agent.collectors.serving.scan.inventory import Family

_UNITS: Final = {
    "seconds": "s",
    "s": "s",
    "milliseconds": "ms",
    "ms": "ms",
    "microseconds": "us",
    "us": "us",
    "nanoseconds": "ns",
    "ns": "ns",
    "percent": "percent",
}
_LIBRARY: Final = re.compile(
    r"(?:python|process|go|promhttp|prometheus|http|jvm|nodejs|target|otel|dotnet|scrape)_|.*_created$"
)
"""Families of client libraries and web frameworks, which are on any page."""
_TIME: Final = r"(?:time|duration|latency|latencies|seconds|milliseconds|microseconds|ms|us|ns)"
_REQUEST: Final = r"(?:requests?|inferences?|infer|predict|predictions?|queries|calls)"

_CLUES: Final[tuple[tuple[Metric, str], ...]] = (
    (serving.TIME_TO_FIRST_TOKEN, r"first_(?:token|response|chunk)|ttft"),
    (serving.INTER_TOKEN_LATENCY, r"inter_?token|iter_token|itl"),
    (serving.TIME_PER_OUTPUT_TOKEN, r"per_(?:output_)?token|tpot"),
    (serving.QUEUE_DURATION, rf"(?:queue|queued|queuing|wait|waiting)\b.*{_TIME}"),
    (serving.PREFILL_DURATION, rf"prefill.*{_TIME}"),
    (serving.DECODE_DURATION, rf"decode.*{_TIME}"),
    (serving.REQUEST_DURATION, rf"(?:{_REQUEST}|e2e|end_to_end|response).*{_TIME}"),
    (serving.PROMPT_LENGTH, r"(?:prompt|input).*(?:tokens|length)"),
    (serving.GENERATION_LENGTH, r"(?:generat\w*|output|completion).*(?:tokens|length)"),
    (serving.BATCH_SIZE, r"batch_?size"),
    (serving.KV_CACHE_UTILIZATION, r"cache.*(?:usage|utili[sz]ation|perc|ratio)|token_usage"),
    (serving.REQUESTS_WAITING, r"waiting|queued|pending|deferred|queue_(?:size|depth|length|len)"),
    (serving.REQUESTS_RUNNING, r"running|active|in_?flight|in_progress|ongoing|processing"),
    (serving.PREEMPTIONS, r"preempt\w*|retract\w*"),
    (serving.REQUESTS_REJECTED, r"reject\w*|overload\w*|throttled|shed"),
    (serving.REQUESTS_ERRORS, r"errors?|fail\w*|exceptions?|5xx"),
    (serving.TOKENS_CACHED, r"cached_tokens|tokens_cached"),
    (serving.TOKENS_PROMPT, r"(?:prompt|input|prefill)_tokens|tokens_(?:prompt|input)"),
    (
        serving.TOKENS_GENERATED,
        r"(?:generat\w*|output|completion|predicted)_tokens|tokens_(?:generated|output|predicted)",
    ),
    (
        serving.REQUESTS_FINISHED,
        rf"{_REQUEST}.*(?:success\w*|finish\w*|complet\w*|processed|count|total)|success\w*",
    ),
)
"""In the order in which they are tried: what is more special stands first."""

_NATIVE: Final = {
    Kind.GAUGE: ("gauge",),
    Kind.UP_DOWN_COUNTER: ("gauge",),
    Kind.COUNTER: ("counter",),
    Kind.HISTOGRAM: ("histogram", "summary"),
}


@dataclass(frozen=True, slots=True)
class Guess:
    """That a family might be a metric of the catalogue; ``unit`` is what its name says, or nothing."""

    metric: Metric
    family: Family
    unit: str


def guesses(families: Iterable[Family]) -> tuple[Guess, ...]:
    """Return what the families might be: at most one guess each, in their order."""
    found = (_guess(family) for family in families if family.series and not of_library(family.name))
    return tuple(guess for guess in found if guess is not None)


def of_library(name: str) -> bool:
    """Tell whether a family is some client library's, which are on the pages of all kinds of servers."""
    return _LIBRARY.match(name) is not None


def common_prefix(families: Iterable[Family]) -> str:
    """Return how the names of most families begin, up to an underscore or colon; empty if they do not."""
    names = [family.name for family in families if not of_library(family.name)]
    starts: dict[str, int] = {}
    for name in names:
        for match in re.finditer(r"[_:]", name):
            start = name[: match.end()]
            starts[start] = starts.get(start, 0) + 1
    common = [start for start, count in starts.items() if 2 * count > len(names)]
    return max(common, key=lambda start: (starts[start], len(start)), default="")


def model_labels(families: Iterable[Family]) -> Mapping[str, str]:
    """Return which labels might name the model, its version and the engine, by what they are called."""
    names = {label for family in families for label in family.labels}
    wanted = {
        "model": ("model_name", "model", "model_id", "served_model_name", "deployment"),
        "version": ("model_version", "version"),
        "engine": ("engine", "engine_id", "dp_rank", "replica"),
    }
    found = {
        key: next((name for name in each if name in names), "") for key, each in wanted.items()
    }
    return {key: name for key, name in found.items() if name}


def _guess(family: Family) -> Guess | None:
    words = _words(family.name)
    for metric, pattern in _CLUES:
        if family.type in _NATIVE[metric.kind] and re.search(
            rf"(?:^|_)(?:{pattern})(?:_|$)", words
        ):
            return Guess(metric, family, _unit(words) if metric.unit in ("s", "1") else "")
    return None


def _words(name: str) -> str:
    """Return a name in lower case with underscores between its words: QueueTime -> queue_time."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", apart.lower())


def _unit(words: str) -> str:
    return _UNITS.get(words.removesuffix("_total").rpartition("_")[2], "")
