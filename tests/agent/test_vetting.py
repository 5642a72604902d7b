"""What is refused whatever the source says, and what passes untouched."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.catalogue import CATALOGUE, Kind, Metric, gpu, itself, serving
from agent.snapshot import Batch, Distribution, Problem, Reading
from agent.vetting import fault, vet

GOOD = Distribution((0.1, 1.0), (1, 2, 3), 4.5)


@pytest.mark.parametrize(
    ("metric", "value", "expected"),
    [
        (gpu.UTILIZATION, 0.0, ""),
        (gpu.UTILIZATION, 1.0, ""),
        (gpu.UTILIZATION, 1.01, "out_of_range"),
        (gpu.UTILIZATION, 8083349.05, "out_of_range"),
        (gpu.UTILIZATION, -0.01, "out_of_range"),
        (gpu.POWER, -1.0, "negative"),
        (gpu.POWER, math.nan, "not_finite"),
        (gpu.POWER, math.inf, "not_finite"),
        (gpu.ENERGY, -1.0, "negative"),
        (gpu.TEMPERATURE, -5.0, ""),
        (gpu.TEMPERATURE_MARGIN, -3.0, ""),
        (gpu.LOST, 1.0, ""),
        (gpu.MEMORY_USAGE, -4096.0, "negative"),
        (serving.REQUESTS_FINISHED, -1.0, "negative"),
        (serving.REQUEST_DURATION, GOOD, ""),
        (serving.REQUEST_DURATION, Distribution((), (6,), 4.5), ""),
        (serving.REQUEST_DURATION, GOOD._replace(sum=-1.0), ""),
        (serving.REQUEST_DURATION, GOOD._replace(sum=math.nan), "not_finite"),
        (serving.REQUEST_DURATION, GOOD._replace(bounds=(0.1, math.inf)), "not_finite"),
        (serving.REQUEST_DURATION, GOOD._replace(counts=(1, 2)), "malformed_histogram"),
        (serving.REQUEST_DURATION, GOOD._replace(counts=(1, -2, 3)), "malformed_histogram"),
        (serving.REQUEST_DURATION, GOOD._replace(bounds=(1.0, 0.1)), "malformed_histogram"),
        (serving.REQUEST_DURATION, GOOD._replace(bounds=(1.0, 1.0)), "malformed_histogram"),
        (serving.REQUEST_DURATION, 1.0, "wrong_kind"),
        (gpu.POWER, GOOD, "wrong_kind"),
    ],
)
def test_faults(metric: Metric, value: float | Distribution, expected: str) -> None:
    """Each impossible value is refused for its own reason, and each possible one passes."""
    assert fault(metric, value) == expected


@given(st.sampled_from(CATALOGUE), st.floats())
def test_what_passes_is_believable(metric: Metric, value: float) -> None:
    """Whatever the number, what passes is finite, counts nothing below zero and keeps ratios in 0..1."""
    if fault(metric, value) == "":
        assert math.isfinite(value)
        assert value >= 0 or metric.kind is not Kind.COUNTER
        assert 0 <= value <= 1 or metric.kind is not Kind.GAUGE or metric.unit != "1"


def test_a_clean_batch_is_passed_on_as_it_is() -> None:
    """Where nothing is refused nothing is copied, and the keys of all its series are told."""
    batch = Batch(1.0, (Reading(gpu.POWER, ("GPU-1", "gpu"), 1.0),))

    vetted, keys = vet(batch)

    assert vetted is batch
    assert keys == {(gpu.POWER, ("GPU-1", "gpu"))}


def test_refused_readings_become_problems() -> None:
    """A refused value is absent, named as a problem, and its neighbours stay."""
    known = Problem("not_supported", "GPU-1")
    good = Reading(gpu.POWER, ("GPU-1", "gpu"), 1.0)
    bad = Reading(gpu.UTILIZATION, ("GPU-1", "general"), 8083349.05)

    vetted, keys = vet(Batch(1.0, (bad, good), (known,)))

    assert vetted.readings == (good,)
    assert vetted.problems == (
        known,
        Problem("out_of_range", "hw.gpu.utilization GPU-1 general", "8083349.05"),
    )
    assert keys == {(gpu.POWER, ("GPU-1", "gpu"))}


def test_the_first_of_two_equal_series_is_kept() -> None:
    """A series that comes twice in one batch is kept once, and the second is a problem."""
    first = Reading(itself.PROCESS_UPTIME, (), 1.0)

    vetted, _ = vet(Batch(1.0, (first, first._replace(value=2.0))))

    assert vetted.readings == (first,)
    assert [problem.reason for problem in vetted.problems] == ["duplicate_series"]


def test_a_refused_value_does_not_shadow_a_good_one() -> None:
    """Of two equal series the impossible one goes, whichever comes first."""
    good = Reading(gpu.POWER, ("GPU-1", "gpu"), 1.0)

    vetted, _ = vet(Batch(1.0, (good._replace(value=math.nan), good)))

    assert vetted.readings == (good,)
