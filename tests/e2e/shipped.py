"""The expressions that Warpwatch ships: those of the dashboards' panels and those of the alert rules."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import promql_parser as promql
import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
RULES: Final = ROOT / "alerts" / "generated" / "warpwatch.rules.yaml"


def panel_expressions() -> dict[str, str]:
    """Return every expression of every generated dashboard, by dashboard, panel and query."""
    found = {}
    for path in sorted((ROOT / "dashboards" / "generated").glob("*.json")):
        for panel in _panels(json.loads(path.read_text(encoding="utf-8"))["panels"]):
            for target in panel.get("targets", []):
                name = f"{path.stem}: {panel['title']} {target['refId']}"
                assert name not in found, f"two queries are called {name}"
                found[name] = target["expr"]
    return found


def _panels(panels: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield every panel, those within rows as well."""
    for panel in panels:
        yield panel
        yield from _panels(panel.get("panels", []))


def rule_expressions() -> dict[str, str]:
    """Return the expression of every generated rule, by alert or by the series that it records."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    return {rule.get("alert") or rule["record"]: rule["expr"] for rule in rules}


def selectors(expression: str) -> list[str]:
    """Return the selectors of an expression, each as a query of its own."""
    found: list[Any] = []
    promql.walk(promql.parse(expression), found.append)
    return sorted({node.prettify() for node in found if isinstance(node, promql.VectorSelector)})
