"""What is refused whatever the source says, and what passes untouched."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.catalogue import CATALOGUE, Kind, Metric, gpu, itself, serving
from agent.snapshot import Batch, Distribution, Problem, Reading, Train
from agent.vetting import Vetting, fault, vet

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


SERIES = (
    (gpu.UTILIZATION, ("GPU-1", "general")),
    (gpu.TEMPERATURE, ("GPU-1", "gpu")),
    (gpu.ENERGY, ("GPU-1", "gpu")),
    (serving.REQUEST_DURATION, ("a", "vllm", "m", "", "")),
)
numbers = st.one_of(st.sampled_from([0.0, 0.5, 1.0, 2.0, -1.0, math.nan, math.inf]), st.floats())
histograms = st.sampled_from([GOOD, GOOD._replace(counts=(1, 2)), GOOD._replace(sum=math.inf)])
readings = st.sampled_from(SERIES).flatmap(
    lambda series: st.one_of(numbers, histograms).map(lambda value: Reading(*series, value))
)
samples = st.lists(st.tuples(st.sampled_from([0.1, 0.0, -0.1, math.inf]), numbers), max_size=3)
batches = st.lists(
    st.builds(
        Batch,
        st.just(1.0),
        st.lists(readings, max_size=4).map(tuple),
        trains=st.lists(samples.map(lambda told: Train(*SERIES[0], tuple(told))), max_size=1).map(
            tuple
        ),
    ),
    max_size=4,
)


@given(batches)
def test_remembering_changes_no_judgement(several: list[Batch]) -> None:
    """Batch by batch, seen twice each, what is remembered of the one before makes no difference."""
    vetting = Vetting()

    for batch in (each for each in several for _ in range(2)):
        (vetted, keys), (expected, expected_keys) = vetting.vet(batch), vet(batch)
        assert repr(vetted) == repr(expected)  # NaN is not equal to itself
        assert keys == expected_keys


def test_a_batch_that_looks_like_the_one_before_has_the_same_keys() -> None:
    """The keys are made once, and are told anew when the series change."""
    vetting = Vetting()
    one, other = (Reading(gpu.POWER, (hw_id, "gpu"), 1.0) for hw_id in ("GPU-1", "GPU-2"))

    first = vetting.vet(Batch(1.0, (one,)))[1]

    assert vetting.vet(Batch(2.0, (one._replace(value=2.0),)))[1] is first
    assert vetting.vet(Batch(3.0, (one, other)))[1] == {one[:2], other[:2]}


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (((0.1, 1.5),), "out_of_range"),
        (((0.1, 0.5), (-0.1, 0.5)), "negative"),
        (((0.1, math.nan),), "not_finite"),
        (((math.inf, 0.5),), "not_finite"),
    ],
)
def test_trains_that_cannot_be_true_are_refused(
    told: tuple[tuple[float, float], ...], reason: str
) -> None:
    """One impossible sample discredits those that came with it; the reading itself stays."""
    good = Train(gpu.POWER, ("GPU-1", "gpu"), ((0.1, 300.0),))
    reading = Reading(gpu.UTILIZATION, ("GPU-1", "general"), 0.5)
    batch = Batch(1.0, (reading,), trains=(good, Train(*reading[:2], told)))

    vetted, _ = vet(batch)

    assert vetted.trains == (good,)
    assert vetted.readings == (reading,)
    assert [(one.reason, one.detail) for one in vetted.problems] == [(reason, "samples")]
