"""Drift's scores in Prometheus's own engine, beside the same formulas in numpy."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from agent.catalogue.recorded_drift import RECORDED_DRIFT
from agent.drift.bins import CategoryBins, NumericBins, midranks, smoothed
from alerts import drift_counts, drift_distances, drift_replicas
from alerts.drift_scores import day_recordings, hour_recordings

IDENTITY = {"model": "m", "model_version": "1", "reference": "abc"}
BINS = {"age": NumericBins((18.0, 40.0)).labels, "plan": CategoryBins(("free", "pro")).labels}
ORDERED = {"age": 3, "plan": 0}
REFERENCE = {"age": (900, 4_000, 3_100, 50, 0), "plan": (6_000, 2_000, 10, 40)}
PER_MINUTE = {
    # Of eight replicas one has shifted; one saw nothing at all.
    **{("age", f"n{number}"): (9, 40, 31, 1, 0) for number in range(6)},
    ("age", "n6"): (40, 30, 5, 1, 2),
    ("age", "n7"): (0, 0, 0, 0, 0),
    **{("plan", f"n{number}"): (6, 2, 0, 0) for number in range(6)},
    ("plan", "n6"): (1, 6, 2, 4),
    ("plan", "n7"): (0, 0, 0, 0),
}


def labelled(name: str, **labels: str) -> str:
    """Return a series as promtool writes it."""
    pairs = ", ".join(f'{key}="{value}"' for key, value in {**IDENTITY, **labels}.items())
    return f"{name}{{{pairs}}}"


def inputs(minutes: int) -> list[dict[str, str]]:
    """Return what the replicas export: counters that grow each minute, and the reference, each their own."""
    found = []
    for (feature, node), rates in PER_MINUTE.items():
        shares, ranks = (
            smoothed(REFERENCE[feature]),
            midranks(REFERENCE[feature][: ORDERED[feature]]),
        )
        replica = {"feature": feature, "k8s_node_name": node, "instance": f"{node}:9411"}
        samples = labelled("model_drift_reference_samples", **replica)
        found.append({"series": samples, "values": f"{sum(REFERENCE[feature])}x{minutes}"})
        for place, (label, rate) in enumerate(zip(BINS[feature], rates, strict=True)):
            of_bin = {**replica, "bin": label}
            told = {
                "model_drift_feature_observations_total": f"0+{rate}x{minutes}",
                "model_drift_reference_proportion": f"{shares[place]!r}x{minutes}",
            }
            if place < len(ranks):
                told["model_drift_reference_midrank"] = f"{ranks[place]!r}x{minutes}"
            found += [
                {"series": labelled(name, **of_bin), "values": values}
                for name, values in told.items()
            ]
    return found


def scores(
    feature: str, minutes: float, otherwise: Mapping[str, float] | None = None
) -> Mapping[str, float]:
    """Return the scores of a window, worked out by numpy from the true counts.

    Of some nodes the window has ``otherwise`` many minutes.
    """
    seen = otherwise or {}
    replicas = {
        node: np.array(rates, float) * seen.get(node, minutes)
        for (name, node), rates in PER_MINUTE.items()
        if name == feature
    }
    counts = sum(replicas.values(), np.zeros(len(BINS[feature])))
    reference = np.array(smoothed(REFERENCE[feature]))
    share = (counts + 0.5) / (counts.sum() + 0.5 * len(counts))
    middle = (share + reference) / 2
    expected = reference * counts.sum()
    k = len(counts) - 1
    told = {
        "samples": counts.sum(),
        "psi": _psi(share, reference),
        "tvd": np.abs(share - reference).sum() / 2,
        "js_distance": np.sqrt(
            (share * np.log2(share / middle)).sum() / 2
            + (reference * np.log2(reference / middle)).sum() / 2
        ),
        "chi2": ((counts - expected) ** 2 / expected).sum(),
        "psi_noise_p999": k
        * (1 - 2 / (9 * k) + 3.09 * np.sqrt(2 / (9 * k))) ** 3
        * (1 / counts.sum() + 1 / sum(REFERENCE[feature])),
        "replica_psi_max": max(
            _psi((each + 0.5) / (each.sum() + 0.5 * len(each)), reference)
            for each in replicas.values()
            if each.sum() >= 500
        ),
        "missing_ratio": counts[-2] / counts.sum(),
        "psi_guarded": _psi(share, reference),
    }
    ordered = ORDERED[feature]
    if ordered:
        ranks = np.array(midranks(REFERENCE[feature][:ordered]))
        shift = (counts[:ordered] * ranks).sum() / counts[:ordered].sum() - 0.5
        told |= {"rank_shift": shift, "rank_shift_guarded": shift}
    return told


def _psi(share: Any, reference: Any) -> float:
    return float(((share - reference) * np.log(share / reference)).sum())


def judge(promtool: Path, folder: Path, tests: list[dict[str, Any]]) -> str:
    """Return what promtool says about the recording rules; nothing where they do as ``tests`` say."""
    recordings = (
        *drift_counts.reference_recordings(),
        *hour_recordings(),
        *drift_counts.hourly(),
        *drift_replicas.day(),
        *day_recordings(),
        *drift_distances.recordings(),
        *drift_distances.earlier_recordings(),
    )
    groups = [{"name": "drift", "interval": "5m", "rules": [each.as_yaml() for each in recordings]}]
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
    (folder / "test.yaml").write_text(
        yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": "5m", "tests": tests})
    )
    done = subprocess.run(  # noqa: S603 - a program of the tests
        [promtool, "test", "rules", folder / "test.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def expected(
    feature: str, window: str, minutes: int, told: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Return the checks of one feature: each score within a billionth, and no other labels."""
    return [
        {
            "expr": f"abs({name_of(score, window, feature)} - {float(value)!r}) < bool 1e-9",
            "eval_time": f"{minutes}m",
            "exp_samples": [{"labels": labelled("", feature=feature), "value": 1}],
        }
        for score, value in told.items()
    ]


