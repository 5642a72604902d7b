"""The alert rules: what Prometheus, the catalogue and somebody paged at night demand of them."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerts import build
from alerts.rule import RUNBOOKS, Component, Rule, Severity
from dashboards.build import DASHBOARDS as BOARDS
from tests.alerts.reduction import only, reduced, silenced, unit_tests
from tests.promql_catalogue import in_annotation, labels_of
from tests.real_parts.command import CommandError, run

UNIT_TESTS = Path(__file__).resolve().parent.parent / "rules"
GENERATED = build.GENERATED / "warpwatch.rules.yaml"
GROUPS = yaml.safe_load(GENERATED.read_text(encoding="utf-8"))
RULES = build.all_rules()
VARIABLES = {
    str(made.uid): {variable.name for variable in made.templating.list_val or []}
    for made in (build_one() for build_one in BOARDS.values())
}
"""What each dashboard calls its variables, by its uid."""
SECTIONS = ("## Meaning", "## Impact", "## Diagnosis", "## Mitigation")


def expectations() -> list[dict[str, Any]]:
    """Return every expectation of an alert in the promtool unit tests."""
    files = [unit_tests(path) for path in UNIT_TESTS.glob("*.test.yaml")]
    return [e for file in files for test in file["tests"] for e in test.get("alert_rule_test", [])]


def write(path: Path, file: dict[str, Any], test: dict[str, Any], rules: dict[str, Any]) -> Path:
    """Write one test of a unit-test file, and beside it the rules that it is run against."""
    against = path.with_suffix(".rules")
    against.write_text(yaml.safe_dump(rules))
    path.write_text(yaml.safe_dump({**file, "tests": [test], "rule_files": [str(against)]}))
    return path


def test_groups_are_within_what_mimir_takes() -> None:
    """Mimir refuses more than 20 rules in a group and more than 70 groups, unless it is told otherwise."""
    sizes = {group["name"]: len(group["rules"]) for group in GROUPS["groups"]}

    assert max(sizes.values()) <= 20
    assert len(sizes) <= 70


def test_promtool_accepts_the_rules(promtool: Path) -> None:
    """The oldest Prometheus that is supported takes the file, and its linter has nothing to say."""
    said = run(promtool, "check", "rules", "--lint=all", "--lint-fatal", GENERATED)

    assert f"{len(RULES) + len(build.all_recordings())} rules found" in said


@pytest.mark.parametrize("path", sorted(UNIT_TESTS.glob("*.test.yaml")), ids=lambda path: path.name)
def test_rules_do_what_their_unit_tests_say(path: Path, promtool: Path, tmp_path: Path) -> None:
    """Prometheus's own unit tests pass: what fires, what it says, and what stays quiet.

    Each with the groups of rules that it is about; see tests/alerts/reduction.py.
    """
    file = unit_tests(path)
    written = [
        write(tmp_path / f"{number}.test.yaml", file, test, reduced(GROUPS, test))
        for number, test in enumerate(file["tests"])
    ]

    said = run(promtool, "test", "rules", *written)

    assert said.count("SUCCESS") == len(written) > 0


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.alert)
def test_every_rule_is_tested_to_fire_and_to_be_quiet(rule: Rule) -> None:
    """For each alert there is a moment at which it fires and one at which it must not."""
    fires = [bool(e["exp_alerts"]) for e in expectations() if e["alertname"] == rule.alert]

    assert set(fires) == {True, False}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.alert)
def test_unit_tests_notice_a_rule_that_is_gone(rule: Rule, promtool: Path, tmp_path: Path) -> None:
    """The unit tests fail where a rule can never fire: they do test it."""
    broken = silenced(GROUPS, rule.alert)
    files = [unit_tests(path) for path in sorted(UNIT_TESTS.glob("*.test.yaml"))]
    concerned = [
        (file, own) for file in files for test in file["tests"] if (own := only(test, rule.alert))
    ]
    written = [
        write(tmp_path / f"{number}.test.yaml", file, own, reduced(broken, own))
        for number, (file, own) in enumerate(concerned)
    ]

    # The end of a long report is kept: there the alert is among the labels that were expected.
    with pytest.raises(CommandError, match=f'alertname(: |="){rule.alert}'):
        run(promtool, "test", "rules", *written)


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
    assert re.match(r"https://grafana.example/d/([\w-]+)", notes["dashboard_url"])[1] in VARIABLES  # type: ignore[index]
    assert notes["action"].endswith(".")
    assert written["keep_firing_for"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.alert)
def test_link_chooses_on_the_dashboard_that_it_opens(rule: Rule) -> None:
    """A link sets variables that its dashboard has; one about a model server opens what is about those."""
    path, _, query = rule.as_yaml(RUNBOOKS, "")["annotations"]["dashboard_url"].partition("?")
    uid = path.removeprefix("/d/")

    assert set(re.findall(r"var-(\w+)=", query)) <= VARIABLES[uid]
    assert (rule.component is Component.SERVING) is uid.startswith("warpwatch-inference")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.alert)
def test_rule_has_a_runbook(rule: Rule) -> None:
    """The runbook exists, has the four sections in order, names its alert, and holds commands to run."""
    text = (build.HERE / "runbooks" / rule.runbook).read_text(encoding="utf-8")
    places = [text.find(section) for section in SECTIONS]

    assert text.startswith(f"# {rule.alert}\n")
    assert -1 not in places
    assert places == sorted(places)
    assert "```" in text


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.alert)
def test_runbook_asks_for_what_there_is(rule: Rule) -> None:
    """The runbook has queries to paste, and each names metrics and labels of the catalogue."""
    text = (build.HERE / "runbooks" / rule.runbook).read_text(encoding="utf-8")
    blocks = re.findall(r"```promql\n(.*?)```", text, flags=re.DOTALL)
    queries = [line.partition(" #")[0].strip() for block in blocks for line in block.splitlines()]

    assert "```sh" in text
    assert queries
    assert "$NODE" not in text or "NODE=the-node" in text
    for query in filter(None, queries):
        labels_of(query)


def test_every_runbook_belongs_to_a_rule() -> None:
    """No runbook outlives its alert."""
    pages = {path.name for path in (build.HERE / "runbooks").glob("*.md")}

    assert pages == {rule.runbook for rule in RULES}
