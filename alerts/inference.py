"""Recorded series of model servers: traffic and latency, and what they cost by GPU.

Every division by GPUs is by `inference.gpu.share`: it adds up the GPUs of a server that uses several, and
divides those that several servers use. Where one GPU of a server lacks what is asked for, the sum over the
others would be a number that looks right; then there is none.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from agent.catalogue import Attribute, Metric, gpu, recorded, serving, serving_gpu
from agent.catalogue.attributes import ERROR_TYPE, FINISH_REASON, HW_ID
from agent.catalogue.promql import (
    PER_GPU,
    aggregate,
    differs,
    labels,
    rate,
    select,
    value,
)
from agent.catalogue.recorded import FLEET, HOLDER, SERVED, Recorded
from alerts.recording import Recording

WINDOW: Final = "5m"
OF_CLIENT: Final = differs(ERROR_TYPE, "4[0-13-9].|42[0-8]|4xx")
"""A wrong request is not the server's error; 429, too many of them, is."""
_LATENCIES: Final[Mapping[str, Metric]] = {
    "time_to_first_token": serving.TIME_TO_FIRST_TOKEN,
    "inter_token_latency": serving.INTER_TOKEN_LATENCY,
    "request_duration": serving.REQUEST_DURATION,
}
_HELD: Final = (*HOLDER, HW_ID)
_MILLION: Final = 1_000_000
_HOUR: Final = 3600


def recordings() -> tuple[Recording, ...]:
    """Return what is recorded of traffic and cost; those further down use those further up."""
    return (*_traffic(), *_gpus(), *_efficiency(), *_of_models())


def latency_recordings() -> tuple[Recording, ...]:
    """Return the quantiles of latencies, of each server and of a model's servers together."""
    return tuple(_latencies())


def _traffic() -> Iterator[Recording]:
    ended = rate(serving.REQUESTS_FINISHED, SERVED, window=WINDOW)
    observed = rate(serving.REQUEST_DURATION, SERVED, window=WINDOW, part="count")
    yield _record(recorded.REQUESTS, f"{ended}\nor on ({labels(SERVED)})\n{observed}")
    yield _record(recorded.ERRORS, _error_ratio())
    yield _record(recorded.TOKENS, rate(serving.TOKENS_GENERATED, SERVED, window=WINDOW))
    waiting, running = (
        value(metric, SERVED, operator="sum")
        for metric in (serving.REQUESTS_WAITING, serving.REQUESTS_RUNNING)
    )
    there = f"clamp_min({waiting} + on ({labels(SERVED)}) {running}, 1)"
    yield _record(recorded.QUEUED, f"{waiting}\n/ on ({labels(SERVED)})\n{there}")


def _error_ratio() -> str:
    """Divide by all requests: of some servers errors are among those that ended, of others beside them."""
    by_reason = rate(serving.REQUESTS_FINISHED, (*SERVED, FINISH_REASON), window=WINDOW)
    by_type = rate(serving.REQUESTS_ERRORS, (*SERVED, ERROR_TYPE), OF_CLIENT, window=WINDOW)
    renamed = (
        f'label_replace({by_type}, "{FINISH_REASON.label}", "$1", "{ERROR_TYPE.label}", "(.+)")'
    )
    among = f"{renamed} unless on ({labels((*SERVED, FINISH_REASON))}) {by_reason}"
    beside = aggregate("sum", SERVED, among)
    ended = aggregate("sum", SERVED, by_reason)
    everything = f"(({ended} + on ({labels(SERVED)}) {beside}) or on ({labels(SERVED)}) {ended})"
    return f"{aggregate('sum', SERVED, by_type)}\n/ on ({labels(SERVED)})\n({everything} > 0)"


def _latencies() -> Iterator[Recording]:
    """Drop NaN, which is what Prometheus gives of no observations and of a histogram without bounds."""
    for (signal, word), into in recorded.SERVED_LATENCY.items():
        quantile = _quantile(_LATENCIES[signal], recorded.QUANTILES[word], SERVED)
        yield _record(into, f"{quantile} >= 0")
    for (signal, word), into in recorded.FLEET_LATENCY.items():
        quantile = _quantile(_LATENCIES[signal], recorded.QUANTILES[word], FLEET)
        same = _same_buckets(_LATENCIES[signal])
        yield _record(into, f"{quantile} >= 0\nand on ({labels(FLEET)})\n({same})")


def _quantile(metric: Metric, quantile: float, by: Sequence[Attribute]) -> str:
    buckets = f"rate({select(metric, part='bucket', window=WINDOW)})"
    return f"histogram_quantile({quantile}, sum by ({labels(by)}, le) ({buckets}))"


