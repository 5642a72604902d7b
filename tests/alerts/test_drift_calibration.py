"""What calibration says beforehand, beside what Prometheus does with the same history."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.drift.calibration import HOLD, LINGER, Point, bound_of, episodes
from alerts import drift
from tests.real_parts.command import run

STEP = 300.0
WEEK = 7 * 288
RULES = {"1h": "ModelFeatureShiftedFast", "1d": "ModelFeatureShifted"}
WHO = 'model="m", model_version="1", reference="r", feature="age"'
_SECONDS = {"m": 60, "h": 3600}


def excursions(window: str, chance: random.Random) -> Iterator[float]:
    """Return a fortnight of a shift that now and then goes high, for long or too short, and comes back.

    Times to be high are either well below or well above what a rule holds for, and the pauses likewise
    beside how long an alert lingers, because sampling makes neither exact.
    """
    hold, linger = int(HOLD[window] / STEP), int(LINGER[window] / STEP)
    count = 0
    while count < 2 * WEEK:
        pause = chance.choice((linger // 3, 3 * linger, 20 * linger))
        high = chance.choice((1, hold // 3 or 1, 3 * hold, 10 * hold))
        level = chance.choice((0.2, -0.3))
        yield from (chance.uniform(-0.05, 0.05) for _ in range(pause))
        yield from (level for _ in range(high))
        count += pause + high


def unit_test(window: str, values: list[float], bound: float, alerts: int) -> dict[str, Any]:
    """Return a test by promtool that so many alerts fire, of a score every five minutes."""
    firing = f'ALERTS{{alertname="{RULES[window]}", alertstate="firing"}}'
    minutes = len(values) * 5
    begun = f"sum(count_over_time(({firing} unless {firing} offset 5m)[{minutes}m:5m]))"
    series = {
        f"drift:rank_shift_guarded:{window}{{{WHO}}}": " ".join(map(repr, values)),
        f"drift:rank_shift_threshold:{window}{{{WHO}}}": f"{bound!r}x{len(values)}",
    }
    expected = {"labels": "{}", "value": alerts}
    return {
        "interval": "5m",
        "input_series": [{"series": name, "values": told} for name, told in series.items()],
        "promql_expr_test": [
            {"expr": begun, "eval_time": f"{minutes}m", "exp_samples": [expected]}
        ],
    }


@pytest.mark.parametrize("window", RULES)
@pytest.mark.parametrize("seed", [1, 2])
def test_as_many_alerts_fire_as_were_predicted(
    promtool: Path, tmp_path: Path, window: str, seed: int
) -> None:
    """Of a history, the alert rule makes just as many alerts as calibration counts in it."""
    values = list(excursions(window, random.Random(seed)))
    points = [Point(number * STEP, value) for number, value in enumerate(values)]
    quiet = [Point(0, 0.05), Point(STEP, -0.05)]
    bound = bound_of(quiet, "rank_shift", window)

    predicted = episodes(points, bound, hold=HOLD[window], linger=LINGER[window], step=STEP)

    assert predicted > 3
    rules = [each.as_yaml("", "") for each in drift.rules() if each.alert == RULES[window]]
    test = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "5m",
        "tests": [unit_test(window, values, bound, predicted)],
    }
    (tmp_path / "rules.yaml").write_text(
        yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]})
    )
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(test, width=10**9))
    assert "SUCCESS" in run(promtool, "test", "rules", tmp_path / "test.yaml")


@pytest.mark.parametrize("window", RULES)
def test_prediction_knows_how_long_the_rules_wait(window: str) -> None:
    """The times by which alerts are predicted are those of the rules."""
    (rule,) = (each for each in drift.rules() if each.alert == RULES[window])

    for told, known in ((rule.hold, HOLD), (rule.linger, LINGER)):
        assert int(told[:-1]) * _SECONDS[told[-1]] == known[window]
