"""Alerts about model servers."""

from typing import Final

from agent.catalogue import Metric, itself, recorded, serving
from agent.catalogue.attributes import (
    COLLECTOR,
    COLLECTOR_STATUS,
    ENGINE,
    MODEL,
    NODE,
    SERVER,
)
from agent.catalogue.promql import (
    PER_NODE,
    aggregate,
    labels,
    matches,
    rate,
    select,
    value,
)
from agent.catalogue.recorded import SERVED
from alerts.agent import SERVER_COLLECTORS
from alerts.rule import SERVER_DASHBOARD, Component, Rule, Severity

PER_SERVER: Final = (SERVER, *PER_NODE)
PER_ENGINE: Final = (SERVER, MODEL, ENGINE, *PER_NODE)
CACHE_FULL: Final = 0.95
"""Share of the KV cache in use from which on engines hold requests back or push some out."""
LEAST_WAITING: Final = 5
GROWN: Final = 1.2
"""How many times longer than ten minutes ago a queue is that grows."""
ERRORS: Final = 0.05
"""Share of requests. Objectives page by their own measure; this is for models without one."""
LEAST_ENDED: Final = 20
"""Requests in five minutes below which a share of errors says little."""
PREEMPTED: Final = 0.3
"""Preemptions per request that ends: each does its prompt anew, so a third of the work may be done twice."""
LEAST_PREEMPTED: Final = 20
SLOWER: Final = 2
"""How many times slower than the day before is no longer the noise of traffic that differs."""
NOTICED: Final = 0.5
"""Seconds to the first token below which nobody minds that it was faster yesterday."""
LEAST_STARTED: Final = 50

_MODEL: Final = f"{{{{ $labels.{MODEL.label} }}}}"
_WHICH: Final = f"{{{{ $labels.{MODEL.label} }}}} on {{{{ $labels.{SERVER.label} }}}}"
_NODE: Final = f"{{{{ $labels.{NODE.label} }}}}"


def rules() -> tuple[Rule, ...]:
    """Return the rules."""
    return (_no_data(), _hung(), _errors(), _queue(), _preemptions(), _first_token())


def _no_data() -> Rule:
    which, where = (f"{{{{ $labels.{attribute.label} }}}}" for attribute in (SERVER, NODE))
    return Rule(
        alert="ModelServerNoData",
        expression=f"{value(serving.SERVER_UP, PER_SERVER)} == 0\n"
        f"or on ({labels(PER_SERVER)})\n{_collector_broken()}",
        severity=Severity.WARNING,
        component=Component.SERVING,
        dashboard=SERVER_DASHBOARD,
        chosen=PER_SERVER,
        hold="5m",
        linger="5m",
        summary=f"Model server {which} on node {where} gives no data",
        description="It is configured and has not given metrics for 5 minutes: it is down, still loading "
        "its model, or answers something that is not a known server's metrics. It may or may not be serving.",
        action="Send it a request; then look at its pod and at what its metrics URL answers.",
    )


def _collector_broken() -> str:
    """Find servers whose collector failed as a whole: then there is no reading that says 0."""
    broken = select(
        itself.COLLECTOR_STATE,
        matches(COLLECTOR, SERVER_COLLECTORS),
        matches(COLLECTOR_STATUS, "failed|stalled"),
    )
    server = f'label_replace({broken}, "{SERVER.label}", "$1", "{COLLECTOR.label}", "serving/(.+)")'
    return f"{aggregate('max', PER_SERVER, server)} == 1"


def _hung() -> Rule:
    """Find engines that have requests and do nothing, while their metrics are as fresh as ever."""
    working = select(serving.REQUESTS_RUNNING, window="10m")
    busy = f"{aggregate('max', PER_ENGINE, f'min_over_time({working})')} > 0"
    still = f"{_grew(serving.TOKENS_GENERATED)} == 0"
    moving = (
        f"{_grew(metric)} > 0" for metric in (serving.TOKENS_PROMPT, serving.REQUESTS_FINISHED)
    )
    nothing = "".join(f"\nunless on ({labels(PER_ENGINE)})\n({each})" for each in moving)
    return Rule(
        alert="ModelServerHung",
        expression=f"({busy})\nand on ({labels(PER_ENGINE)})\n({still}){nothing}",
        severity=Severity.CRITICAL,
        component=Component.SERVING,
        dashboard=SERVER_DASHBOARD,
        chosen=PER_SERVER,
        hold="1m",
        linger="5m",
        subject=_MODEL,
        summary=f"Model {_WHICH} hangs",
        description="It has had {{ $value | printf `%.0f` }} or more requests running for 10 minutes, and in "
        f"that time no token came out, no prompt was worked on and no request ended. Node {_NODE}.",
        action="Send it a request with a time limit; take a stack of the process; then restart it.",
    )


