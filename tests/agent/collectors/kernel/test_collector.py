import asyncio
import errno
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.catalogue import events, system
from agent.collector import Unavailable
from agent.collectors.kernel.collector import KernelCollector, kernel_log
from agent.collectors.kernel.cursor import Cursor
from agent.collectors.kernel.kmsg import PATH, Kmsg
from agent.collectors.kernel.log_file import LogFile
from agent.collectors.xid.collector import XidCollector
from agent.snapshot import Batch
from agent.xid.ledger import XidLedger
from agent.xid.sighting import KnownGpu
from tests.agent.collectors.kernel.device import Device

NOW = 1_700_000_000.0
GPU = KnownGpu("GPU-a", "0000:91:00.0", "GPU 0", "550.54.15")


def xid(code: int, text: str = "words") -> str:
    """Return a line of the driver."""
    return f"NVRM: Xid (PCI:0000:91:00): {code}, pid=1, name=python3, {text}"


class Agent:
    """A kernel collector and the ledger that it tells, as in the agent."""

    def __init__(self, device: Device | Path, state: Path | None) -> None:
        self.ledger = XidLedger()
        self.ledger.know(GPU._replace(hears_xids=False))
        log = device.log() if isinstance(device, Device) else None
        path = device if isinstance(device, Path) else device.path
        self.now = NOW
        self.collector = KernelCollector(
            self.ledger, path=path, state_dir=state, clock=lambda: self.now, log=log
        )
        self.problems: list[str] = []

    async def hear(self) -> list[tuple[int, float]]:
        """Collect once; return the code of each error that was told, and how long ago it was."""
        batch = await self.collector.collect()
        self.problems += [problem.reason for problem in batch.problems]
        news = self.ledger.settle(self.now)
        self.problems += ["refused"] * len(news.refused)
        return [
            (error.sighting.code, round(self.now - error.sighting.time, 3)) for error in news.errors
        ]


@pytest.fixture
def device(tmp_path: Path) -> Device:
    """Return a kernel log with some history."""
    made = Device(tmp_path)
    made.write("Linux version 6.8")
    made.write(xid(31))
    return made


Start = Callable[[], Agent]


@pytest.fixture
async def start(device: Device, tmp_path: Path) -> AsyncIterator[Start]:
    """Return what starts an agent, as after the end of the one before."""
    started: list[Agent] = []

    def make() -> Agent:
        device.forget()
        started.append(Agent(device, tmp_path / "state"))
        return started[-1]

    yield make
    for agent in started:
        await agent.collector.close()
    device.forget()


async def test_what_was_there_before_is_nobodys_news(device: Device, start: Start) -> None:
    """An agent that starts for the first time begins at the end of the log."""
    agent = start()
    first = await agent.hear()
    device.write(xid(79))

    assert first == []
    assert await agent.hear() == [(79, 0.0)]
    assert await agent.hear() == []
    assert agent.problems == []


async def test_what_came_while_the_agent_was_down_is_told_once(
    device: Device, start: Start
) -> None:
    """A restarted agent tells what it missed, with its own time, and nothing that was told."""
    agent = start()
    await agent.hear()
    device.write(xid(79))
    await agent.hear()
    await agent.collector.close()
    device.uptime += 600
    device.write(xid(48), ago=500)
    device.write("something else")

    second = start()
    missed = await second.hear()
    await second.collector.close()
    third = start()

    assert missed == [(48, 500.0)]
    assert await third.hear() == []


async def test_all_of_a_new_boot_is_news(device: Device, start: Start) -> None:
    """After a reboot the numbers begin anew, and all that this boot wrote is told."""
    await start().hear()
    device.reboot("boot-2")
    device.write(xid(143), ago=30)

    assert await start().hear() == [(143, 30.0)]
    assert await start().hear() == []


async def test_an_agent_without_a_place_for_its_state_remembers(device: Device) -> None:
    """Without a state directory an agent that reopens the log goes on where it was."""
    agent = Agent(device, None)
    await agent.hear()
    device.write(xid(79))
    heard = await agent.hear()
    await agent.collector.close()
    device.forget()
    again = await agent.hear()
    await agent.collector.close()
    device.forget()

    assert heard == [(79, 0.0)]
    assert again == []