def name_of(score: str, window: str, feature: str) -> str:
    """Return the recorded series of a feature."""
    return f'drift:{score}:{window}{{feature="{feature}"}}'


@pytest.mark.parametrize("feature", ["age", "plan"])
def test_scores_are_those_of_numpy(promtool: Path, tmp_path: Path, feature: str) -> None:
    """Pooled over replicas and for the worst one, an hour's and a day's scores are exact."""
    hour = scores(feature, 60)
    day = scores(feature, 24 * 60)
    minutes = 26 * 60

    said = judge(
        promtool,
        tmp_path,
        [
            {
                "interval": "1m",
                "input_series": inputs(minutes),
                "promql_expr_test": [
                    *expected(feature, "1h", minutes, hour),
                    *expected(feature, "1d", minutes, day),
                ],
            }
        ],
    )

    assert said == ""


def lived(counter: Mapping[str, str], minutes: int) -> str:
    """Return a counter's values; n0 restarts half an hour before the end, n1 is gone for 20 minutes."""
    growth = counter["values"].split("x")[0]
    if '"n0"' in counter["series"]:
        return f"{growth}x{minutes - 30} {growth}x59"
    if '"n1"' in counter["series"]:
        return f"{growth}x{minutes - 20}"
    return counter["values"]


def test_restarts_and_lost_replicas_count_for_what_they_saw(promtool: Path, tmp_path: Path) -> None:
    """A counter that begins anew loses nothing, and a replica that ended counts until then and half a scrape.

    Once it is out of the window it has no score of its own any more.
    """
    minutes = 300
    series = [
        {**each, "values": lived(each, minutes)} if "observations" in each["series"] else each
        for each in inputs(minutes + 60)
    ]
    gone = 'drift:replica_psi:1h{feature="age", k8s_node_name="n1"}'

    said = judge(
        promtool,
        tmp_path,
        [
            {
                "interval": "1m",
                "input_series": series,
                "promql_expr_test": [
                    *expected("age", "1h", minutes, scores("age", 60, {"n0": 59, "n1": 40.5})),
                    {
                        "expr": f"count({gone})",
                        "eval_time": f"{minutes}m",
                        "exp_samples": [{"labels": "{}", "value": 1}],
                    },
                    {"expr": gone, "eval_time": f"{minutes + 50}m", "exp_samples": []},
                ],
            }
        ],
    )

    assert said == ""


def test_feature_without_data_has_no_scores(promtool: Path, tmp_path: Path) -> None:
    """Of a feature that has a reference and no counters there is its bound, and nothing that was measured."""
    series = [
        each
        for each in inputs(120)
        if not ("observations" in each["series"] and '"plan"' in each["series"])
    ]
    measured = '{__name__=~"drift:.*:1[hd]", __name__!~".*_threshold:.*", feature="plan"}'

    said = judge(
        promtool,
        tmp_path,
        [
            {
                "interval": "1m",
                "input_series": series,
                "promql_expr_test": [
                    {"expr": measured, "eval_time": "120m", "exp_samples": []},
                    {
                        "expr": 'count({__name__=~"drift:.*:1h", feature="age"}) > bool 10',
                        "eval_time": "120m",
                        "exp_samples": [{"labels": "{}", "value": 1}],
                    },
                ],
            }
        ],
    )

    assert said == ""