def _grew(metric: Metric) -> str:
    return rate(metric, PER_ENGINE, window="10m", function="increase")


def _errors() -> Rule:
    ended = f"{recorded.REQUESTS.name} * 300 >= {LEAST_ENDED}"
    return Rule(
        alert="ModelErrorsHigh",
        expression=f"{recorded.ERRORS.name} > {ERRORS}\nand on ({labels(SERVED)})\n({ended})",
        severity=Severity.WARNING,
        component=Component.SERVING,
        dashboard=SERVER_DASHBOARD,
        chosen=PER_SERVER,
        hold="10m",
        linger="10m",
        subject=_MODEL,
        summary=f"Model {_WHICH}: {{{{ $value | humanizePercentage }}}} errors",
        description=f"Of the requests of the last 5 minutes on node {_NODE} this share ended in an error of "
        "the server's; requests that are themselves wrong (HTTP 4xx) do not count.",
        action="Read the server's log for the first error; compare with GPU alerts of the node.",
    )


def _queue() -> Rule:
    waiting, before = (
        aggregate(
            "sum", SERVED, f"avg_over_time({select(serving.REQUESTS_WAITING, window='5m')}{at})"
        )
        for at in ("", " offset 10m")
    )
    cache = select(serving.KV_CACHE_UTILIZATION, window="5m")
    full = f"{aggregate('max', SERVED, f'avg_over_time({cache})')} >= {CACHE_FULL}"
    return Rule(
        alert="ModelQueueGrowing",
        expression=f"({waiting} > {LEAST_WAITING} > on ({labels(SERVED)}) {GROWN} * {before})\n"
        f"and on ({labels(SERVED)})\n({full})",
        severity=Severity.WARNING,
        component=Component.SERVING,
        dashboard=SERVER_DASHBOARD,
        chosen=PER_SERVER,
        hold="10m",
        linger="10m",
        subject=_MODEL,
        summary=f"Model {_WHICH}: queue grows, KV cache is full",
        description="{{ $value | printf `%.0f` }} requests wait, a fifth more than ten minutes ago, and the "
        f"KV cache has no room for them. Node {_NODE}.",
        action="Add a replica or shed load; then look for requests that are longer than they used to be.",
    )


def _preemptions() -> Rule:
    pushed = rate(serving.PREEMPTIONS, SERVED, window="10m", function="increase")
    ended = rate(serving.REQUESTS_FINISHED, SERVED, window="10m", function="increase")
    ratio = f"{pushed}\n/ on ({labels(SERVED)})\n({ended} > 0) > {PREEMPTED}"
    return Rule(
        alert="ModelPreemptionStorm",
        expression=f"({ratio})\nand on ({labels(SERVED)})\n({pushed} >= {LEAST_PREEMPTED})",
        severity=Severity.WARNING,
        component=Component.SERVING,
        dashboard=SERVER_DASHBOARD,
        chosen=PER_SERVER,
        hold="10m",
        linger="10m",
        subject=_MODEL,
        summary=f"Model {_WHICH}: requests push each other out",
        description="{{ $value | printf `%.1f` }} preemptions per request that ends: the KV cache is too "
        f"small for the requests that are let in, and work is done twice. Node {_NODE}.",
        action="Let in fewer at once (vLLM: --max-num-seqs), or give the KV cache more memory.",
    )


def _first_token() -> Rule:
    """Compare means: a quantile jumps from bucket to bucket."""
    now, before = _mean("30m", ""), _mean("1d", " offset 1h")
    started = rate(
        serving.TIME_TO_FIRST_TOKEN, SERVED, window="30m", part="count", function="increase"
    )
    return Rule(
        alert="ModelFirstTokenSlower",
        expression=f"({now} > {NOTICED} > on ({labels(SERVED)}) {SLOWER} * {before})\n"
        f"and on ({labels(SERVED)})\n({started} >= {LEAST_STARTED})",
        severity=Severity.WARNING,
        component=Component.SERVING,
        dashboard=SERVER_DASHBOARD,
        chosen=PER_SERVER,
        hold="15m",
        linger="15m",
        subject=_MODEL,
        summary=f"Model {_WHICH}: first token takes {{{{ $value | humanizeDuration }}}}",
        description=f"The mean of the last 30 minutes is more than {SLOWER} times that of the day before. "
        f"Node {_NODE}.",
        action="Compare queue, prompt lengths and prefix-cache hits with yesterday, then the GPUs' clocks.",
    )


def _mean(window: str, at: str) -> str:
    summed, counted = (
        aggregate(
            "sum",
            SERVED,
            f"rate({select(serving.TIME_TO_FIRST_TOKEN, part=part, window=window)}{at})",
        )
        for part in ("sum", "count")
    )
    return f"({summed} / on ({labels(SERVED)}) ({counted} > 0))"