async def test_overrun_is_a_problem_and_the_reader_goes_on(device: Device, start: Start) -> None:
    """Records that were overwritten are counted as a problem, and the next ones are read."""
    agent = start()
    await agent.hear()
    device.failing = [errno.EPIPE]
    device.write(xid(79), skip=500)
    device.write(xid(45), skip=1)

    assert await agent.hear() == [(79, 0.0), (45, 0.0)]
    assert agent.problems == ["kernel_log_overrun", "kernel_log_overrun"]


async def test_records_overwritten_while_down_are_a_problem(device: Device, start: Start) -> None:
    """A gap between the kept position and the first record that is left is said."""
    await start().hear()
    device.records.clear()
    device.write(xid(79), skip=3)
    agent = start()

    assert await agent.hear() == [(79, 0.0)]
    assert agent.problems == ["kernel_log_overrun"]


@pytest.mark.parametrize(
    "record",
    [b"", b"\n", b"no header", b"4,x,y,-;NVRM: Xid", b";", b"4,9,1,-", b"\xff\xfe\x00", b"4,5"],
)
async def test_malformed_records_are_counted(device: Device, start: Start, record: bytes) -> None:
    """A record of another form is a problem, and the ones behind it are read."""
    agent = start()
    await agent.hear()
    if record:
        device.raw(record)
    device.write(xid(79))

    assert await agent.hear() == [(79, 0.0)]
    assert agent.problems == (["kernel_record_malformed"] if record else [])


async def test_escapes_and_lines_within_a_record(device: Device, start: Start) -> None:
    """Bytes that the kernel escapes come back, a record of several lines is read line by line."""
    agent = start()
    await agent.hear()
    device.write(xid(79, r"caf\xc3\xa9 \x5c") + r"\x0a" + xid(45))
    await agent.collector.collect()

    first, second = agent.ledger.settle(NOW).errors

    assert first.sighting.text == "café \\"
    assert second.sighting.code == 45


async def test_unreadable_lines_are_counted(device: Device, start: Start) -> None:
    """A cut line of the driver is a problem, in a bounded number."""
    agent = start()
    await agent.hear()
    for _ in range(50):
        device.write("NVRM: Xid (PCI:0000:91:00): ")

    assert await agent.hear() == []
    assert agent.problems == ["kernel_line_unreadable"] * 20


async def test_a_failing_read_fails_the_run_and_heals(device: Device, start: Start) -> None:
    """A device that fails is a failed collector; the next run opens it again and loses nothing."""
    agent = start()
    await agent.hear()
    device.failing = [errno.EIO]
    device.write(xid(79))
    with pytest.raises(OSError, match="Input/output"):
        await agent.hear()
    device.forget()

    assert agent.ledger.heard_until("kernel") is None
    assert await agent.hear() == [(79, 0.0)]


async def test_a_storm_is_read_in_bounded_runs(device: Device, start: Start) -> None:
    """10,000 lines at once are all counted, and told in a bounded number of events."""
    agent = start()
    await agent.hear()
    told = []
    for _ in range(40):
        for _ in range(250):
            device.write(xid(13))
        told += await agent.hear()

    assert agent.ledger.account.xids["GPU-a", 13] == 10_000
    assert len(told) == 10
    assert agent.problems == []


@given(st.lists(st.binary(min_size=1, max_size=200), max_size=20))
@settings(max_examples=50, deadline=None)
async def test_no_bytes_stop_the_reader(
    tmp_path_factory: pytest.TempPathFactory, garbage: list[bytes]
) -> None:
    """After any bytes at all, the next true line is heard."""
    device = Device(tmp_path_factory.mktemp("kmsg"))
    agent = Agent(device, None)
    await agent.hear()
    for record in garbage:
        device.raw(record)
    device.sequence = 10**12
    device.write(xid(79))

    assert 79 in [code for code, _ in await agent.hear()]
    await agent.collector.close()
    device.forget()


