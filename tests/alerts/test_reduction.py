"""What is left of a rule file for one test: enough, and no more."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.alerts.reduction import only, reduced, silenced, unit_tests


def alert(name: str, expr: str, **annotations: str) -> dict[str, Any]:
    """Return an alerting rule."""
    return {"alert": name, "expr": expr, "annotations": annotations}


def record(name: str, expr: str) -> dict[str, Any]:
    """Return a recording rule."""
    return {"record": name, "expr": expr}


RULES = {
    "groups": [
        {"name": "base", "rules": [record("node:power:sum", "sum by (node) (power)")]},
        {"name": "top", "rules": [record("fleet:power:sum", "sum(node:power:sum)")]},
        {"name": "power", "rules": [alert("Hot", "fleet:power:sum > 9"), alert("Cold", "x < 1")]},
        {"name": "plain", "rules": [alert("Lost", "lost == 1")]},
        {
            "name": "looks",
            "rules": [alert("Looks", "y", also="{{ range query `node:power:sum` }}")],
        },
        {
            "name": "after",
            "rules": [alert("After", 'ALERTS{alertname="Lost", alertstate="firing"}')],
        },
        {"name": "any", "rules": [alert("Any", "count(ALERTS) > 3")]},
    ]
}
EVERY = [group["name"] for group in RULES["groups"]]


@pytest.mark.parametrize(
    ("alerts", "asked", "left"),
    [
        (["Lost"], [], ["plain"]),
        (["Cold"], [], ["base", "top", "power"]),
        (["Lost", "Hot"], [], ["base", "top", "power", "plain"]),
        (["Looks"], [], ["base", "looks"]),
        (["After"], [], ["plain", "after"]),
        (["Any"], [], EVERY),
        ([], ["fleet:power:sum * 2"], ["base", "top"]),
        ([], ['ALERTS{alertname="Lost"}'], ["plain"]),
        ([], ["count(ALERTS) or vector(0)"], EVERY),
        ([], ["up"], []),
    ],
)
def test_groups_that_are_left(alerts: list[str], asked: list[str], left: list[str]) -> None:
    """A test has the groups of its alerts, and those of what is recorded for them, step by step."""
    test = {
        "alert_rule_test": [{"alertname": name} for name in alerts],
        "promql_expr_test": [{"expr": each} for each in asked],
    }

    groups = reduced(RULES, test)["groups"]

    assert [group["name"] for group in groups] == left
    assert all(group in RULES["groups"] for group in groups)


def test_expectations_of_one_alert() -> None:
    """Trimmed to one alert, a test keeps its series and what it expects of that alert."""
    test = {
        "input_series": ["s"],
        "alert_rule_test": [{"alertname": "Hot", "eval_time": 1}, {"alertname": "Lost"}],
        "promql_expr_test": [{"expr": "up"}],
    }

    trimmed = only(test, "Hot")

    assert trimmed == {
        "input_series": ["s"],
        "alert_rule_test": [{"alertname": "Hot", "eval_time": 1}],
    }
    assert only(test, "Cold") is None


def test_a_rule_that_never_fires() -> None:
    """Silencing changes the one rule and no other."""
    groups = silenced(RULES, "Hot")["groups"]

    changed = [
        (new["alert"], new["expr"])
        for group, before in zip(groups, RULES["groups"], strict=True)
        for new, old in zip(group["rules"], before["rules"], strict=True)
        if new != old
    ]
    assert changed == [("Hot", "vector(0) > 1")]


def test_values_of_a_series_stay_as_they_are_written(tmp_path: Path) -> None:
    """Read and written again, ``0x20`` is still promtool's twenty samples of 0, and 30 still a number."""
    path = tmp_path / "unit.test.yaml"
    path.write_text("tests: [{values: 0x20, more: 1x5 stale, value: 30}]")

    again = yaml.safe_load(yaml.safe_dump(unit_tests(path)))

    assert again == {"tests": [{"values": "0x20", "more": "1x5 stale", "value": 30}]}