def test_worst_replica_of_a_day_is_told_between_evaluations(promtool: Path, tmp_path: Path) -> None:
    """What the seldom rules recorded last is still there for the frequent ones, for an hour."""
    series = labelled("drift:replica_psi:1d", feature="age", instance="n1:9411")
    worst = "drift:replica_psi_max:1d"

    said = judge(
        promtool,
        tmp_path,
        [
            {
                "interval": "1m",
                "input_series": [{"series": series, "values": "0.3 _x200"}],
                "promql_expr_test": [
                    {
                        "expr": worst,
                        "eval_time": "55m",
                        "exp_samples": [{"labels": labelled(worst, feature="age"), "value": 0.3}],
                    },
                    {"expr": worst, "eval_time": "70m", "exp_samples": []},
                ],
            }
        ],
    )

    assert said == ""


def test_replica_that_scores_itself_is_not_scored_again(promtool: Path, tmp_path: Path) -> None:
    """Its own word counts, for an hour and a day, and nothing is recorded of its bins."""
    own = {
        (window, node): labelled(
            "model_drift_replica_psi",
            feature="age",
            window=window,
            k8s_node_name=node,
            instance=f"{node}:9411",
        )
        for window in ("1h", "1d")
        for node in ("n0", "n6")
    }
    counters = [
        {**each, "series": each["series"].replace("}", ', scored_by="process"}')}
        for each in inputs(26 * 60)
        if "observations" in each["series"]
    ]
    references = [each for each in inputs(26 * 60) if "reference_" in each["series"]]
    told = [
        {"series": series, "values": f"{0.7 if node == 'n6' else 0.01}x1600"}
        for (_, node), series in own.items()
    ]

    said = judge(
        promtool,
        tmp_path,
        [
            {
                "interval": "1m",
                "input_series": [*counters, *references, *told],
                "promql_expr_test": [
                    *(
                        check
                        for window, minutes in (("1h", 60), ("1d", 24 * 60))
                        for check in expected(
                            "age",
                            window,
                            26 * 60,
                            {**scores("age", minutes), "replica_psi_max": 0.7},
                        )
                    ),
                    {
                        "expr": 'count(drift:replica_psi:1h{feature="age"})',
                        "eval_time": "1560m",
                        "exp_samples": [{"labels": "{}", "value": 2}],
                    },
                    {
                        "expr": '{__name__=~"drift:replica_(bin_count|samples):.*"}',
                        "eval_time": "1560m",
                        "exp_samples": [],
                    },
                ],
            }
        ],
    )

    assert said == ""


def test_too_few_samples_give_no_score(promtool: Path, tmp_path: Path) -> None:
    """Below a hundred values a bin the guarded scores are absent, and never 0."""
    said = judge(
        promtool,
        tmp_path,
        [
            {
                "interval": "1m",
                "input_series": [
                    {**each, "values": each["values"].replace("0+", "0+0.0")} for each in inputs(90)
                ],
                "promql_expr_test": [
                    {"expr": f"drift:{score}_guarded:1h", "eval_time": "80m", "exp_samples": []}
                    for score in ("psi", "rank_shift")
                ],
            }
        ],
    )

    assert said == ""


def test_two_references_are_never_mixed(promtool: Path, tmp_path: Path) -> None:
    """Replicas that compare with another reference have scores of their own."""
    other = [
        {**each, "series": each["series"].replace("abc", "def")}
        for each in inputs(120)
        if '"n6"' in each["series"]
    ]
    said = judge(
        promtool,
        tmp_path,
        [
            {
                "interval": "1m",
                "input_series": [*inputs(120), *other],
                "promql_expr_test": [
                    {
                        "expr": 'round(drift:samples:1h{feature="age"})',
                        "eval_time": "120m",
                        "exp_samples": [
                            {"labels": labelled("", feature="age"), "value": 6 * 81 * 60 + 78 * 60},
                            {
                                "labels": labelled("", feature="age").replace("abc", "def"),
                                "value": 78 * 60,
                            },
                        ],
                    }
                ],
            }
        ],
    )

    assert said == ""


def test_learned_thresholds_replace_the_default(promtool: Path, tmp_path: Path) -> None:
    """Without calibration there is a cautious bound for every feature, with it the learned one."""
    learned = labelled("model_drift_threshold", feature="age", statistic="rank_shift", window="1h")
    said = judge(
        promtool,
        tmp_path,
        [
            {
                "interval": "1m",
                "input_series": [*inputs(60), {"series": learned, "values": "0.042x60"}],
                "promql_expr_test": [
                    {
                        "expr": "drift:rank_shift_threshold:1h",
                        "eval_time": "60m",
                        "exp_samples": [
                            {
                                "labels": labelled(
                                    "drift:rank_shift_threshold:1h", feature=feature
                                ),
                                "value": bound,
                            }
                            for feature, bound in (("age", 0.042), ("plan", 0.1))
                        ],
                    }
                ],
            }
        ],
    )

    assert said == ""


def test_every_series_has_the_reference() -> None:
    """What is recorded carries the version and the reference."""
    for each in RECORDED_DRIFT:
        assert {"model", "model_version", "reference"} <= {a.label for a in each.attributes}