def _same_buckets(metric: Metric) -> str:
    """Find the models all of whose servers have every bound that one of them has."""
    each = f"group by ({labels(SERVED)}, le) ({select(metric, part='bucket')})"
    having = f"count by ({labels(FLEET)}, le) ({each})"
    least, most = (aggregate(operator, FLEET, having) for operator in ("min", "max"))
    return f"{least} == on ({labels(FLEET)}) {most}"


def _gpus() -> Iterator[Recording]:
    share = value(serving_gpu.GPU_SHARE, _HELD)
    yield _record(recorded.GPUS, aggregate("sum", HOLDER, share))
    energy = rate(gpu.ENERGY, PER_GPU, window=WINDOW)
    power = aggregate("max", PER_GPU, f"avg_over_time({select(gpu.POWER, window=WINDOW)})")
    known = aggregate("max", PER_GPU, f"{select(gpu.ENERGY)} offset {WINDOW}")
    watts = f"(({energy} and on ({labels(PER_GPU)}) {known}) or on ({labels(PER_GPU)}) {power})"
    yield _record(recorded.POWER, _shared(share, watts))
    yield _record(recorded.COST, _shared(share, value(serving_gpu.GPU_PRICE, PER_GPU)))
    yield _record(recorded.KV_CACHE, value(serving_gpu.KV_CACHE_SIZE, HOLDER))


def _shared(share: str, of_gpu: str) -> str:
    """Add up the server's share of each of its GPUs, if each of them tells."""
    product = f"{share} * on ({labels(PER_GPU)}) group_left () {of_gpu}"
    known, held = aggregate("count", HOLDER, product), aggregate("count", HOLDER, share)
    total = aggregate("sum", HOLDER, product)
    return f"{total}\nand on ({labels(HOLDER)})\n({known} == on ({labels(HOLDER)}) {held})"


def _efficiency() -> Iterator[Recording]:
    """Divide what is known of the whole window: a rate over less of it than that is too low."""
    tokens = aggregate("sum", HOLDER, recorded.TOKENS.name)
    tokens = f"({tokens} and on ({labels(HOLDER)}) {recorded.GPUS.name} offset {WINDOW})"
    yield _record(
        recorded.TOKENS_PER_GPU_SECOND, _per(tokens, f"({recorded.GPUS.name} > 0)", HOLDER)
    )
    yield _record(recorded.TOKENS_PER_JOULE, _per(tokens, f"({recorded.POWER.name} > 0)", HOLDER))
    price = f"{recorded.COST.name} * {_MILLION} / {_HOUR}"
    yield _record(recorded.COST_PER_MILLION, _per(price, f"({tokens} > 0)", HOLDER))


def _of_models() -> Iterator[Recording]:
    """Add up the servers of a model, of which each has to have that model alone and all that is divided."""
    gpus, watts, cost = (_of_model(each) for each in (recorded.GPUS, recorded.POWER, recorded.COST))
    for into, by in (
        (recorded.MODEL_TOKENS_PER_GPU_SECOND, gpus),
        (recorded.MODEL_TOKENS_PER_JOULE, watts),
    ):
        tokens = _tokens_beside(by)
        yield _record(into, _per(tokens, f"({aggregate('sum', FLEET, by)} > 0)", FLEET))
    price = f"{aggregate('sum', FLEET, cost)} * {_MILLION} / {_HOUR}"
    yield _record(
        recorded.MODEL_COST_PER_MILLION, _per(price, f"({_tokens_beside(cost)} > 0)", FLEET)
    )


def _of_model(series: Recorded) -> str:
    """Give a server's series the model that is its only one."""
    single = aggregate("count", HOLDER, recorded.TOKENS.name)
    only = f"({recorded.TOKENS.name} and on ({labels(HOLDER)}) ({single} == 1))"
    long = f"{only} and on ({labels(HOLDER)}) {recorded.GPUS.name} offset {WINDOW}"
    known = f"group by ({labels(SERVED)}) ({long})"
    return f"{known} * on ({labels(HOLDER)}) group_left () {series.name}"


def _tokens_beside(by: str) -> str:
    """Add up the tokens of just those servers that ``by`` knows."""
    return aggregate("sum", FLEET, f"{recorded.TOKENS.name} and on ({labels(SERVED)}) ({by})")


def _per(what: str, by: str, level: Sequence[Attribute]) -> str:
    return f"{what}\n/ on ({labels(level)})\n{by}"


def _record(into: Recorded, expression: str) -> Recording:
    return Recording(recorded=into, expression=expression)