def test_a_kill_between_write_and_rename_keeps_the_old_position(tmp_path: Path) -> None:
    """An agent killed by force while it keeps a position leaves the old one, whole."""
    Cursor(tmp_path).save("/dev/kmsg", {"boot": "b", "sequence": 1})
    child = os.fork()
    if child == 0:
        Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment,method-assign]
        Cursor(tmp_path).save("/dev/kmsg", {"boot": "b", "sequence": 2})
        os._exit(1)
    _, status = os.waitpid(child, 0)

    assert os.WTERMSIG(status) == signal.SIGKILL
    assert (tmp_path / "kernel-log.json.new").exists()
    assert Cursor(tmp_path).load("/dev/kmsg") == {"boot": "b", "sequence": 1}


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"log": 3}', b"\xff" * 9000, b"[" * 5000, b'{"log":"/dev/kmsg"}'],
)
def test_a_position_that_makes_no_sense_is_none(tmp_path: Path, content: bytes) -> None:
    """A file of another version, or of rubbish, is as good as no file."""
    (tmp_path / "kernel-log.json").write_bytes(content)

    assert Cursor(tmp_path).load("/dev/kmsg") is None


async def test_a_position_of_rubbish_begins_at_the_end(
    device: Device, start: Start, tmp_path: Path
) -> None:
    """A kept position that is not this log's own means the end of the log."""
    (tmp_path / "state").mkdir()
    kept = {"log": str(device.path), "position": {"boot": 7, "sequence": "x"}}
    (tmp_path / "state" / "kernel-log.json").write_text(json.dumps(kept), encoding="ascii")

    assert await start().hear() == []


async def test_a_state_directory_that_cannot_be_written(device: Device, tmp_path: Path) -> None:
    """Where the position cannot be kept, that is a problem, and the lines are told all the same."""
    (tmp_path / "state").write_text("a file", encoding="ascii")
    agent = Agent(device, tmp_path / "state")
    await agent.hear()
    device.write(xid(79))

    assert await agent.hear() == [(79, 0.0)]
    assert agent.problems == ["cursor_not_kept", "cursor_not_kept"]
    await agent.collector.close()
    device.forget()


async def test_no_device(tmp_path: Path) -> None:
    """Without a kernel log the collector is unavailable, and says what to do."""
    collector = KernelCollector(XidLedger(), log=Kmsg(tmp_path / "kmsg"))
    file = KernelCollector(XidLedger(), path=tmp_path / "kern.log")

    with pytest.raises(Unavailable, match="mount the host's"):
        await collector.collect()
    with pytest.raises(Unavailable, match=r"kern\.log does not exist"):
        await file.collect()
    await collector.close()
    await collector.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not read")
@pytest.mark.parametrize("name", ["kmsg", "kern.log"])
def test_not_allowed(tmp_path: Path, name: str) -> None:
    """A log that may not be read is unavailable, with the permission that is missing."""
    path = tmp_path / name
    path.touch(mode=0o000)
    log = Kmsg(path) if name == "kmsg" else LogFile(path, clock=time.time)
    os.seteuid(65534)
    try:
        with pytest.raises(Unavailable, match=r"SYSLOG|cannot be read"):
            log.open(None)
    finally:
        os.seteuid(0)


def test_what_reads_a_path(tmp_path: Path) -> None:
    """A file is read as a file that a daemon writes, the device as the device."""
    (tmp_path / "kern.log").touch()

    assert isinstance(kernel_log(tmp_path / "kern.log", time.time), LogFile)
    assert isinstance(kernel_log(tmp_path / "absent", time.time), LogFile)
    assert isinstance(kernel_log(PATH, time.time), Kmsg)


def _writable_kmsg() -> bool:
    switch = Path("/proc/sys/kernel/printk_devkmsg")
    return (
        os.access(PATH, os.R_OK | os.W_OK)
        and switch.exists()
        and switch.read_text(encoding="ascii").strip() != "off"
    )


@pytest.mark.skipif(
    not _writable_kmsg(), reason="the real /dev/kmsg cannot be read and written here"
)
async def test_the_real_device(tmp_path: Path) -> None:
    """Lines written to the real kernel log are heard once, with their time, also over a restart."""
    marker = f"SIMULATED warpwatch test {time.time_ns()}"

    def agent() -> tuple[KernelCollector, XidCollector]:
        ledger = XidLedger()
        ledger.know(KnownGpu("GPU-t", "0000:ff:00.0", "GPU 7"))
        return KernelCollector(ledger, state_dir=tmp_path), XidCollector(ledger)

    def write(code: int) -> None:
        with PATH.open("w", encoding="ascii") as kernel:
            kernel.write(f"<4>NVRM: Xid (PCI:0000:ff:00): {code}, pid=7, name=python3, {marker}\n")

    async def hear(kernel: KernelCollector, xids: XidCollector) -> list[tuple[object, float]]:
        await kernel.collect()
        batch = await xids.collect()
        events = [(dict(event.attributes), event.time) for event in batch.events]
        return [
            (keys["hw.gpu.xid.code"], at)
            for keys, at in events
            if marker in str(keys.get("error.message"))
        ]

    kernel, xids = agent()
    assert await hear(kernel, xids) == []
    write(79)
    ((code, at),) = await hear(kernel, xids)
    await kernel.close()
    write(48)
    kernel, xids = agent()
    missed = await hear(kernel, xids)
    await kernel.close()
    kernel, xids = agent()
    again = await hear(kernel, xids)
    await kernel.close()

    assert code == 79
    assert abs(time.time() - at) < 5
    assert [code for code, _ in missed] == [48]
    assert again == []
    assert sys.platform == "linux"


