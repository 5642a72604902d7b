"""Cuts a rule file down to what a unit test is about.

promtool evaluates every rule of the file at every step of every test, hours of them: with all rules for each
test the time grows with the square of their number.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

Yaml = Mapping[str, Any]
_NAME: Final = re.compile(r"[a-zA-Z_:][\w:]*")
_ALERTS: Final = re.compile(r"\bALERTS(?:_FOR_STATE)?\b(?:{[^}]*\balertname=\"(\w+)\")?")


class _Loader(yaml.SafeLoader):
    """Reads numbers as promtool does: ``0x20`` is twenty times 0 and not hexadecimal."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as PyYAML declares it
        first: [one for one in found if one[0] != "tag:yaml.org,2002:int"]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"[-+]?\d+\Z"), list("-+0123456789")
)


def unit_tests(path: Path) -> dict[str, Any]:
    """Return a file of unit tests for promtool."""
    file: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    return file


def reduced(rules: Yaml, test: Yaml) -> dict[str, Any]:
    """Return the rule file with those groups alone that ``test`` needs, whole and in their order.

    Those are the groups of the alerts that it names, and of all that is recorded for them or asked for by it,
    through any number of steps. A test that asks for alerts of any name needs every group.
    """
    groups: list[Yaml] = rules["groups"]
    makers = {_made(rule): number for number, group in enumerate(groups) for rule in group["rules"]}
    wanted = {e["alertname"] for e in test.get("alert_rule_test", [])}
    for asked in test.get("promql_expr_test", []):
        wanted |= _needs(asked["expr"], makers)
    kept: set[int] = set()
    while found := {makers[name] for name in wanted if name in makers} - kept:
        kept |= found
        for number in found:
            wanted |= _needs_of_group(groups[number], makers)
    return {**rules, "groups": [groups[number] for number in sorted(kept)]}


def only(test: Yaml, alert: str) -> dict[str, Any] | None:
    """Return the test with its expectations of one alert alone; `None` where it has none."""
    expected = [e for e in test.get("alert_rule_test", []) if e["alertname"] == alert]
    rest = {key: value for key, value in test.items() if key != "promql_expr_test"}
    return {**rest, "alert_rule_test": expected} if expected else None


def silenced(rules: Yaml, alert: str) -> dict[str, Any]:
    """Return the rule file with a rule that can never fire in place of the one of ``alert``."""

    def rule(one: Yaml) -> Yaml:
        return {**one, "expr": "vector(0) > 1"} if one.get("alert") == alert else one

    groups = [{**group, "rules": list(map(rule, group["rules"]))} for group in rules["groups"]]
    return {**rules, "groups": groups}


def _made(rule: Yaml) -> str:
    """Return the name of what a rule makes: an alert, or a series."""
    return str(rule.get("alert") or rule["record"])


def _needs_of_group(group: Yaml, made: Iterable[str]) -> set[str]:
    texts = (text for rule in group["rules"] for text in _texts(rule))
    return {name for text in texts for name in _needs(text, made)}


def _texts(rule: Yaml) -> Iterator[str]:
    """Yield what of a rule asks for series: its expression, and pages that look something up."""
    yield rule["expr"]
    yield from (text for text in rule.get("annotations", {}).values() if "query" in text)


def _needs(text: str, made: Iterable[str]) -> set[str]:
    """Return which of the names ``made`` a text asks for."""
    named = {found[1] for found in _ALERTS.finditer(text)}
    if None in named:
        return set(made)
    return named | set(_NAME.findall(text)).intersection(made)
