"""Drift without a payload: what the model servers' own histograms say, against the day and the week before.

It needs no drift process, no reference and no bins of ours: a fleet has it on the day it is installed. The
distance is that of Kolmogorov and Smirnov, the largest gap between two shares "up to a bound"; it is right
at every bound that both hours have, so a server that was upgraded to other bounds stays comparable at those
that remain. Its noise floor is Smirnov's at one in ten thousand: sqrt(-ln(p / 2) / 2) * sqrt(1/N + 1/M).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from agent.catalogue import recorded_drift_serving as recorded
from agent.catalogue import serving
from agent.catalogue.attributes import DRIFT_MODEL, FINISH_REASON, MODEL, PROVIDER
from agent.catalogue.metric import Attribute, Metric
from agent.catalogue.promql import aggregate, equals, labels, rate, select
from agent.catalogue.recorded import FLEET, SERVED, Recorded
from agent.catalogue.recorded_drift_serving import AGAINST, BOUND, PER_MODEL, PER_SIGNAL, SIGNAL
from alerts.recording import Recording
from alerts.rule import DRIFT_DASHBOARD, Component, Rule, Severity

SPAN: Final = "1h"
AGO: Final = {"day": "1d", "week": "1w"}
SIGNALS: Final[dict[str, Metric]] = {
    "prompt_length": serving.PROMPT_LENGTH,
    "generation_length": serving.GENERATION_LENGTH,
    "request_duration": serving.REQUEST_DURATION,
    "time_to_first_token": serving.TIME_TO_FIRST_TOKEN,
}
FEWEST: Final = 500
"""Requests in each of the two hours below which they are not compared."""
NOISE_P9999: Final = 2.2252
"""sqrt(-ln(0.0001 / 2) / 2)."""
LARGE: Final = 0.1
"""Distance worth somebody's time: lengths a third longer or shorter, or a tenth that ended otherwise."""

_MODEL: Final = f"{{{{ $labels.{DRIFT_MODEL.label} }}}}"
_SERVERS: Final = f"Requests to {{{{ $labels.{PROVIDER.label} }}}}"


def recordings() -> tuple[Recording, ...]:
    """Return the recording rules; those further down use those further up."""
    return (*_distributions(), *_means(), *_finishes(), *_cache())


def rules() -> tuple[Rule, ...]:
    """Return the alerts: what users send, and what they get. Of latency there are others."""
    return (
        _shifted(
            "ModelPromptsShifted",
            "prompt_length",
            summary="prompts are longer or shorter than they were",
            action="Compare clients and prompt templates with a day ago; a new system prompt is in all.",
        ),
        _shifted(
            "ModelAnswersShifted",
            "generation_length",
            summary="answers are longer or shorter than they were",
            action="Look whether the prompts changed too; if not, at the model, its sampling and its limits.",
        ),
        _ended_otherwise(),
    )


def _distributions() -> Iterator[Recording]:
    buckets = (_named(_buckets(metric), signal) for signal, metric in SIGNALS.items())
    by_bound = (*PER_SIGNAL, BOUND)
    yield _record(recorded.BUCKET, aggregate("sum", by_bound, _either(buckets)))
    every = f"{recorded.BUCKET.name}{{{equals(BOUND, '+Inf')}}}"
    yield _record(recorded.SAMPLES, aggregate("sum", PER_SIGNAL, every))
    samples, cdf = recorded.SAMPLES.name, recorded.CDF.name
    yield _record(
        recorded.CDF,
        f"{recorded.BUCKET.name}\n/ on ({labels(PER_SIGNAL)}) group_left ()\n({samples} >= {FEWEST})",
    )
    yield _compared(
        recorded.KS, lambda at: aggregate("max", PER_SIGNAL, f"abs({cdf} - {cdf} offset {at})")
    )
    yield _compared(
        recorded.KS_NOISE,
        lambda at: f"{NOISE_P9999} * sqrt(1 / ({samples} > 0) + 1 / ({samples} offset {at} > 0))",
    )


def _buckets(metric: Metric) -> str:
    """Add up the servers of a model if all have the same bounds, and there are any."""
    grown = f"increase({select(metric, part='bucket', window=SPAN)})"
    each = f"group by ({labels(SERVED)}, le) ({select(metric, part='bucket')})"
    having = f"count by ({labels(FLEET)}, le) ({each})"
    least, most, bounds = (
        aggregate(operator, FLEET, having) for operator in ("min", "max", "count")
    )
    same = f"{least} == on ({labels(FLEET)}) {most} and on ({labels(FLEET)}) ({bounds} > 1)"
    return f"sum by ({labels(FLEET)}, le) ({grown})\nand on ({labels(FLEET)}) ({same})"


def _means() -> Iterator[Recording]:
    yield _record(
        recorded.MEAN,
        aggregate(
            "sum", PER_SIGNAL, _either(_named(_mean(m), signal) for signal, m in SIGNALS.items())
        ),
    )
    mean = recorded.MEAN.name
    yield _compared(recorded.MEAN_CHANGE, lambda at: f"{mean} / ({mean} offset {at} > 0) - 1")


