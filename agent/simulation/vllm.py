"""A model server that generates text: requests arrive, queue, are decoded together, and finish.

Requests come with the tide of the play, wait for a place in the batch, and are decoded at the pace of the
slowest GPU that they run on. Latency, queue and cache use follow from that and are not drawn.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Final

from agent.simulation import noise
from agent.simulation.exposition import Histogram
from agent.simulation.scenario import wave

TICK: Final = 0.5
"""Seconds by which the server is moved on, whoever looks."""
CACHE_BLOCKS: Final = 3_072
BLOCK_TOKENS: Final = 16
_PEAK_RATE: Final = 9.5
"""Requests a second at the top of the tide."""
_BATCH: Final = 32
"""Requests that are decoded together at most."""
_QUEUE: Final = 256
"""Requests that may wait; more are refused."""
_PREFILL_RATE: Final = 18_000.0
"""Prompt tokens a second."""
_DECODE_STEP: Final = 0.010
"""Seconds of one decode step with an empty batch; a full one takes half as long again."""
_MAX_OUTPUT: Final = 512

_SECONDS: Final = (
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0,
    480.0, 960.0, 1920.0, 7680.0,
)  # fmt: skip
_FIRST_TOKEN: Final = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0,
    40.0, 80.0, 160.0, 640.0, 2560.0,
)  # fmt: skip
_PER_TOKEN: Final = (
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0,
    40.0, 80.0,
)  # fmt: skip
_TOKENS: Final = (
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0,
)  # fmt: skip
_STEP_TOKENS: Final = (1.0, *(2.0**power for power in range(3, 15)))
_PREEMPTIONS: Final = (1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 20.0)
_CHOICES: Final = (1.0, 2.0, 5.0, 10.0, 20.0)
_HTTP_SECONDS: Final = (
    0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 7.5,
    10.0, 30.0, 60.0,
)  # fmt: skip
_HANDLER_SECONDS: Final = (0.1, 0.5, 1.0)
_REFUSAL_SECONDS: Final = 0.002
"""How long the server needs to refuse a request that makes no sense."""

HISTOGRAMS: Final[Mapping[str, tuple[str, tuple[float, ...]]]] = {
    "vllm:request_prompt_tokens": ("Prompt tokens of a request.", _TOKENS),
    "vllm:request_generation_tokens": ("Generated tokens of a request.", _TOKENS),
    "vllm:iteration_tokens_total": ("Tokens of an engine step.", _STEP_TOKENS),
    "vllm:request_max_num_generation_tokens": ("Most tokens that a request had asked.", _TOKENS),
    "vllm:request_params_n": ("Choices that a request asks for.", _CHOICES),
    "vllm:request_params_max_tokens": ("Tokens that a request allows.", _TOKENS),
    "vllm:time_to_first_token_seconds": ("Time to first token.", _FIRST_TOKEN),
    "vllm:inter_token_latency_seconds": ("Time between two tokens.", _PER_TOKEN),
    "vllm:request_time_per_output_token_seconds": ("Mean time per token.", _PER_TOKEN),
    "vllm:e2e_request_latency_seconds": ("Time of a whole request.", _SECONDS),
    "vllm:request_queue_time_seconds": ("Time that a request waited.", _SECONDS),
    "vllm:request_inference_time_seconds": ("Time that a request ran.", _SECONDS),
    "vllm:request_prefill_time_seconds": ("Time of the prompt.", _SECONDS),
    "vllm:request_decode_time_seconds": ("Time of the generation.", _SECONDS),
    "vllm:request_num_preemptions": ("Preemptions of a request.", _PREEMPTIONS),
    "vllm:request_prefill_kv_computed_tokens": ("Prompt tokens not cached.", _TOKENS),
}
"""Engine histograms: what they mean, and the bounds of vLLM 0.33 for a context of 8,192 tokens."""


@dataclass(slots=True)
class Request:
    """One request; times are seconds since the server's start."""

    arrival: float
    prompt: int
    cached: int
    output: int
    start: float = 0.0
    prefill: float = 0.0
    step: float = 0.0
    """Seconds of one decode step."""
    generated: int = 0

    @property
    def decode_start(self) -> float:
        """When the first token is out."""
        return self.start + self.prefill

    @property
    def finish(self) -> float:
        """When the last token is out."""
        return self.decode_start + self.step * (self.output - 1)

    def generated_by(self, moment: float) -> int:
        """Return how many tokens are out at ``moment``."""
        if moment < self.decode_start:
            return 0
        return min(self.output, 1 + int((moment - self.decode_start) / self.step))


