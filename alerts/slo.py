"""Burn-rate alerts of service level objectives, after the Site Reliability Workbook, chapter 5.

What may fail is a budget: the share that need not be good, over the objective's window. An alert fires
where it is being used up many times faster than it may be, over a long window, so that it matters, and a
short one, so that it ends soon after the trouble does. Objectives are data that the agents export, so one
set of rules serves all of them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from agent.catalogue import recorded, serving_slo
from agent.catalogue.attributes import CLUSTER, MODEL, SLO
from agent.catalogue.promql import labels, rate, value
from agent.catalogue.recorded import BURN_BASE, BURN_RATES, OUTAGE, PROMISED
from alerts.recording import Recording
from alerts.rule import MODELS_DASHBOARD, Component, Rule, Severity

LEAST_EVENTS: Final = 100
"""Events in the long window below which a share says too little: one failure of few is no page at night."""
_OBJECTIVE: Final = (SLO, CLUSTER)


@dataclass(frozen=True, kw_only=True)
class Burn:
    """One speed of burning: ``rate`` times faster than allowed, seen over both windows."""

    alert: str
    rate: float
    long: str
    short: str
    severity: Severity
    hold: str
    linger: str
    spent: str
    """What of the budget is gone by then."""
    action: str


BURNS: Final = (
    Burn(
        alert="ModelSLOBurningFast",
        rate=BURN_RATES["1h"],
        long="1h",
        short="5m",
        severity=Severity.CRITICAL,
        hold="2m",
        linger="5m",
        spent="2 % of what may fail within the objective's window failed within an hour",
        action="Find out what changed an hour ago; roll back, add replicas or shed load.",
    ),
    Burn(
        alert="ModelSLOBurning",
        rate=BURN_RATES["6h"],
        long="6h",
        short="30m",
        severity=Severity.CRITICAL,
        hold="2m",
        linger="15m",
        spent="5 % of what may fail within the objective's window failed within six hours",
        action="Look at queue, KV cache and GPUs of the model; add replicas or shed load.",
    ),
    Burn(
        alert="ModelSLOBurningForDay",
        rate=BURN_RATES["1d"],
        long="1d",
        short="2h",
        severity=Severity.WARNING,
        hold="15m",
        linger="1h",
        spent="10 % of what may fail within the objective's window failed within a day",
        action="Compare capacity with demand over the day, and plan for more of it.",
    ),
    Burn(
        alert="ModelSLOBurningForDays",
        rate=BURN_RATES["3d"],
        long="3d",
        short="6h",
        severity=Severity.WARNING,
        hold="1h",
        linger="1h",
        spent="at this pace nothing may fail any more at the end of the objective's window",
        action="Decide whether the model needs more capacity or another objective.",
    ),
)


def recordings() -> tuple[Recording, ...]:
    """Return the ratios over short windows, for pages."""
    return tuple(_recordings(lambda window: not window.endswith("d")))


def slow_recordings() -> tuple[Recording, ...]:
    """Return the ratios over days: they move slowly and are dear to compute."""
    return tuple(_recordings(lambda window: window.endswith("d")))


def rules() -> tuple[Rule, ...]:
    """Return the rules."""
    return tuple(map(_rule, BURNS))


def _recordings(wanted: Callable[[str], bool]) -> Iterator[Recording]:
    for window in filter(wanted, recorded.SLO_WINDOWS):
        good = rate(serving_slo.SLO_GOOD, PROMISED, window=window)
        total = rate(serving_slo.SLO_TOTAL, PROMISED, window=window)
        ratio = f"1 - {good}\n/ on ({labels(PROMISED)})\n({total} > 0)"
        yield Recording(recorded=recorded.SLO_RATIOS[window], expression=ratio)
    for window in filter(wanted, recorded.SLO_EVENTS):
        events = rate(serving_slo.SLO_TOTAL, PROMISED, window=window, function="increase")
        yield Recording(recorded=recorded.SLO_EVENTS[window], expression=events)


def _rule(burn: Burn) -> Rule:
    limit = _limit(burn.rate)
    long, short = recorded.SLO_RATIOS[burn.long].name, recorded.SLO_RATIOS[burn.short].name
    enough = f"{recorded.SLO_EVENTS[burn.long].name} >= {LEAST_EVENTS}"
    which, model = (f"{{{{ $labels.{attribute.label} }}}}" for attribute in (SLO, MODEL))
    return Rule(
        alert=burn.alert,
        expression=f"({long} > on ({labels(_OBJECTIVE)}) group_left () {limit})\n"
        f"and on ({labels(PROMISED)})\n({short} > on ({labels(_OBJECTIVE)}) group_left () {limit})\n"
        f"and on ({labels(PROMISED)})\n({enough})",
        severity=burn.severity,
        component=Component.SERVING,
        hold=burn.hold,
        linger=burn.linger,
        subject=f"{which} of {model}",
        summary=f"SLO {which} of {model} is failing: {{{{ $value | humanizePercentage }}}} bad",
        description=f"{{{{ $value | humanizePercentage }}}} of the events of the last {burn.long} were not "
        f"good: {burn.spent}.",
        action=burn.action,
        dashboard=MODELS_DASHBOARD,
        chosen=(CLUSTER, MODEL),
    )


def _limit(burn_rate: float) -> str:
    """Return the share of bad events at which the budget burns ``burn_rate`` times too fast."""
    objective = value(serving_slo.SLO_OBJECTIVE, _OBJECTIVE)
    window = value(serving_slo.SLO_WINDOW, _OBJECTIVE)
    scaled = f"(1 - {objective}) * on ({labels(_OBJECTIVE)}) {window} * {burn_rate:g} / {BURN_BASE}"
    return f"clamp_max({scaled}, {OUTAGE:g})"