def _mean(metric: Metric) -> str:
    total, count = (
        rate(metric, FLEET, window=SPAN, part=part, function="increase")
        for part in ("sum", "count")
    )
    return f"{total} / on ({labels(FLEET)}) ({count} >= {FEWEST})"


def _finishes() -> Iterator[Recording]:
    by_reason = (*PER_MODEL, FINISH_REASON)
    grown = _of_model(_grown(serving.REQUESTS_FINISHED, FINISH_REASON))
    ended = aggregate("sum", by_reason, grown)
    finished, share = recorded.FINISHED.name, recorded.FINISH_SHARE.name
    yield _record(recorded.FINISHED, aggregate("sum", PER_MODEL, grown))
    yield _record(
        recorded.FINISH_SHARE,
        f"{ended}\n/ on ({labels(PER_MODEL)}) group_left ()\n({finished} >= {FEWEST})",
    )

    def distance(at: str) -> str:
        """Count a reason that one of the two hours lacks as 0 there."""
        before = f"{share} offset {at}"
        gaps = f"abs({share} - {before} or {share} or {before})"
        known = f"group by ({labels(PER_MODEL)}) ({share})"
        then = f"group by ({labels(PER_MODEL)}) ({before})"
        return f"0.5 * {aggregate('sum', PER_MODEL, gaps)} and {known} and {then}"

    yield _compared(recorded.FINISH_TVD, distance)


def _cache() -> Iterator[Recording]:
    hits, queries = (
        aggregate("sum", PER_MODEL, _of_model(_grown(metric)))
        for metric in (serving.PREFIX_CACHE_HITS, serving.PREFIX_CACHE_QUERIES)
    )
    yield _record(
        recorded.CACHE_HITS, f"{hits}\n/ on ({labels(PER_MODEL)})\n({queries} >= {FEWEST})"
    )
    now = recorded.CACHE_HITS.name
    yield _compared(recorded.CACHE_HITS_CHANGE, lambda at: f"{now} - {now} offset {at}")


def _grown(metric: Metric, *extra: Attribute) -> str:
    return rate(metric, (*FLEET, *extra), window=SPAN, function="increase")


def _of_model(expression: str) -> str:
    """Give series the short name of a model's label, by which all of drift is told apart."""
    return f'label_replace({expression}, "{DRIFT_MODEL.label}", "$1", "{MODEL.label}", "(.*)")'


def _named(expression: str, signal: str) -> str:
    return _constant(_of_model(expression), SIGNAL, signal, DRIFT_MODEL)


def _constant(expression: str, label: Attribute, value: str, of: Attribute) -> str:
    return f'label_replace({expression}, "{label.label}", "{value}", "{of.label}", ".*")'


def _compared(into: Recorded, judge: Callable[[str], str]) -> Recording:
    """Record what ``judge`` says against each earlier hour."""
    return _record(
        into,
        _either(_constant(judge(at), AGAINST, word, DRIFT_MODEL) for word, at in AGO.items()),
    )


def _either(expressions: Iterator[str]) -> str:
    return "\nor\n".join(expressions)


def _record(into: Recorded, expression: str) -> Recording:
    return Recording(recorded=into, expression=expression)


def _shifted(alert: str, signal: str, *, summary: str, action: str) -> Rule:
    """Tell of what differs from yesterday and, where there is a week, from the same weekday as well."""
    chosen = f"{{{equals(SIGNAL, signal)}}}"
    over = f"{recorded.KS.name}{chosen} > {recorded.KS_NOISE.name}{chosen}"
    surely = aggregate("count", PER_SIGNAL, over)
    known = aggregate("count", PER_SIGNAL, f"{recorded.KS.name}{chosen}")
    return _rule(
        alert,
        f"{_smallest(f'{recorded.KS.name}{chosen}', PER_SIGNAL)}\n"
        f"and on ({labels(PER_SIGNAL)})\n({surely} == on ({labels(PER_SIGNAL)}) {known})",
        summary=f"{_MODEL}: {summary}",
        description=f"{_SERVERS} were distributed otherwise in the last hour, by up to "
        "{{ $value | humanizePercentage }}, than at this time of yesterday, and of a week ago where that is "
        "known.",
        action=action,
    )


def _ended_otherwise() -> Rule:
    return _rule(
        "ModelFinishReasonsChanged",
        _smallest(recorded.FINISH_TVD.name, PER_MODEL),
        summary=f"{_MODEL}: {{{{ $value | humanizePercentage }}}} of the requests end for another reason",
        description=f"{_SERVERS} of the last hour ended for other reasons (stop, length, error) than at this "
        "time of yesterday, and of a week ago where that is known.",
        action="See which reason grew: length is a limit or a model that never stops, abort the clients.",
    )


def _smallest(distance: str, by: Sequence[Attribute]) -> str:
    """Return the smaller of the distances that are known, where it is large."""
    return f"({aggregate('min', by, distance)} > {LARGE})"


def _rule(alert: str, expression: str, *, summary: str, description: str, action: str) -> Rule:
    return Rule(
        alert=alert,
        expression=expression,
        severity=Severity.WARNING,
        component=Component.MODEL,
        hold="30m",
        linger="30m",
        summary=summary,
        description=description,
        action=action,
        dashboard=DRIFT_DASHBOARD,
        chosen=(DRIFT_MODEL,),
    )
