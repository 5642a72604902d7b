"""What is written under DCGM's names reads back as what it was."""

from hypothesis import given
from hypothesis import strategies as st

from agent.catalogue import Metric, gpu
from agent.collectors.dcgm import DcgmCollector
from agent.collectors.dcgm.errors import TOTAL
from agent.collectors.dcgm.field import Field, is_blank
from agent.collectors.dcgm.fields import FIELDS, NAMES, STATES
from agent.collectors.dcgm.readings import readings
from agent.collectors.exposition import Faults, Parser
from agent.snapshot import Batch, Reading, Snapshot
from exporters.dcgm import DcgmExposition
from tests.agent.collectors.scrape.raw_server import page, raw_server
from tests.exporters import snapshots

Known = dict[tuple[Metric, tuple[str, ...]], float]
_SERVED = [field for field in FIELDS if field.attributes[-1:] != (TOTAL,)]
_OF_STATES = [states for states in STATES if not states.mask]
_MOST = 2.0**52
"""Below it a double has room for every whole number, after a conversion as well."""


def info(uuid: str, index: int) -> Reading:
    """Return what is known of a GPU, as far as the page can tell it."""
    told = {"hw.id": uuid, "hw.vendor": "NVIDIA", "hw.gpu.index": str(index), "hw.model": "H100"}
    return Reading(gpu.INFO, tuple(told.get(each.key, "") for each in gpu.INFO.attributes), 1)


def in_dcgms_grain(field: Field) -> st.SearchStrategy[float]:
    """Return values that DCGM can have, in the catalogue's unit."""
    lowest, highest = field.lowest, min(field.highest, _MOST)
    if field.unit.name == "0 to 1":
        theirs = st.floats(lowest, highest).map(lambda value: round(value, 6))
    else:
        theirs = st.integers(int(lowest), int(highest)).map(float)
    absent = {0.0} if field.zero_is_absent else set[float]()
    return theirs.filter(lambda value: not is_blank(value) and value not in absent).map(field.ours)


def known_of(uuid: str) -> st.SearchStrategy[Known]:
    """Return readings of a GPU: any of the fields, one value per series."""
    fields = {(field.metric, (uuid, *field.attributes)): field for field in reversed(_SERVED)}
    return st.fixed_dictionaries(
        {}, optional={key: in_dcgms_grain(field) for key, field in fields.items()}
    )


def states_of(uuid: str) -> st.SearchStrategy[Known]:
    """Return one state of each kind."""

    def of(words: tuple[str, ...]) -> Known:
        return {
            (states.metric, (uuid, word)): float(word == chosen)
            for states, chosen in zip(_OF_STATES, words, strict=True)
            for _, word in states.states
        }

    return st.tuples(
        *(st.sampled_from([word for _, word in states.states]) for states in _OF_STATES)
    ).map(of)


def read_back(snapshot: Snapshot) -> tuple[dict[tuple[Metric, tuple[str, ...]], object], Faults]:
    """Return what the collector's parts make of the page."""
    faults = Faults("dcgm")
    text = DcgmExposition("node-a").text(snapshot).decode()
    found = readings(Parser(NAMES).parse(text), faults)
    return {(each.metric, each.attributes): each.value for each in found}, faults


@given(st.tuples(known_of("GPU-1"), states_of("GPU-1"), known_of("GPU-2")))
def test_any_readings_come_back(parts: tuple[Known, Known, Known]) -> None:
    """Every value that DCGM can have comes back exactly, whichever fields are there."""
    known = {**parts[0], **parts[1], **parts[2]}
    told = [Reading(*key, value) for key, value in known.items()]
    batch = Batch(1.0, (info("GPU-1", 0), info("GPU-2", 1), *told))

    found, faults = read_back(Snapshot(1, 1.0, {"nvml": batch}))

    assert faults.problems() == ()
    assert {key: found[key] for key in known} == known


@given(st.floats(0, 1, allow_subnormal=False))
def test_means_come_back_to_the_last_digits(share: float) -> None:
    """A mean over a window is no whole percentage, and still comes back to 14 digits."""
    reading = Reading(gpu.UTILIZATION, ("GPU-1", "general"), share)
    found, _ = read_back(Snapshot(1, 1.0, {"nvml": Batch(1.0, (info("GPU-1", 0), reading))}))

    value = found[gpu.UTILIZATION, ("GPU-1", "general")]
    assert isinstance(value, float)
    assert abs(value - share) <= 1e-14 * share


async def test_the_collector_reads_our_own_page() -> None:
    """Over HTTP, the DCGM collector gives the values of a node whose page it reads."""
    snapshot = snapshots.full()
    ours = {
        (metric, series): value
        for metric, series, value in snapshot.batches["nvml"].readings
        if any(field.metric is metric and field.attributes == series[1:] for field in FIELDS)
    }
    async with raw_server(page(DcgmExposition("node-a").text(snapshot))) as url:
        collector = DcgmCollector(url, timeout=5)
        batch = await collector.collect()
        await collector.close()

    found = {(each.metric, each.attributes): each.value for each in batch.readings}
    assert batch.problems == ()
    assert len(ours) > 100
    assert {key: found[key] for key in ours} == ours
    told = [each for each in batch.readings if each.metric is gpu.INFO]
    assert [each.attributes[1] for each in told] == [*"0123456"]
