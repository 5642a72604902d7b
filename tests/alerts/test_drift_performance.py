"""Estimated and realized performance in Prometheus's own engine, beside the same in Python."""

import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.drift.bins import NumericBins, smoothed
from agent.drift.performance import Calibration, estimated_accuracy, estimated_roc_auc, roc_auc
from alerts import drift_counts, drift_performance, drift_scores

IDENTITY = {"model": "m", "model_version": "1", "reference": "abc"}
BINS = NumericBins(tuple(number / 20 for number in range(1, 20)))
LABELLED = tuple(1_000 + number for number in range(20))
POSITIVES = tuple(int(n * (place + 0.4) / 20) for place, n in enumerate(LABELLED))
RIGHT = tuple(max(hit, n - hit) for hit, n in zip(POSITIVES, LABELLED, strict=True))
CALIBRATION = Calibration(LABELLED, RIGHT, POSITIVES, "1")
PER_MINUTE = (*random.Random(1).choices(range(9), k=20), 1, 0)
OUTCOMES = ("true_positive", "false_positive", "true_negative", "false_negative")
NODES = ("a", "b")
MINUTES = 26 * 60


def labelled(name: str, **labels: str) -> str:
    """Return a series as promtool writes it."""
    pairs = ", ".join(f'{key}="{value}"' for key, value in {**IDENTITY, **labels}.items())
    return f"{name}{{{pairs}}}"


def came(place: int, outcome: str) -> int:
    """Return how many labels a minute come for a bin of the score, on each node."""
    return (place * 7 + OUTCOMES.index(outcome) * 3) % 5


def inputs(factor: int = 1) -> list[dict[str, str]]:
    """Return what two nodes export."""
    found = []
    shares = smoothed((*LABELLED, 0, 0))
    for node in NODES:
        replica = {"feature": "score", "k8s_node_name": node, "instance": f"{node}:9411"}
        found.append(
            {
                "series": labelled("model_drift_reference_samples", **replica),
                "values": f"{sum(LABELLED)}x{MINUTES}",
            }
        )
        for place, label in enumerate(BINS.labels):
            told = {
                "model_drift_feature_observations_total": f"0+{PER_MINUTE[place] * factor}",
                "model_drift_reference_proportion": repr(shares[place]),
            }
            if place < 20:
                told["model_drift_score_correctness"] = repr(CALIBRATION.correctness[place])
                told["model_drift_score_positive_rate"] = repr(CALIBRATION.positive_rates[place])
            found += [
                {"series": labelled(name, **replica, bin=label), "values": f"{value}x{MINUTES}"}
                for name, value in told.items()
            ]
            found += [
                {
                    "series": labelled(
                        "model_drift_labels_total", **replica, bin=label, outcome=outcome
                    ),
                    "values": f"0+{came(place, outcome) * factor if place < 20 else 0}x{MINUTES}",
                }
                for outcome in OUTCOMES
            ]
    return found


def judge(promtool: Path, folder: Path, tests: list[dict[str, Any]]) -> str:
    """Return what promtool says; nothing where the rules do as ``tests`` say."""
    recordings = (
        *drift_counts.reference_recordings(),
        *drift_scores.hour_recordings(),
        *drift_counts.hourly(),
        *drift_scores.day_recordings(),
        *drift_performance.reference_recordings(),
        *drift_performance.hour_recordings(),
        *drift_performance.day_recordings(),
    )
    rules = [
        *(each.as_yaml() for each in recordings),
        *(each.as_yaml("runbooks", "") for each in drift_performance.rules()),
    ]
    groups = [{"name": "drift", "interval": "5m", "rules": rules}]
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


def realized() -> dict[str, float]:
    """Return the accuracy and the area of the labels that come."""
    counts = {outcome: [float(came(place, outcome)) for place in range(20)] for outcome in OUTCOMES}
    right = sum(counts["true_positive"]) + sum(counts["true_negative"])
    area = roc_auc(
        [a + b for a, b in zip(counts["true_positive"], counts["false_negative"], strict=True)],
        [a + b for a, b in zip(counts["true_negative"], counts["false_positive"], strict=True)],
    )
    assert area is not None
    return {"accuracy": right / sum(map(sum, counts.values())), "roc_auc": area}


def test_performance_is_that_of_python(promtool: Path, tmp_path: Path) -> None:
    """Over two nodes, an hour and a day: estimates from counts, and the truth from labels, are exact."""
    accuracy = estimated_accuracy(PER_MINUTE[:20], CALIBRATION)
    area = estimated_roc_auc(PER_MINUTE[:20], CALIBRATION)
    told = {"estimated_accuracy": accuracy, "estimated_roc_auc": area, **realized()}

    said = judge(
        promtool,
        tmp_path,
        [
            {
                "interval": "1m",
                "input_series": inputs(),
                "promql_expr_test": [
                    {
                        "expr": f"abs(drift:{name}:{window} - {value!r}) < bool 1e-9",
                        "eval_time": f"{MINUTES}m",
                        "exp_samples": [{"labels": labelled(""), "value": 1}],
                    }
                    for name, value in told.items()
                    for window in ("1h", "1d")
                ],
            }
        ],
    )

    assert said == ""


def test_few_scores_and_labels_give_no_number(promtool: Path, tmp_path: Path) -> None:
    """Where there is next to nothing there is no estimate, no accuracy and no alert."""
    names = ("estimated_accuracy", "estimated_roc_auc", "accuracy", "roc_auc")

    said = judge(
        promtool,
        tmp_path,
        [
            {
                "interval": "1m",
                "input_series": inputs(factor=0),
                "promql_expr_test": [
                    {"expr": f"drift:{name}:{window}", "eval_time": "300m", "exp_samples": []}
                    for name in names
                    for window in ("1h", "1d")
                ],
                "alert_rule_test": [
                    {"eval_time": "300m", "alertname": rule.alert, "exp_alerts": []}
                    for rule in drift_performance.rules()
                ],
            }
        ],
    )

    assert said == ""


@pytest.mark.parametrize("alert", [rule.alert for rule in drift_performance.rules()])
def test_a_model_that_is_less_right_is_told(promtool: Path, tmp_path: Path, alert: str) -> None:
    """Scores that crowd where the model errs, and labels that contradict it, alert after half an hour."""
    said = judge(
        promtool,
        tmp_path,
        [
            {
                "interval": "1m",
                "input_series": [_worse(each) for each in inputs()],
                "promql_expr_test": [
                    {
                        "expr": f'count(ALERTS{{alertname="{alert}", alertstate="firing"}})',
                        "eval_time": "20h",
                        "exp_samples": [{"labels": "{}", "value": 1}],
                    },
                    {
                        "expr": f'count(ALERTS{{alertname="{alert}", alertstate="firing"}})',
                        "eval_time": "5m",
                        "exp_samples": [],
                    },
                ],
            }
        ],
    )

    assert said == ""


def _worse(series: dict[str, str]) -> dict[str, str]:
    """Return the series where every score lies in the middle, and every positive answer is wrong."""
    name = series["series"]
    if "observations" in name:
        middle = f'bin="{BINS.labels[9]}"' in name
        return {**series, "values": f"0+{20 if middle else 0}x{MINUTES}"}
    if "labels_total" in name and "true_positive" in name:
        return {**series, "values": f"0x{MINUTES}"}
    return series
