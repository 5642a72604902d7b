"""A model server for classifiers, as Triton 2.51 tells of itself, on the GPU that falls off the bus.

While its GPU is gone its requests wait and then fail; the reset restarts it, and it counts from zero.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from agent.simulation import noise
from agent.simulation.exposition import IntegerPage, LabelledValue
from agent.simulation.scenario import wave

TICK: Final = 0.5
"""Seconds by which the server is moved on, whoever looks."""
_QUEUE: Final = 64
"""Requests that may wait for a model; more are rejected."""
_TIMEOUT_TICKS: Final = 4
"""Ticks after which the backend gives up on what waits for a GPU that does not answer."""
_REASONS: Final = ("OTHER", "REJECTED", "BACKEND", "CANCELED")
_VERSION: Final = "1"
_POOL_BYTES: Final = 268_435_456
_HOST_BYTES: Final = 1_081_101_176_832
_ENTRY_SHARE: Final = 0.0001
"""Share of the response cache that an answer takes."""
_LOOKUP_MICROSECONDS: Final = 4
_INSERTION_MICROSECONDS: Final = 12


class _Model(NamedTuple):
    """A model: requests a second at the top of the tide, microseconds of each stage of a request."""

    name: str
    peak: float
    batch: int
    input: int
    infer: int
    output: int
    cached_share: float = 0.0


_MODELS: Final = (
    _Model("resnet", peak=90.0, batch=8, input=95, infer=11_300, output=640),
    _Model("bert", peak=30.0, batch=4, input=40, infer=19_800, output=210, cached_share=0.45),
)


@dataclass(slots=True)
class _Counts:
    """What the server has counted for one model, by the name of the family without its prefix."""

    totals: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    pending: int = 0


@dataclass(slots=True)
class TritonServer:
    """The server from its start until it is restarted.

    ``begin`` is the second of the play at which it was started, and ``speed`` gives the GPU's pace at a
    second of the play: 0 while it is gone.
    """

    seed: int
    begin: float
    speed: Callable[[float], float]
    ticks: int = 0
    counts: dict[str, _Counts] = field(
        default_factory=lambda: {model.name: _Counts() for model in _MODELS}
    )

    def advance(self, elapsed: float) -> None:
        """Move on to the last tick that is not after ``elapsed`` seconds of the play."""
        while self.begin + (self.ticks + 1) * TICK <= elapsed:
            second = self.begin + self.ticks * TICK
            speed = self.speed(second)
            for model in _MODELS:
                self._tick(model, second, speed)
            self.ticks += 1

    def _tick(self, model: _Model, second: float, speed: float) -> None:
        counts = self.counts[model.name]
        due = model.peak * TICK * wave(self.seed, "triton", second)
        arrived = int(due + noise.unit(self.seed, model.name, int(second / TICK)))
        if speed <= 0.0:
            _strand(counts, arrived, self.ticks)
        else:
            _serve(model, counts, arrived + counts.pending, speed)


def _strand(counts: _Counts, arrived: int, tick: int) -> None:
    """Let requests wait for a GPU that is gone: some are rejected, the others fail in the end."""
    if tick % _TIMEOUT_TICKS == 0:
        counts.failures["BACKEND"] += counts.pending
        counts.pending = 0
    rejected = max(0, counts.pending + arrived - _QUEUE)
    counts.failures["REJECTED"] += rejected
    counts.pending += arrived - rejected


def _serve(model: _Model, counts: _Counts, requests: int, speed: float) -> None:
    totals = counts.totals
    stage = model.infer / speed
    room = max(1, int(TICK * 1_000_000 / stage) * model.batch)
    cached = int(requests * model.cached_share)
    inferred = min(requests - cached, room)
    counts.pending = requests - cached - inferred
    executions = -(-inferred // max(1, model.batch // 2))
    queue = int(stage * (0.1 + 0.9 * inferred / room)) * inferred
    compute = inferred * (model.input + model.output) + int(stage) * inferred
    totals.update(
        {
            "success": inferred + cached,
            "count": inferred,
            "exec_count": executions,
            "queue": queue,
            "input": inferred * model.input,
            "infer": int(stage) * inferred,
            "output": inferred * model.output,
            "duration": queue + compute + cached * _LOOKUP_MICROSECONDS,
        }
    )
    if model.cached_share:
        totals.update({"hits": cached, "misses": inferred})


_COUNTERS: Final = (
    ("nv_inference_count", "count", "Inferences."),
    ("nv_inference_exec_count", "exec_count", "Executions of the model."),
    ("nv_inference_request_duration_us", "duration", "Time of requests."),
    ("nv_inference_queue_duration_us", "queue", "Time that requests waited."),
    ("nv_inference_compute_input_duration_us", "input", "Time of preparing inputs."),
    ("nv_inference_compute_infer_duration_us", "infer", "Time of the model."),
    ("nv_inference_compute_output_duration_us", "output", "Time of extracting outputs."),
)


def triton_page(server: TritonServer) -> str:
    """Return the exposition of the server."""
    page = IntegerPage({"version": _VERSION})
    _requests(page, server)
    _caches(page, server)
    page.family(
        "nv_inference_pending_request_count",
        "gauge",
        "Requests that wait.",
        [({"model": model}, counts.pending) for model, counts in server.counts.items()],
    )
    return page.text() + _process_page(server)


def _requests(page: IntegerPage, server: TritonServer) -> None:
    def totals(key: str) -> list[LabelledValue]:
        return [({"model": model}, counts.totals[key]) for model, counts in server.counts.items()]

    page.family("nv_inference_request_success", "counter", "Requests served.", totals("success"))
    page.family(
        "nv_inference_request_failure",
        "counter",
        "Requests that failed, by reason.",
        [
            ({"model": model, "reason": reason}, counts.failures[reason])
            for model, counts in server.counts.items()
            for reason in _REASONS
        ],
    )
    for name, key, help_text in _COUNTERS:
        page.family(name, "counter", help_text, totals(key))


def _caches(page: IntegerPage, server: TritonServer) -> None:
    """Add the response cache, for the models that use it."""
    cached = [model.name for model in _MODELS if model.cached_share]
    for name, key, scale in (
        ("nv_cache_num_hits_per_model", "hits", 1),
        ("nv_cache_hit_duration_per_model", "hits", _LOOKUP_MICROSECONDS),
        ("nv_cache_num_misses_per_model", "misses", 1),
        ("nv_cache_miss_duration_per_model", "misses", _INSERTION_MICROSECONDS),
    ):
        samples = [({"model": model}, server.counts[model].totals[key] * scale) for model in cached]
        page.family(name, "counter", "Response cache of a model.", samples)


def _process_page(server: TritonServer) -> str:
    """Return the families of the server as a whole, which bear no labels."""
    page = IntegerPage({})
    hits = sum(counts.totals["hits"] for counts in server.counts.values())
    misses = sum(counts.totals["misses"] for counts in server.counts.values())
    entries = min(misses, int(1 / _ENTRY_SHARE))
    for name, value in (
        ("nv_pinned_memory_pool_total_bytes", _POOL_BYTES),
        ("nv_pinned_memory_pool_used_bytes", 0),
        ("nv_cpu_utilization", 0.125),
        ("nv_cpu_memory_total_bytes", _HOST_BYTES),
        ("nv_cpu_memory_used_bytes", _HOST_BYTES // 5),
        ("nv_cache_util", entries * _ENTRY_SHARE),
        ("nv_cache_num_entries", entries),
        ("nv_cache_num_hits", hits),
        ("nv_cache_num_misses", misses),
        ("nv_cache_num_lookups", hits + misses),
        ("nv_cache_num_evictions", misses - entries),
        ("nv_cache_lookup_duration", (hits + misses) * _LOOKUP_MICROSECONDS),
        ("nv_cache_insertion_duration", misses * _INSERTION_MICROSECONDS),
    ):
        page.family(name, "gauge", "Of the server as a whole.", [({}, value)])
    return page.text()
