"""The rules that turn OpenTelemetry names into Prometheus names, by themselves."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.prometheus._mapping import map_unit

from agent.catalogue.translation import family_name, label_name, unit_suffix

METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
instrument_names = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_./-]{0,60}", fullmatch=True)
"""What OpenTelemetry's specification allows as an instrument's name."""
units = st.sampled_from(
    ["1", "s", "ms", "By", "KiBy", "W", "J", "Hz", "Cel", "%", "By/s", "{gpu}", "{token}/s", ""]
)


@pytest.mark.parametrize(
    ("name", "unit", "counter", "gauge", "expected"),
    [
        ("hw.energy", "J", True, False, "hw_energy_joules_total"),
        ("hw.gpu.utilization", "1", False, True, "hw_gpu_utilization_ratio"),
        ("hw.gpu.lost", "1", False, False, "hw_gpu_lost"),
        ("hw.gpu.io", "By/s", False, True, "hw_gpu_io_bytes_per_second"),
        ("queue.{x}", "{request}", False, False, "queue_x"),
        ("request.seconds", "s", False, False, "request_seconds"),
        ("requests.total", "1", True, False, "requests_total"),
        ("total.requests", "1", True, False, "requests_total"),
        ("ratio.of.hits", "1", False, True, "of_hits_ratio"),
        ("a..b__c", "", False, False, "a_b_c"),
        ("3d.engine", "", False, False, "_3d_engine"),
    ],
)
def test_family_names(name: str, unit: str, counter: bool, gauge: bool, expected: str) -> None:
    """Units, `_ratio` and `_total` are added once, at the end, and nothing is doubled."""
    assert family_name(name, unit, counter=counter, gauge=gauge) == expected


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [("hw.id", "hw_id"), ("k8s.pod-name", "k8s_pod_name"), ("0.x", "_0_x"), ("a..b", "a_b")],
)
def test_label_names(attribute: str, expected: str) -> None:
    """What Prometheus does not allow becomes an underscore; a digit in front gets one before it."""
    assert label_name(attribute) == expected


@given(instrument_names, units, st.booleans(), st.booleans())
def test_any_instrument_name_becomes_a_valid_family(
    name: str, unit: str, counter: bool, gauge: bool
) -> None:
    """Every name that OpenTelemetry allows becomes one that Prometheus allows, the same each time."""
    family = family_name(name, unit, counter=counter, gauge=gauge)

    assert METRIC_NAME.fullmatch(family)
    assert "__" not in family.lstrip("_")
    assert family.endswith("_total") or not counter or family == "total"


@given(st.text(min_size=1, max_size=40).filter(lambda text: any(c.isalnum() for c in text)))
def test_any_attribute_becomes_a_valid_label(attribute: str) -> None:
    """Every attribute becomes a label that Prometheus allows."""
    assert LABEL_NAME.fullmatch(label_name(attribute))


@given(units)
def test_unit_words_are_the_official_ones(unit: str) -> None:
    """The words for a unit are those of OpenTelemetry's own exporter."""
    assert unit_suffix(unit) == map_unit(unit)