class Piped(Kmsg):
    """A kernel log of which a test decides when it becomes readable."""

    def __init__(self, device: Device) -> None:
        super().__init__(device.path, boot_id=device.boot_file, read=device._read)
        self.end, self.pen = os.pipe()

    def descriptor(self) -> int | None:
        """Return the end of the pipe."""
        return self.end


async def test_a_line_is_news(device: Device) -> None:
    """The collector sleeps until the log can be read, and lets go of it afterwards."""
    log = Piped(device)
    collector = KernelCollector(XidLedger(), path=device.path, log=log)
    await collector.collect()

    waiting = asyncio.create_task(collector.news())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    os.write(log.pen, b"x")
    await asyncio.wait_for(waiting, 1)

    assert asyncio.get_running_loop().remove_reader(log.end) is False
    await collector.close()
    os.close(log.end)
    os.close(log.pen)


async def test_a_file_is_looked_at_twice_a_second(tmp_path: Path) -> None:
    """A file does not say when it is written to, so that news is only worth a look."""
    path = tmp_path / "kern.log"
    path.touch()
    collector = KernelCollector(XidLedger(), path=path)
    await collector.collect()

    await asyncio.wait_for(collector.news(), 1)

    await collector.close()


async def test_a_log_that_is_not_there_is_no_news(tmp_path: Path) -> None:
    """Where there is no log, the next turn is soon enough."""
    collector = KernelCollector(XidLedger(), path=tmp_path / "kmsg")

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(collector.news(), 0.6)


def killed(pid: int) -> str:
    """Return a line of the kernel that says that a container's process was killed."""
    return f"Memory cgroup out of memory: Killed process {pid} (python3) total-vm:9kB, anon-rss:2097152kB"


async def test_killed_processes_are_counted_and_told(device: Device, start: Start) -> None:
    """A process that the kernel killed is an event, and a count that was there at 0 before."""
    agent = start()
    before = await agent.collector.collect()
    device.write("Out of memory: Killed process 5 (x) total-vm:1kB")
    group = f"/a/docker-{'a1' * 32}.scope"
    device.write(f"oom-kill:constraint=CONSTRAINT_MEMCG,task_memcg={group},task=p,pid=7,uid=0")
    device.write(killed(7))

    after = await agent.collector.collect()
    later = await agent.collector.collect()

    def counts(batch: Batch) -> dict[str, object]:
        assert {one.metric for one in batch.readings} == {system.OOM_KILLS}
        return {one.attributes[0]: one.value for one in batch.readings}

    assert counts(before) == {"host": 0, "cgroup": 0}
    assert counts(after) == counts(later) == {"host": 1, "cgroup": 1}
    assert [event.kind for event in after.events] == [events.OOM_KILL] * 2
    assert dict(after.events[1].attributes) == {
        "system.memory.oom_kill.limit": "cgroup",
        "process.pid": 7,
        "process.executable.name": "python3",
        "container.id": "a1" * 32,
    }
    assert after.events[1].body == (
        "The kernel killed python3 (pid 7) of container a1a1a1a1a1a1, which held 2.0 GiB: "
        "its control group was at its limit"
    )
    assert before.events == later.events == ()


async def test_a_massacre_is_counted_whole_and_told_in_part(device: Device, start: Start) -> None:
    """However many are killed at once, all are counted, and no more than a few told one by one."""
    agent = start()
    await agent.collector.collect()
    for pid in range(100):
        device.write(killed(pid))

    batch = await agent.collector.collect()

    assert [one.value for one in batch.readings] == [0, 100]
    assert len(batch.events) == 20
