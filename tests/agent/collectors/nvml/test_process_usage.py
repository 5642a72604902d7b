"""How much each process used: what of the driver's answer can be believed."""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.catalogue import gpu_owners
from agent.collectors.nvml.driver import GpuProcess, Processes
from agent.collectors.nvml.process_usage import ProcessUsage, judge
from tests.agent.collectors.nvml.node import Node, problems, uuid, value

NOW = 1_800_000_000_000_000
SINCE = NOW - 1_000_000
GIB = 1024**3
Start = Callable[..., Node]


class Entry(NamedTuple):
    """A sample as the driver gives it."""

    pid: int
    smUtil: int  # noqa: N815 - NVML's name
    timeStamp: int  # noqa: N815 - NVML's name


def test_samples_of_a_process_are_averaged() -> None:
    """Several samples of one process count alike, and the newest timestamp is remembered."""
    shares = judge(
        [Entry(1, 20, SINCE + 1), Entry(1, 60, SINCE + 9), Entry(2, 5, SINCE + 5)], SINCE, NOW
    )

    assert shares.of == {1: pytest.approx(0.4), 2: pytest.approx(0.05)}
    assert (shares.newest, shares.problems) == (SINCE + 9, ())


def test_stale_samples_are_refused() -> None:
    """What was told before is not told again: neither as a value nor as being idle."""
    shares = judge([Entry(1, 20, SINCE), Entry(2, 30, SINCE - 5), Entry(3, 40, NOW)], SINCE, NOW)

    assert (shares.of, shares.doubtful) == ({3: 0.4}, frozenset({1, 2}))
    assert [one.reason for one in shares.problems] == ["stale_sample"]


def test_more_than_there_is_is_refused() -> None:
    """A share beyond 100 % is refused, whatever else is said of that process."""
    shares = judge([Entry(1, 808_334_905, NOW), Entry(2, 100, NOW)], SINCE, NOW)

    assert (shares.of, shares.doubtful, shares.newest) == ({2: 1.0}, frozenset({1}), NOW)
    assert [one.reason for one in shares.problems] == ["out_of_range"]


def test_a_timestamp_of_the_future_does_not_make_all_others_stale() -> None:
    """A sample from next year is refused, and the next question is about now."""
    shares = judge([Entry(1, 50, NOW + 10**13), Entry(2, 50, NOW)], SINCE, NOW)

    assert (shares.of, shares.newest) == ({2: 0.5}, NOW)


@given(
    st.lists(
        st.builds(
            Entry,
            st.integers(0, 5),
            st.integers(0, 2**32 - 1),
            st.integers(0, 2**64 - 1) | st.integers(SINCE - 9, NOW + 9),
        )
    )
)
def test_whatever_the_driver_says(samples: list[Entry]) -> None:
    """Only shares of 1 come out, time never goes back, and each process is told or in doubt."""
    shares = judge(samples, SINCE, NOW)

    assert all(0 <= share <= 1 for share in shares.of.values())
    assert SINCE <= shares.newest <= NOW + 5_000_000
    assert set(shares.of) | shares.doubtful == {one.pid for one in samples}
    assert not set(shares.of) & shares.doubtful
    assert len(shares.problems) <= 2


class Refusing:
    """A binding of which each question fails with one code; ``asked`` counts them."""

    class NVMLError(Exception):
        """As the binding has it."""

        def __init__(self, value: int) -> None:
            super().__init__(str(value))
            self.value = value

    def __init__(self, code: int) -> None:
        self.code = code
        self.asked = 0

    def nvmlDeviceGetProcessesUtilizationInfo(self, *_: object) -> None:  # noqa: N802 - NVML's name
        """Fail."""
        self.asked += 1
        raise self.NVMLError(self.code)


@pytest.mark.parametrize(("code", "asked"), [(4, 2), (999, 62)])
def test_who_cannot_be_heard_is_not_idle(code: int, asked: int) -> None:
    """However long utilization cannot be had, nobody is said to be idle; a refusal is asked again seldom."""
    now = 0.0
    binding = Refusing(code)
    usage = ProcessUsage(binding, None, clock=lambda: 1e9 + now)
    listed = Processes((GpuProcess(7, "x", 1),), ())

    for second in (*range(60), 601, 602):
        now = float(second)
        used = usage.of(listed)
        assert used.compute == listed.compute
        assert len(used.problems) == 1

    assert binding.asked == asked


@pytest.fixture
def using(node: Node) -> Iterator[Callable[[str], None]]:
    """Return a function that says what processes used."""
    file = node.control.with_name("control.mig")

    def tell(lines: str) -> None:
        fresh = file.with_suffix(".new")
        fresh.write_text("\n".join(line.strip() for line in lines.splitlines()))
        fresh.replace(file)

    yield tell
    file.unlink(missing_ok=True)