@dataclass(slots=True)
class VllmEngine:
    """The server's state and all that it counts.

    ``speed`` gives the pace of the slowest GPU, as a share of full speed, at a moment. `advance` moves in
    fixed ticks, so the counts do not depend on how often the server is scraped.
    """

    seed: int
    speed: Callable[[float], float]
    ticks: int = 0
    waiting: deque[Request] = field(default_factory=deque)
    running: list[tuple[float, int, Request]] = field(default_factory=list)
    """A heap by the time of the finish; the number makes every entry different."""
    admitted: int = 0
    refused: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    finished: Counter[str] = field(default_factory=Counter)
    histograms: dict[str, Histogram] = field(
        default_factory=lambda: {
            name: Histogram(bounds) for name, (_, bounds) in HISTOGRAMS.items()
        }
    )
    http: Histogram = field(default_factory=lambda: Histogram(_HTTP_SECONDS))
    http_served: Histogram = field(default_factory=lambda: Histogram(_HANDLER_SECONDS))
    http_refused: Histogram = field(default_factory=lambda: Histogram(_HANDLER_SECONDS))

    @property
    def cache_usage(self) -> float:
        """The share of the KV cache that running requests hold."""
        blocks = sum(
            -(-(request.prompt + request.generated) // BLOCK_TOKENS)
            for _, _, request in self.running
        )
        return min(1.0, blocks / CACHE_BLOCKS)

    def advance(self, elapsed: float) -> None:
        """Move on to the last tick that is not after ``elapsed`` seconds."""
        while (self.ticks + 1) * TICK <= elapsed:
            self._tick(self.ticks * TICK, (self.ticks + 1) * TICK)
            self.ticks += 1

    def _tick(self, begin: float, end: float) -> None:
        speed = max(0.05, self.speed(begin))
        before = self.generated_tokens
        prefilled = self.prompt_tokens - self.cached_tokens
        self._arrive(begin)
        while self.waiting and self._admit(end, speed):
            pass
        while self.running and self.running[0][0] <= end:
            self._finish(heappop(self.running)[2])
        for _, _, request in self.running:
            self._generate(request, request.generated_by(end))
        self._count_steps(
            self.generated_tokens - before,
            self.prompt_tokens - self.cached_tokens - prefilled,
            speed,
        )

    def _arrive(self, begin: float) -> None:
        due = _PEAK_RATE * TICK * wave(self.seed, "vllm", begin)
        number = int(due + noise.unit(self.seed, "vllm", self.ticks))
        moments = sorted(noise.unit(self.seed, "vllm", self.ticks, n) for n in range(number))
        for n, moment in enumerate(moments):
            if len(self.waiting) >= _QUEUE:
                self.refused += 1
            else:
                self.waiting.append(self._request(begin + moment * TICK, n))
        if noise.unit(self.seed, "vllm", self.ticks, "bad") < 0.01:
            self.http.observe(_REFUSAL_SECONDS)
            self.http_refused.observe(_REFUSAL_SECONDS)

    def _request(self, arrival: float, number: int) -> Request:
        size, length, repeat = (
            noise.unit(self.seed, "vllm", self.ticks, number, what)
            for what in ("prompt", "output", "cached")
        )
        prompt = int(60 * 40**size)
        return Request(
            arrival=arrival,
            prompt=prompt,
            cached=int(prompt * 0.6 * repeat) // BLOCK_TOKENS * BLOCK_TOKENS,
            output=min(_MAX_OUTPUT, int(30 * 24**length)),
        )

    def _admit(self, end: float, speed: float) -> bool:
        """Start the request that waits longest, if there is a place for it before ``end``."""
        request = self.waiting[0]
        while self.running and self.running[0][0] <= request.arrival:
            self._finish(heappop(self.running)[2])
        request.start = request.arrival
        if len(self.running) >= _BATCH:
            if self.running[0][0] > end:
                return False
            request.start = self.running[0][0]
            self._finish(heappop(self.running)[2])
        self.waiting.popleft()
        jitter = noise.around(1.0, 0.15, self.seed, "vllm", "step", self.admitted)
        crowd = 1.0 + 0.5 * len(self.running) / _BATCH
        request.prefill = 0.015 + (request.prompt - request.cached) / _PREFILL_RATE / speed
        request.step = _DECODE_STEP * crowd * jitter / speed
        heappush(self.running, (request.finish, self.admitted, request))
        self.admitted += 1
        self.prompt_tokens += request.prompt
        self.cached_tokens += request.cached
        return True

    def _generate(self, request: Request, generated: int) -> None:
        """Count the tokens that came out of a request, up to ``generated``."""
        fresh = generated - request.generated
        self.generated_tokens += fresh
        if request.generated == 0 and fresh > 0:
            self._observe("time_to_first_token_seconds", request.decode_start - request.arrival)
            fresh -= 1
        if fresh:
            self._observe("inter_token_latency_seconds", request.step, fresh)
        request.generated = generated

    def _finish(self, request: Request) -> None:
        self._generate(request, request.output)
        duration = request.finish - request.arrival
        decode = request.finish - request.decode_start
        for name, value in (
            ("request_prompt_tokens", request.prompt),
            ("request_generation_tokens", request.output),
            ("request_max_num_generation_tokens", request.output),
            ("request_params_n", 1),
            ("request_params_max_tokens", _MAX_OUTPUT),
            ("request_time_per_output_token_seconds", request.step),
            ("e2e_request_latency_seconds", duration),
            ("request_queue_time_seconds", request.start - request.arrival),
            ("request_inference_time_seconds", request.finish - request.start),
            ("request_prefill_time_seconds", request.prefill),
            ("request_decode_time_seconds", decode),
            ("request_num_preemptions", 0),
            ("request_prefill_kv_computed_tokens", request.prompt - request.cached),
        ):
            self._observe(name, value)
        self.http.observe(duration)
        self.http_served.observe(duration)
        self.finished["length" if request.output == _MAX_OUTPUT else "stop"] += 1

    def _count_steps(self, generated: int, prefilled: int, speed: float) -> None:
        if generated + prefilled == 0:
            return
        steps = max(1, int(TICK * speed / _DECODE_STEP / 1.3))
        self._observe("iteration_tokens_total", (generated + prefilled) / steps, steps)

    def _observe(self, name: str, value: float, times: int = 1) -> None:
        self.histograms[f"vllm:{name}"].observe(value, times)
