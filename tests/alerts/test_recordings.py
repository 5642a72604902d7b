"""The recording rules: each is declared, and gives just the labels that it declares."""

import re

import pytest

from agent.catalogue.recorded import RECORDED
from agent.catalogue.recorded_drift import RECORDED_DRIFT
from agent.catalogue.recorded_drift_serving import RECORDED_DRIFT_SERVING
from agent.catalogue.recorded_performance import RECORDED_PERFORMANCE
from alerts import build
from alerts.recording import Recording
from tests.promql_catalogue import labels_of

RECORDINGS = build.all_recordings()


def test_every_declared_series_is_recorded_once() -> None:
    """What panels and alerts may ask for is computed, and nothing else is."""
    names = [each.recorded.name for each in RECORDINGS]

    declared = (*RECORDED, *RECORDED_DRIFT, *RECORDED_DRIFT_SERVING, *RECORDED_PERFORMANCE)
    assert sorted(names) == sorted(each.name for each in declared)


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda each: each.recorded.name)
def test_expression_gives_the_declared_labels(recording: Recording) -> None:
    """Its metrics and labels are the catalogue's, and so is what it is told apart by."""
    declared = {attribute.label for attribute in recording.recorded.attributes}

    assert labels_of(recording.expression) == declared


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda each: each.recorded.name)
def test_name_keeps_to_the_custom(recording: Recording) -> None:
    """``level:what:how``, with a sentence that says what it is."""
    recorded = recording.recorded

    assert re.fullmatch(r"[a-z_]+:[a-z0-9_]+:[a-z0-9_]+", recorded.name)
    assert re.fullmatch(r"[A-Z0-9][^\n]*\.", recorded.description)
    assert recorded.description.isascii()
