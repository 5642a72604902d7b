from dataclasses import replace

from agent.catalogue import attributes, events, gpu
from agent.snapshot import Batch, Event, Reading, Snapshot
from exporters.dcgm import DcgmExposition
from exporters.dcgm.xids import LastXids

U, V = "GPU-1", "GPU-2"


def xid(code: str | int, uuid: str = U, simulated: str = "") -> Event:
    """Return the event of an XID."""
    said = [(attributes.HW_ID.key, uuid), (attributes.XID.key, code)]
    if simulated:
        said.append((attributes.XID_SIMULATED.key, simulated))
    return Event(events.GPU_XID, 5.0, "XID", tuple(said))


def snapshot_of(counts: dict[str, dict[int, int]], *told: Event, sequence: int = 1) -> Snapshot:
    """Return a snapshot with these counts by GPU and code, and these events."""
    readings = tuple(
        Reading(gpu.XID_EVENTS, (uuid, str(code)), count)
        for uuid, by_code in counts.items()
        for code, count in by_code.items()
    )
    return Snapshot(sequence, 9.0, {"xid": Batch(9.0, readings)}, events=told)


def test_zero_before_the_first() -> None:
    """A GPU whose XIDs are counted and that had none says 0; one that is not listened to says nothing."""
    assert LastXids().update(snapshot_of({U: {79: 0, 48: 0}})) == {U: 0}
    assert LastXids().update(snapshot_of({})) == {}


def test_the_newest_event_is_the_last() -> None:
    """Of several XIDs of a GPU the newest one counts, and each GPU has its own."""
    told = (xid(31), xid(79, V), xid("13"))
    counts = {U: {13: 1, 31: 1}, V: {79: 1}}

    assert LastXids().update(snapshot_of(counts, *told)) == {U: 13, V: 79}


def test_it_is_remembered_when_its_event_has_left_the_snapshot() -> None:
    """A snapshot has the newest events only; the value stays until the next XID, as DCGM's does."""
    last, counts = LastXids(), {U: {13: 1, 31: 1}}
    last.update(snapshot_of(counts, xid(31)))

    assert last.update(snapshot_of(counts, sequence=2)) == {U: 31}


def test_one_code_alone_must_be_the_last() -> None:
    """Without any event, a single code that was counted is the one."""
    assert LastXids().update(snapshot_of({U: {13: 0, 79: 3}})) == {U: 79}


def test_what_cannot_be_known_is_absent() -> None:
    """Several codes counted and no event left of any: nobody knows which came last."""
    last = LastXids()
    last.update(snapshot_of({U: {13: 1, 79: 1}}, xid(79)))

    assert LastXids().update(snapshot_of({U: {13: 1, 79: 1}})) == {}
    assert last.update(snapshot_of({U: {13: 2, 79: 1}}, sequence=2)) == {}


def test_simulated_errors_are_none() -> None:
    """Who injects an XID to test something pages nobody."""
    assert LastXids().update(snapshot_of({U: {79: 0}}, xid(79, simulated="true"))) == {U: 0}


def test_the_row_names_the_error() -> None:
    """Code and name are labels too, as from dcgm-exporter; a code that nobody knows has no name."""
    info = Reading(gpu.INFO, (U, "0", *[""] * (len(gpu.INFO.attributes) - 2)), 1)
    exposition = DcgmExposition("")

    pages = []
    for sequence, code in enumerate((0, 79, 4711), 1):
        snapshot = snapshot_of({U: {code: bool(code)}}, sequence=sequence)
        batches = {**snapshot.batches, "nvml": Batch(9.0, (info,))}
        page = exposition.text(replace(snapshot, batches=batches)).decode()
        pages.append(page.splitlines()[-1])

    start = 'DCGM_FI_DEV_XID_ERRORS{gpu="0",UUID="GPU-1",device="nvidia0",err_code='
    assert pages == [
        f'{start}"0",err_msg="No Error"}} 0',
        f'{start}"79",err_msg="GPU has fallen off the bus"}} 79',
        f'{start}"4711",err_msg="Unknown Error"}} 4711',
    ]
