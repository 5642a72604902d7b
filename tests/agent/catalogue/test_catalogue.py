"""What holds for the whole catalogue, whatever is added to it."""

import re
from collections import Counter
from pathlib import Path

import pytest

from agent.catalogue import BY_NAME, CATALOGUE, COMMON, EVENT_KINDS, Attribute, EventKind, Metric
from agent.catalogue import attributes as attributes_module
from agent.catalogue.document import document, main

KNOWN = [value for value in vars(attributes_module).values() if isinstance(value, Attribute)]
UNITS = re.compile(r"1|s|By(?:/s)?|W|J|Hz|Cel|\{[a-z_]+\}")
"""The UCUM units in use: base units, never scaled, so that no panel or rule has to convert."""
DOTTED = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
SENTENCE = re.compile(r"[A-Z0-9`][^\n]*\.")

every_metric = pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)
every_event = pytest.mark.parametrize("kind", EVENT_KINDS, ids=lambda kind: kind.name)
every_attribute = pytest.mark.parametrize("attribute", KNOWN, ids=lambda attribute: attribute.key)


def _twice(items: list[str]) -> list[str]:
    return [item for item, count in Counter(items).items() if count > 1]


def test_names_are_unique() -> None:
    """No metric, event or attribute has another one's name."""
    assert _twice([metric.name for metric in CATALOGUE]) == []
    assert _twice([kind.name for kind in EVENT_KINDS]) == []
    assert _twice([attribute.key for attribute in KNOWN]) == []
    assert list(BY_NAME.values()) == list(CATALOGUE)


def test_series_are_unique() -> None:
    """No two metrics share a series in Prometheus, histograms' parts included."""
    assert _twice([series for metric in CATALOGUE for series in metric.series]) == []


def test_labels_are_unique() -> None:
    """No two attributes become the same label."""
    assert _twice([attribute.label for attribute in KNOWN]) == []


@every_metric
def test_metric_is_well_formed(metric: Metric) -> None:
    """A metric has a dotted name, a base unit, a group and one ASCII sentence that ends in a point."""
    assert DOTTED.fullmatch(metric.name)
    assert UNITS.fullmatch(metric.unit)
    assert metric.group in {"gpu", "serving", "drift", "system", "agent"}
    assert SENTENCE.fullmatch(metric.description)
    assert metric.description.isascii()


@every_metric
def test_metric_uses_known_attributes_once(metric: Metric) -> None:
    """A metric's attributes are declared ones, none twice, and none that every series has anyway."""
    assert set(metric.attributes) <= set(KNOWN) - set(COMMON)
    assert _twice([attribute.key for attribute in metric.attributes]) == []


@every_metric
def test_no_metric_is_labelled_by_process(metric: Metric) -> None:
    """No metric makes a series per process, nor per message."""
    assert {"process_pid", "process_executable_name", "error_message"}.isdisjoint(metric.labels)


@every_event
def test_event_is_well_formed(kind: EventKind) -> None:
    """An event has a dotted name, known attributes and one ASCII sentence that ends in a point."""
    assert DOTTED.fullmatch(kind.name)
    assert set(kind.attributes) <= set(KNOWN)
    assert SENTENCE.fullmatch(kind.description)
    assert kind.description.isascii()


@every_attribute
def test_attribute_is_well_formed(attribute: Attribute) -> None:
    """An attribute has a dotted key, an ASCII description that ends in a point, and values once each."""
    assert DOTTED.fullmatch(attribute.key)
    assert attribute.description.endswith(".")
    assert attribute.description.isascii()
    assert _twice(list(attribute.values)) == []


def test_every_declared_attribute_is_used() -> None:
    """Nothing is declared that no metric and no event carries."""
    of_metrics = {attribute for metric in CATALOGUE for attribute in metric.attributes}
    of_events = {attribute for kind in EVENT_KINDS for attribute in kind.attributes}

    assert of_metrics | of_events | set(COMMON) == set(KNOWN)


def test_reference_lists_everything() -> None:
    """The page about metrics has each metric, event and label."""
    page = document()

    for metric in CATALOGUE:
        assert f"| `{metric.family}` | `{metric.name}` |" in page
        assert all(f"| `{label}` |" in page for label in metric.labels)
    for kind in EVENT_KINDS:
        assert f"| `{kind.name}` |" in page


def test_stale_reference_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A page that differs from the catalogue fails the check, and writing it makes the check pass."""
    monkeypatch.setattr("agent.catalogue.document.PATH", tmp_path / "metrics.md")

    assert main(["--check"]) == 1
    assert "run `make generate`" in capsys.readouterr().err
    assert main([]) == 0
    assert main(["--check"]) == 0
