"""The alert rules: what Prometheus, the catalogue and somebody paged at night demand of them."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerts import build
from alerts.rule import RUNBOOKS, Component, Rule, Severity
from dashboards import drift as drift_dashboard
from dashboards import gpu_health, gpu_node
from tests.promql_catalogue import in_annotation, labels_of
from tests.real_parts.command import CommandError, run

UNIT_TESTS = Path(__file__).resolve().parent.parent / "rules"
GENERATED = build.GENERATED / "warpwatch.rules.yaml"
RULES = build.all_rules()
UIDS = {gpu_node.UID, gpu_health.UID, drift_dashboard.UID}
SECTIONS = ("## Meaning", "## Impact", "## Diagnosis", "## Mitigation")


def expectations() -> list[dict[str, Any]]:
    """Return every expectation of an alert in the promtool unit tests."""
    files = [yaml.safe_load(path.read_text()) for path in UNIT_TESTS.glob("*.test.yaml")]
    return [e for file in files for test in file["tests"] for e in test.get("alert_rule_test", [])]


def test_promtool_accepts_the_rules(promtool: Path) -> None:
    """The oldest Prometheus that is supported takes the file, and its linter has nothing to say."""
    said = run(promtool, "check", "rules", "--lint=all", "--lint-fatal", GENERATED)

    assert f"{len(RULES) + len(build.all_recordings())} rules found" in said


@pytest.mark.parametrize("path", sorted(UNIT_TESTS.glob("*.test.yaml")), ids=lambda path: path.name)
def test_rules_do_what_their_unit_tests_say(path: Path, promtool: Path) -> None:
    """Prometheus's own unit tests pass: what fires, what it says, and what stays quiet."""
    assert "SUCCESS" in run(promtool, "test", "rules", path)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.alert)
def test_every_rule_is_tested_to_fire_and_to_be_quiet(rule: Rule) -> None:
    """For each alert there is a moment at which it fires and one at which it must not."""
    fires = [bool(e["exp_alerts"]) for e in expectations() if e["alertname"] == rule.alert]

    assert set(fires) == {True, False}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.alert)
def test_unit_tests_notice_a_rule_that_is_gone(rule: Rule, promtool: Path, tmp_path: Path) -> None:
    """The unit tests fail where a rule can never fire: they do test it."""
    broken = yaml.safe_load(GENERATED.read_text())
    for group in broken["groups"]:
        for each in group["rules"]:
            if each.get("alert") == rule.alert:
                each["expr"] = "vector(0) > 1"
    (tmp_path / "broken.yaml").write_text(yaml.safe_dump(broken))
    concerned = [p for p in UNIT_TESTS.glob("*.test.yaml") if rule.alert in p.read_text()]
    for path in concerned:
        test = yaml.safe_load(path.read_text()) | {"rule_files": ["broken.yaml"]}
        (tmp_path / path.name).write_text(yaml.safe_dump(test))

    with pytest.raises(CommandError, match=f"alertname: {rule.alert}"):
        run(promtool, "test", "rules", *tmp_path.glob("*.test.yaml"))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.alert)
def test_rule_agrees_with_the_catalogue(rule: Rule) -> None:
    """The expression's metrics and labels exist, and so does every label that the page shows."""
    written = rule.as_yaml(RUNBOOKS, "")
    labels = labels_of(rule.expression)

    for text in written["annotations"].values():
        assert in_annotation(text) <= labels
    assert not labels & {"instance", "pod", "job"}


LOOK_UPS = [
    (rule, text)
    for rule in RULES
    for text in rule.as_yaml(RUNBOOKS, "")["annotations"].values()
    if "{{ range query" in text
]


@pytest.mark.parametrize(
    ("rule", "text"), LOOK_UPS, ids=lambda value: getattr(value, "alert", "text")
)
def test_what_an_annotation_asks_agrees_with_the_catalogue(rule: Rule, text: str) -> None:
    """A page that asks Prometheus for codes asks for metrics and labels that exist, and shows one of them."""
    (asked,) = re.findall(r"printf `([^`]*)`", text)
    given = labels_of(asked.replace("%[1]s", "n1"))
    shown = set(re.findall(r"\.Labels\.(\w+)", text)) | set(
        re.findall(r"sortByLabel `(\w+)`", text)
    )

    assert shown == given, rule.alert


def test_names_are_unique_and_say_what_is_wrong() -> None:
    """Alertmanager tells alerts apart by name and labels: no name is there twice."""
    names = [rule.alert for rule in RULES]

    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[A-Z][A-Za-z]+", name) for name in names)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.alert)
def test_rule_is_complete(rule: Rule) -> None:
    """A page says what, where, what to do first, and where to read on."""
    written = rule.as_yaml("https://runbooks.example", "https://grafana.example/")
    notes = written["annotations"]

    assert written["labels"]["severity"] in {severity.value for severity in Severity}
    assert written["labels"]["component"] in {component.value for component in Component}
    assert len(re.sub(r"{{.*?}}", "", notes["summary"])) < 80
    assert notes["runbook_url"] == f"https://runbooks.example/{rule.alert}.md"
    assert re.match(r"https://grafana.example/d/([\w-]+)", notes["dashboard_url"])[1] in UIDS  # type: ignore[index]
    assert notes["action"].endswith(".")
    assert written["keep_firing_for"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.alert)
def test_rule_has_a_runbook(rule: Rule) -> None:
    """The runbook exists, has the four sections in order, names its alert, and holds commands to run."""
    text = (build.HERE / "runbooks" / rule.runbook).read_text(encoding="utf-8")
    places = [text.find(section) for section in SECTIONS]

    assert text.startswith(f"# {rule.alert}\n")
    assert -1 not in places
    assert places == sorted(places)
    assert "```" in text


def test_every_runbook_belongs_to_a_rule() -> None:
    """No runbook outlives its alert."""
    pages = {path.name for path in (build.HERE / "runbooks").glob("*.md")}

    assert pages == {rule.runbook for rule in RULES}
