"""Drift's rules on a real VictoriaMetrics, unchanged, beside Prometheus and numpy.

It records a day of a fleet in which one replica restarts, one comes and one goes. All that it has then is
given to a Prometheus, and each rule's expression is asked of both.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import yaml

from agent.drift.bins import CategoryBins, NumericBins, midranks, smoothed
from alerts import build
from alerts.recording import Recording
from tests.real_parts.backfill import Series, start_with_history
from tests.real_parts.command import run
from tests.real_parts.install import path_of
from tests.real_parts.programs import Programs
from tests.real_parts.servers import Prometheus
from tests.real_parts.victoria_metrics import VictoriaMetrics, start_victoria_metrics

pytestmark = pytest.mark.e2e

GROUPS: Final = tuple(
    name for name in build.RECORDINGS if "drift" in name and "serving" not in name
)
RULES: Final = tuple(each for name in GROUPS for each in build.RECORDINGS[name]())
WHO: Final = {"model": "m", "model_version": "1", "reference": "abc"}
BINS: Final = {
    "score": NumericBins((18.0, 40.0)).labels,
    "plan": CategoryBins(("free", "pro")).labels,
}
REFERENCE: Final = {"score": (900, 4_000, 3_100, 50, 0), "plan": (6_000, 2_000, 10, 40)}
PER_SCRAPE: Final = {"score": (3, 10, 7, 0.5, 0), "plan": (6, 2, 0.1, 0.3)}
ORDERED: Final = 3
SCRAPE: Final = 30
HOUR: Final = 3600 // SCRAPE
DAY: Final = 24 * HOUR
SEEN: Final = 27 * HOUR
"""Scrapes, the last of them at the time that is asked about."""
LIVES: Final = {
    "steady": ((0, SEEN),),
    "restarted": ((0, SEEN - 10 * HOUR), (SEEN - 10 * HOUR, SEEN - 47), (SEEN - 47, SEEN)),
    "new": ((SEEN - HOUR // 2, SEEN),),
    "gone": ((0, SEEN - HOUR // 3),),
    "shifted": ((0, SEEN),),
}
"""Of each replica, the spans of scrapes through which its process lived: its counters begin at 0 in each."""
EDGE: Final = (0.02, 3.0)
"""As a share, and in values: what the two make of a window's ends. VictoriaMetrics takes the value before the
window, and so each increment once; Prometheus extrapolates from the first value inside, which of 120 scrapes
leaves out one. Measured: 0.6 % at most with Prometheus 2.42, and 1.4 values of 35 with 3.5.
"""
EXACT: Final = (1e-9, 1e-9)
Key = frozenset[tuple[str, str]]


def came(node: str, feature: str) -> Any:
    """Return how many values came to each bin between a scrape and the next; of most, about as many."""
    chance = np.random.default_rng([sum(map(ord, node)), sum(map(ord, feature))])
    rates = np.array(PER_SCRAPE[feature], float)
    if node == "shifted":
        rates = rates[::-1]
    found = chance.poisson(rates, (SEEN, len(rates)))
    lived = np.zeros(SEEN, bool)
    for begin, end in LIVES[node]:
        lived[begin + 1 : end] = True
    return found * lived[:, None]


OUTCOMES: Final = ("true_positive", "false_positive", "true_negative", "false_negative")


def worth(who: Mapping[str, str], place: int, times: list[float]) -> Iterator[Series]:
    """Return what a bin of a score is worth, and which labels came for it, as many in each scrape."""
    yield "model_drift_score_correctness", who, [(at, 0.9 - 0.1 * place) for at in times]
    yield "model_drift_score_positive_rate", who, [(at, 0.2 + 0.3 * place) for at in times]
    for number, outcome in enumerate(OUTCOMES):
        grown = [float(scrape * (1 + (place + number) % 3)) for scrape in range(len(times))]
        labels = {**who, "outcome": outcome}
        yield "model_drift_labels_total", labels, list(zip(times, grown, strict=True))


def observed(node: str, feature: str, end: int) -> Iterator[Series]:
    """Return the counters of a feature on a node and what it compares with, scraped until ``end``."""
    who = {**WHO, "feature": feature, "k8s_node_name": node, "instance": f"{node}:9411"}
    values, shares = came(node, feature), smoothed(REFERENCE[feature])
    ranks = midranks(REFERENCE[feature][:ORDERED]) if feature == "score" else ()
    spans = [np.arange(begin, stop) for begin, stop in LIVES[node]]
    times = [float(end - SCRAPE * (SEEN - 1 - at)) for span in spans for at in span]
    samples = float(sum(REFERENCE[feature]))
    yield "model_drift_reference_samples", who, [(at, samples) for at in times]
    for place, label in enumerate(BINS[feature]):
        of_bin = {**who, "bin": label}
        grown = np.concatenate([np.cumsum(values[span, place]) for span in spans])
        yield (
            "model_drift_feature_observations_total",
            of_bin,
            list(zip(times, map(float, grown), strict=True)),
        )
        share = shares[place]
        yield "model_drift_reference_proportion", of_bin, [(at, share) for at in times]
        if place < len(ranks):
            rank = ranks[place]
            yield "model_drift_reference_midrank", of_bin, [(at, rank) for at in times]
            if node == "steady":
                yield from worth(of_bin, place, times)


@dataclass(frozen=True)
class Stores:
    """The two, with the same series, and the time that is asked about."""

    victoria: VictoriaMetrics
    prometheus: Prometheus
    at: float


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """Run both. VictoriaMetrics evaluates the rules, at each full hour and at a time between two."""
    folder = tmp_path_factory.mktemp("stores")
    programs = Programs(folder)
    at = int(time.time()) // 3600 * 3600 - 1200
    hours = [at - 2400 - 3600 * number for number in range(25)]
    try:
        victoria = start_victoria_metrics(programs, folder)
        victoria.load(
            series for node in LIVES for feature in BINS for series in observed(node, feature, at)
        )
        victoria.load(earlier(at))
        for rule in RULES:
            name = rule.recorded.name
            times = [*hours, at] if name.endswith(":1h") or ":1" not in name else [at]
            victoria.load(evaluated(victoria, rule, times))
        prometheus = start_with_history(programs, folder, victoria.everything())
        yield Stores(victoria, prometheus, float(at))
    finally:
        for program in reversed(programs.started):
            program.stop()


def earlier(at: int) -> Iterator[Series]:
    """Return the shares of a day and a week ago."""
    for window, ago in (("1h", 7), ("1d", 7), ("1d", 1)):
        for feature, labels in BINS.items():
            for place, label in enumerate(labels):
                share = (place + ago) / (sum(range(len(labels))) + ago * len(labels))
                who = {**WHO, "feature": feature, "bin": label}
                yield f"drift:proportion:{window}", who, [(at - 86_400.0 * ago, share)]


def evaluated(victoria: VictoriaMetrics, rule: Recording, times: list[int]) -> Iterator[Series]:
    """Return what a rule records."""
    for moment in times:
        for labels, value in victoria.query(rule.expression, moment):
            kept = {key: told for key, told in labels.items() if key != "__name__"}
            yield rule.recorded.name, kept, [(moment, value)]


def keyed(found: list[tuple[dict[str, str], float]]) -> dict[Key, float]:
    """Return values by their labels, without the name that some functions keep."""
    return {
        frozenset((key, value) for key, value in labels.items() if key != "__name__"): value
        for labels, value in found
    }


def asked_of_both(stores: Stores, expression: str) -> tuple[dict[Key, float], dict[Key, float]]:
    """Return what each of the two says."""
    return (
        keyed(stores.victoria.query(expression, stores.at)),
        keyed(stores.prometheus.query(expression, stores.at)),
    )


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.recorded.name)
def test_rule_means_the_same_to_both(stores: Stores, rule: Recording) -> None:
    """Of the same series both make the same, to the last digits; growth of a counter differs at its ends."""
    victoria, prometheus = asked_of_both(stores, rule.expression)

    share, values = EDGE if "increase(" in rule.expression else EXACT
    assert victoria == pytest.approx(prometheus, rel=share, abs=values)
    assert victoria


def true_counts(feature: str, begin: int, end: int) -> dict[str, Any]:
    """Return how many values came to each replica between two scrapes, by bin."""
    return {node: came(node, feature)[begin + 1 : end + 1].sum(axis=0) for node in LIVES}


@pytest.mark.parametrize("feature", BINS)
def test_pooled_scores_are_those_of_numpy(stores: Stores, feature: str) -> None:
    """What VictoriaMetrics records of an hour is exact, whatever replicas did; a day is 24 whole hours."""
    reference = np.array(smoothed(REFERENCE[feature]))
    hour = true_counts(feature, SEEN - 1 - HOUR, SEEN - 1)
    since = SEEN - 1 - 2400 // SCRAPE
    day = true_counts(feature, since - DAY, since)

    for window, counts in (("1h", hour), ("1d", day)):
        told = {
            "samples": float(sum(counts.values()).sum()),
            "psi": _psi(sum(counts.values()), reference),
            "replica_psi_max": max(
                _psi(each, reference) for each in counts.values() if each.sum() >= 500
            ),
        }
        for name, value in told.items():
            series = f'drift:{name}:{window}{{feature="{feature}"}}'
            ((_, found),) = stores.victoria.query(series, stores.at)
            assert found == pytest.approx(value, rel=1e-9), series


def _psi(counts: Any, reference: Any) -> float:
    share = (counts + 0.5) / (counts.sum() + 0.5 * len(counts))
    return float(((share - reference) * np.log(share / reference)).sum())


def test_vmalert_takes_the_groups(tmp_path: Path) -> None:
    """VictoriaMetrics's own evaluator takes the recording rules as they are.

    Of alerts it knows `keep_firing_for` in newer versions than this one.
    """
    groups = yaml.safe_load(build.rules_yaml())["groups"]
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        yaml.safe_dump({"groups": [each for each in groups if each["name"] in GROUPS]})
    )

    said = run(path_of("vmalert"), "-dryRun", f"-rule={rules}")

    assert "error" not in said.lower()
