"""Recordings: what is written, and what playing one gives."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.catalogue import gpu
from agent.collector import Unavailable
from agent.collectors.nvml.collector import NvmlCollector
from agent.collectors.nvml.driver import (
    DeviceError,
    DriverGone,
    GpuLost,
    GpuProcess,
    Identity,
    Processes,
    RecentSamples,
    Sample,
    XidEvent,
)
from agent.recording.reader import RecordingError
from agent.recording.record import Recorder, create
from agent.recording.replay import ReplayedGpus
from agent.simulation.gpus import SimulatedGpus
from agent.simulation.spec import parse_spec
from tests.agent.collectors.nvml.gpus import Gpus

HEADER = '{"warpwatch_recording":1,"interval":1.0}'
START = [
    HEADER,
    '{"at":0,"ask":"open","ok":{"driver_version":"550","cuda_version":"12.4"}}',
    '{"at":0,"ask":"device_count","ok":1}',
    '{"at":0,"ask":"identity","gpu":0,"ok":{"uuid":"GPU-1"}}',
    '{"at":0,"ask":"sample","gpu":0,"ok":{"power":100}}',
    '{"at":0,"ask":"processes","gpu":0,"ok":{"compute":[]}}',
]
REAL = "GPU-11111111-2222-3333-4444-555555555555"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands."""
    return Clock()


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a recording of some lines."""

    def written(*lines: str) -> Path:
        path = tmp_path / "a.jsonl"
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    return written


def recorded(driver: Any, path: Path, clock: Clock, rounds: int, *, raw: bool = True) -> Path:
    """Record so many rounds, a second apart."""
    with create(path) as out:
        recorder = Recorder(driver, out, interval=1.0, clock=clock, raw=raw)
        for _ in range(rounds):
            recorder.round()
            clock.now += 1
        recorder.finish()
    clock.now = 0.0
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_a_node_looks_the_same_when_played(tmp_path: Path, clock: Clock, name: str) -> None:
    """At each moment a recording answers what the node answered then, faults included."""
    spec = parse_spec("8xH100")
    path = recorded(SimulatedGpus(spec, clock=clock), tmp_path / name, clock, 130)
    node, played = SimulatedGpus(spec, clock=clock), ReplayedGpus(path, clock=clock)

    for _ in range(130):
        assert (node.open(), node.device_count()) == (played.open(), played.device_count())
        for index in range(8):
            for ask in ("identity", "sample", "processes", "mig"):
                assert answer(played, ask, index) == answer(node, ask, index)
        assert played.xid_events() == node.xid_events()
        clock.now += 1


def answer(driver: Any, ask: str, index: int) -> object:
    """Return an answer, or what was raised in its place."""
    try:
        return getattr(driver, ask)(index)
    except DeviceError as error:
        return type(error), error.reason, str(error)


async def test_the_collector_on_a_recording(tmp_path: Path, clock: Clock) -> None:
    """The collector reads a recording as it reads a driver."""
    path = recorded(SimulatedGpus(parse_spec("2xT4"), clock=clock), tmp_path / "a.gz", clock, 3)
    collector = NvmlCollector(ReplayedGpus(path, clock=clock))

    batch = await collector.collect()
    await collector.close()

    assert [one.value for one in batch.readings if one.metric == gpu.DEVICES] == [2]
    assert batch.problems == ()


def test_every_kind_of_failure(tmp_path: Path, clock: Clock) -> None:
    """What a driver raised is raised again, with its reason and its words."""
    gpus = Gpus(
        [Identity("GPU-1"), GpuLost("it fell off"), DeviceError("no_permission", "not ours")]
    )
    gpus.samples[0] = DeviceError("timeout", "slow")
    gpus.xids = DeviceError("unknown_error", "deaf")
    played = ReplayedGpus(recorded(gpus, tmp_path / "a", clock, 1), clock=clock)
    played.open()

    with pytest.raises(DeviceError, match="slow") as slow:
        played.sample(0)
    with pytest.raises(GpuLost, match="it fell off"):
        played.identity(1)
    with pytest.raises(DeviceError, match="not ours") as denied:
        played.identity(2)
    with pytest.raises(DeviceError, match="deaf"):
        played.xid_events()

    assert (slow.value.reason, denied.value.reason) == ("timeout", "no_permission")


def test_a_driver_that_is_not_there(tmp_path: Path, clock: Clock) -> None:
    """A machine without a driver can be recorded too."""
    gpus = Gpus([], opening=Unavailable("no driver here"))
    played = ReplayedGpus(recorded(gpus, tmp_path / "a", clock, 2), clock=clock)

    with pytest.raises(Unavailable, match="no driver here"):
        played.open()


def test_names_are_replaced(tmp_path: Path, clock: Clock) -> None:
    """By default nothing in the file says whose machine it was, and all still belongs together."""
    container = "ab" * 32
    gpus = Gpus([Identity(REAL, "H100", "1650023000003", problems=())])
    gpus.lists[0] = Processes((GpuProcess(7, "python3", 5, None, container),), ())
    gpus.samples[0] = DeviceError("timeout", f"GPU {REAL} (serial 1650023000003) does not answer")

    path = recorded(gpus, tmp_path / "a", clock, 2, raw=False)

    text = path.read_text()
    for name in (REAL, REAL.removeprefix("GPU-"), "1650023000003", container):
        assert name not in text
    played = ReplayedGpus(path, clock=clock)
    played.open()
    identity = played.identity(0)
    assert identity.uuid.startswith("GPU-")
    assert len(identity.uuid) == len(REAL)
    assert (identity.model, len(identity.serial)) == ("H100", 13)
    with pytest.raises(DeviceError) as said:
        played.sample(0)
    assert str(said.value) == f"GPU {identity.uuid} (serial {identity.serial}) does not answer"


def test_names_are_kept_when_asked(tmp_path: Path, clock: Clock) -> None:
    """A raw recording has the names as they are."""
    path = recorded(Gpus([Identity(REAL)]), tmp_path / "a", clock, 1)

    assert REAL in path.read_text()


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    """A recording cannot be made again, so none is lost to another one."""
    (tmp_path / "a").touch()

    with pytest.raises(FileExistsError):
        create(tmp_path / "a")


def test_what_happened_in_between_is_told_once(tmp_path: Path, clock: Clock) -> None:
    """Errors and fine samples of several rounds come together when they are asked for, and once."""
    gpus = Gpus([Identity("GPU-1")], xids=[XidEvent(0, 79)])
    gpus.recents[0] = RecentSamples(power=((0.1, 300.0),))
    played = ReplayedGpus(recorded(gpus, tmp_path / "a", clock, 3), clock=clock)
    played.open()
    clock.now = 2.5
    played.open()

    assert played.xid_events() == (XidEvent(0, 79),)
    assert played.xid_events() == ()
    assert played.recent(0).power == ((0.1, 300.0),) * 3
    assert played.recent(0) == RecentSamples()


def test_it_begins_again(write: Callable[..., Path], clock: Clock) -> None:
    """A recording that loops plays for ever, at its own pace."""
    path = write(
        *START, '{"at":1,"ask":"sample","gpu":0,"ok":{"power":200}}', '{"at":2,"ask":"end"}'
    )
    played = ReplayedGpus(path, clock=clock)
    powers = []

    for clock.now in (0, 0.9, 1, 1.9, 2, 2.9, 3, 4, 1000, 1001):
        played.open()
        powers.append(played.sample(0).power)

    assert powers[:8] == [100, 100, 200, 200, 100, 100, 200, 100]
    assert set(powers[8:]) <= {100, 200}


def test_it_stops(write: Callable[..., Path], clock: Clock) -> None:
    """A recording that does not loop is gone for good when it has ended."""
    played = ReplayedGpus(write(*START, '{"at":2,"ask":"end"}'), loop=False, clock=clock)
    played.open()
    clock.now = 2

    for _ in range(2):
        with pytest.raises(Unavailable, match=r"a\.jsonl has ended"):
            played.open()
        clock.now += 5


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no recording"),
        (b"hello\n", "no recording"),
        (b'{"a":1}\n', "no recording"),
        (
            b'{"warpwatch_recording":2}\n',
            "of version 2 of the format, and this agent reads version 1",
        ),
        (b'{"warpwatch_recording":"x"}\n', "of version x"),
        (b"\xff\xfe\x00", "no recording"),
        (b"[" * 100_000, "no recording"),
    ],
)
def test_a_file_that_cannot_be_played(tmp_path: Path, content: bytes, said: str) -> None:
    """Another version, or no recording at all, is refused before anything starts, with the cure."""
    path = tmp_path / "a"
    path.write_bytes(content)

    with pytest.raises(RecordingError, match=said):
        ReplayedGpus(path)


def test_no_file(tmp_path: Path) -> None:
    """A file that is not there, or no file, is refused by name."""
    with pytest.raises(RecordingError, match="no such file"):
        ReplayedGpus(tmp_path / "nothing")
    with pytest.raises(RecordingError, match="directory"):
        ReplayedGpus(tmp_path)
    (tmp_path / "a.gz").write_bytes(b"not compressed")
    with pytest.raises(RecordingError, match="gzip"):
        ReplayedGpus(tmp_path / "a.gz")


@pytest.mark.parametrize(
    ("line", "reason", "said"),
    [
        ("rubbish", "damaged_recording", "line 7: is not JSON"),
        ('{"at":NaN,"ask":"end"}', "damaged_recording", "line 7: is not JSON"),
        ('{"at":-1,"ask":"end"}', "damaged_recording", "line 7: at is -1"),
        ('{"at":true,"ask":"end"}', "damaged_recording", "line 7: at is True"),
        ('{"at":0,"ask":"sample","gpu":-1,"ok":{}}', "damaged_recording", "line 7: gpu is -1"),
        ('{"at":0,"ask":"sample","gpu":0}', "damaged_recording", "line 7: ok is None"),
        (
            '{"at":0,"ask":"sample","gpu":0,"ok":{"power":"x"}}',
            "damaged_recording",
            "line 7: ok.power",
        ),
        ('{"at":0,"ask":"open","error":{"kind":"x"}}', "damaged_recording", "line 7: error lacks"),
        ("[]", "damaged_recording", "line 7: is no object"),
        ("[" * 100_000, "damaged_recording", "line 7: is not JSON"),
        ("x" * 3_000_000, "damaged_recording", "line 7: is too long"),
        ('{"at":0,"ask":"sing","gpu":0,"ok":1}', "unknown_field", "line 7: 'sing'"),
        ('{"at":0,"ask":"mig","gpu":0,"ok":{"x":1}}', "unknown_field", "line 7: 'Mig.x'"),
    ],
)
def test_a_damaged_line(
    write: Callable[..., Path], clock: Clock, line: str, reason: str, said: str
) -> None:
    """A line that cannot be understood is a problem, told once; all others are played."""
    path = write(*START, line, '{"at":1,"ask":"sample","gpu":0,"ok":{"power":200}}')
    played = ReplayedGpus(path, clock=clock)
    played.open()

    first, second = played.sample(0), played.sample(0)
    clock.now = 1
    played.open()

    (problem,) = [one for one in first.problems if one.reason != "truncated_recording"]
    assert (problem.field, problem.reason) == ("recording", reason)
    assert problem.detail.startswith(f"a.jsonl {said}")
    assert second == Sample(power=100)
    assert played.sample(0).power == 200


def test_a_file_that_breaks_off(tmp_path: Path, clock: Clock) -> None:
    """A recording that was cut off plays to where it ends, which is a problem."""
    whole = gzip.compress("\n".join(START).encode() + b"\n" + json.dumps({"at": 9}).encode() * 999)
    path = tmp_path / "a.gz"
    path.write_bytes(whole[:-12])
    played = ReplayedGpus(path, clock=clock)
    played.open()

    reasons = {one.reason for one in played.sample(0).problems}

    assert played.identity(0).uuid == "GPU-1"
    assert reasons == {"damaged_recording", "truncated_recording"}


def test_a_file_of_nothing_but_faults(write: Callable[..., Path], clock: Clock) -> None:
    """Any number of damaged lines is a bounded number of problems, and does not hold up the agent."""
    path = write(*START, *["rubbish"] * 50_000)
    played = ReplayedGpus(path, clock=clock)
    played.open()

    problems = played.sample(0).problems

    assert len(problems) <= 21
    assert "more of such lines" in problems[-1].detail


def test_time_that_goes_back(write: Callable[..., Path], clock: Clock) -> None:
    """A line that is older than the one before it is refused."""
    path = write(
        *START,
        '{"at":5,"ask":"sample","gpu":0,"ok":{"power":500}}',
        '{"at":4,"ask":"sample","gpu":0,"ok":{"power":400}}',
    )
    played = ReplayedGpus(path, clock=clock)
    played.open()
    clock.now = 5
    played.open()

    sample = played.sample(0)

    assert sample.power == 500
    assert "before the line above it" in sample.problems[0].detail


def test_reason_from_a_file_is_one_word(write: Callable[..., Path], clock: Clock) -> None:
    """A reason becomes a label, so whatever a file says it is one of few words or none of them."""
    failure = {"kind": "device", "reason": 'x" y\n' * 99, "detail": "d"}
    line = json.dumps({"at": 0, "ask": "sample", "gpu": 0, "error": failure})
    played = ReplayedGpus(write(*START, line), clock=clock)
    played.open()

    with pytest.raises(DeviceError) as said:
        played.sample(0)

    assert said.value.reason == "unrecognized_error"


@given(st.lists(st.text() | st.sampled_from(START[1:]), max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_garbage(tmp_path: Path, lines: list[str]) -> None:
    """Whatever stands behind the header, the collector gives a batch or says that nothing is there."""
    path = tmp_path / "garbage.jsonl"
    path.write_text("\n".join([HEADER, *lines]), encoding="utf-8", errors="replace")
    clock = Clock()
    collector = NvmlCollector(ReplayedGpus(path, clock=clock))

    for clock.now in (0.0, 1.0, 2.0):
        try:
            batch = await collector.collect()
        except (DriverGone, Unavailable):
            continue
        assert batch.readings
    await collector.close()
