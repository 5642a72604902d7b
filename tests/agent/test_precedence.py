import logging

import pytest

from agent.catalogue import gpu, gpu_health, serving
from agent.precedence import Precedence
from agent.snapshot import Batch, Reading, SeriesKey, series_key

U, V = "GPU-1", "GPU-2"
POWER = Reading(gpu.POWER, (U, "gpu"), 70.0)


def batch_of(*readings: Reading) -> tuple[Batch, frozenset[SeriesKey]]:
    """Return a batch and the keys of its series."""
    keys = frozenset(series_key(metric, attributes) for metric, attributes, _ in readings)
    return Batch(1.0, readings), keys


def left(first: tuple[Reading, ...], second: tuple[Reading, ...]) -> tuple[Reading, ...]:
    """Return what is left of the second collector's readings."""
    precedence = Precedence(set())
    precedence.add(batch_of(*first)[1])
    return precedence.without_known("dcgm", *batch_of(*second)).readings


def ecc(location: str, uuid: str = U, kind: str = "corrected") -> Reading:
    """Return an ECC count."""
    return Reading(gpu_health.ECC_ERRORS, (uuid, "gpu", kind, location), 3)


def info(uuid: str, serial: str) -> Reading:
    """Return facts of a GPU."""
    rest = [""] * (len(gpu.INFO.attributes) - 2)
    return Reading(gpu.INFO, (uuid, serial, *rest), 1)


def test_the_first_collectors_value_is_used() -> None:
    """A series that is known already is left out; one of another GPU or engine stays."""
    other, engine = POWER._replace(attributes=(V, "gpu")), ("general", "encoder")
    utilizations = [Reading(gpu.UTILIZATION, (U, task), 0.5) for task in engine]

    assert left((POWER, utilizations[0]), (POWER, other, *utilizations)) == (other, utilizations[1])


def test_facts_are_told_once() -> None:
    """Facts of a GPU are of one source, even where two sources know different ones."""
    assert left((info(U, "0"),), (info(U, "00"), info(V, "1"))) == (info(V, "1"),)


def test_a_total_gives_way_to_its_parts() -> None:
    """Errors of all memories together would be counted twice beside those of each."""
    kept = ecc("", V)

    assert left((ecc("dram"),), (ecc(""), kept)) == (kept,)


def test_a_total_stays_where_nobody_tells_the_parts() -> None:
    """What the first collector does not know at all is used as it is."""
    assert left((POWER,), (ecc(""),)) == (ecc(""),)


def test_an_absent_attribute_of_a_server_is_no_total() -> None:
    """A model without a version is a model of its own."""
    known = Reading(serving.REQUESTS_RUNNING, ("s", "triton", "m", "1", ""), 1)
    other = Reading(serving.REQUESTS_RUNNING, ("s", "triton", "n", "", ""), 1)

    assert left((known,), (other,)) == (other,)


def test_the_first_batch_is_passed_on_as_it_is() -> None:
    """Where nothing overlaps, nothing is made anew."""
    first, keys = batch_of(POWER)
    second, others = batch_of(ecc("dram"))
    precedence = Precedence(set())

    assert precedence.without_known("nvml", first, keys) is first
    precedence.add(keys)
    assert precedence.without_known("dcgm", second, others) is second


def test_an_overlap_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """One line per collector, for information, however many snapshots there are."""
    told: set[str] = set()
    batch, keys = batch_of(POWER)

    with caplog.at_level(logging.INFO):
        for _ in range(3):
            precedence = Precedence(told)
            precedence.add(keys)
            precedence.without_known("dcgm", batch, keys)

    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert "collector dcgm: 1 of its 1 series are known" in caplog.text