def microseconds(ago: float = 0.0) -> int:
    """Return a timestamp of the driver's, so many seconds ago."""
    return int((time.time() - ago) * 1_000_000)


def share(batch: Any, name: str) -> Any:
    """Return the utilization of a command on GPU 0."""
    return value(batch, gpu_owners.OWNER_UTILIZATION, uuid(0), "command", "", name)


PROCESSES = f"process 0 compute 10 {GIB} /bin/busy\nprocess 0 compute 11 {GIB} /bin/idle"


@pytest.mark.parametrize("missing", ["", "nvmlDeviceGetProcessesUtilizationInfo"])
def test_both_calls(start: Start, missing: str) -> None:
    """The newer call and the older one give the same: busy, and idle where there is no sample."""
    node = start([missing] if missing else [])
    node.tell(PROCESSES)
    node.control.with_name("control.mig").write_text(
        f"usage 0 10 {microseconds(0.5)} 40\nusage 0 10 {microseconds(0.2)} 60\n"
    )

    batch = node.collect()

    assert share(batch, "busy") == pytest.approx(0.5)
    assert share(batch, "idle") == 0
    assert batch.problems == ()


def test_nothing_new_is_neither_busy_nor_idle(node: Node, using: Callable[[str], None]) -> None:
    """Between two sample periods of the driver the share is absent: not 0, and not the last one."""
    node.tell(PROCESSES)
    using(f"usage 0 10 {microseconds(0.5)} 40")

    first, second = node.collect(), node.collect(seconds=5)

    assert share(first, "busy") == pytest.approx(0.4)
    assert share(second, "busy") is None
    assert second.problems == ()


def test_between_two_questions_the_last_answer_stands(
    node: Node, using: Callable[[str], None]
) -> None:
    """What was told is not asked again each second, and a newcomer is asked for at once."""
    node.tell(PROCESSES)
    node.collect()
    using(f"usage 0 10 {microseconds(0.5)} 40")
    first = node.collect()
    using(f"usage 0 10 {microseconds(0.1)} 60\nusage 0 12 {microseconds(0.1)} 30")

    second = node.collect()
    node.tell(f"{PROCESSES}\nprocess 0 compute 12 {GIB} /bin/new")
    third = node.collect()

    assert share(first, "busy") == share(second, "busy") == pytest.approx(0.4)
    assert share(third, "busy") == pytest.approx(0.6)
    assert share(third, "new") == pytest.approx(0.3)


def test_a_driver_that_gives_the_same_again(node: Node, using: Callable[[str], None]) -> None:
    """Old samples are refused and counted, and their process has no share."""
    node.tell(PROCESSES)
    using(f"usage-filter 0\nusage 0 10 {microseconds(0.5)} 40")

    first, second = node.collect(), node.collect(seconds=5)

    assert first.problems == ()
    assert share(second, "busy") is None
    assert problems(second) == {("stale_sample", uuid(0), "process_utilization")}


def test_a_share_beyond_the_whole(node: Node, using: Callable[[str], None]) -> None:
    """A share that cannot be true is refused and counted; the other process keeps its own."""
    node.tell(PROCESSES)
    using(f"usage 0 10 {microseconds(0.5)} 101\nusage 0 11 {microseconds(0.5)} 7")

    batch = node.collect()

    assert share(batch, "busy") is None
    assert share(batch, "idle") == pytest.approx(0.07)
    assert problems(batch) == {("out_of_range", uuid(0), "process_utilization")}


def test_a_call_that_fails(node: Node) -> None:
    """A failure is one problem; the processes and their memory are still told."""
    node.tell(f"{PROCESSES}\nrule nvmlDeviceGetProcessesUtilizationInfo 0 error 999")

    batch = node.collect()

    assert problems(batch) == {("unknown_error", uuid(0), "process_utilization")}
    assert value(batch, gpu_owners.OWNER_MEMORY, uuid(0), "command", "", "busy") == GIB


def test_containers_are_found_by_process(node: Node) -> None:
    """A process that runs in a container belongs to the container."""
    group = node.control.with_name("proc") / "10" / "cgroup"
    group.parent.mkdir(parents=True, exist_ok=True)
    group.write_text("0::/system.slice/docker-" + "ab" * 32 + ".scope")
    node.tell(PROCESSES)

    batch = node.collect()

    assert value(batch, gpu_owners.OWNER_MEMORY, uuid(0), "container", "ab" * 32, "") == GIB
    assert value(batch, gpu_owners.OWNER_MEMORY, uuid(0), "command", "", "idle") == GIB
    assert {one.container for one in batch.holders} == {"ab" * 32, ""}
    group.unlink()
