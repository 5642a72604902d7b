"""Histograms of samples: both forms count the same, whatever comes."""

from math import isclose

from hypothesis import given
from hypothesis import strategies as st

from agent.catalogue.window import SHARE_BOUNDS, WATT_BOUNDS
from agent.observations import SCALE, Observations

samples = st.lists(st.floats(0.0, 1e7, allow_subnormal=True), max_size=50)


@given(values=samples)
def test_both_forms_count_every_sample_once(values: list[float]) -> None:
    """Classic buckets, exponential buckets and what is too small add up to the number of samples."""
    observations = Observations(WATT_BOUNDS)

    observations.add(values)

    told = observations.distribution()
    assert told.exponential is not None
    assert told.observations == len(values)
    assert told.exponential.zero + sum(told.exponential.counts) == len(values)
    assert isclose(told.sum, sum(values), rel_tol=1e-9)
    assert len(told.exponential.counts) <= 27 << SCALE


@given(value=st.floats(0.001, 100_000.0))
def test_a_sample_lies_within_its_exponential_bucket(value: float) -> None:
    """The bucket that holds a value is above the bound below it, and not above its own."""
    observations = Observations(())

    observations.add([value])

    told = observations.distribution().exponential
    assert told is not None
    base = 2 ** (2.0**-told.scale)
    assert told.counts == (1,)
    assert base**told.offset * (1 - 1e-12) <= value <= base ** (told.offset + 1) * (1 + 1e-12)


def test_powers_of_two_lie_at_the_top_of_their_bucket() -> None:
    """A value on a bound belongs to the bucket below, as OpenTelemetry has it."""
    observations = Observations(())

    observations.add([1.0, 2.0])

    told = observations.distribution().exponential
    assert told is not None
    assert (told.offset, told.counts) == (-1, (1, 0, 0, 0, 0, 0, 0, 0, 1))


def test_nothing_observed_is_an_empty_histogram() -> None:
    """Before the first sample both forms are there and empty."""
    told = Observations(SHARE_BOUNDS).distribution()

    assert told.observations == 0
    assert told.exponential is not None
    assert told.exponential.counts == ()
