"""Whom the kernel killed for want of memory, by what it writes of that."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.collectors.kernel.lines import worth_reading
from agent.collectors.kernel.oom_kills import OomKill, OomKills

ID = "3f" * 32
MEMCG = f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-{ID}.scope"
CHOSEN = (
    f"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=cri-containerd-{ID}.scope,mems_allowed=0-1,"
    f"oom_memcg={MEMCG},task_memcg={MEMCG},task=python3,pid=4242,uid=1000"
)
KILLED = (
    "Memory cgroup out of memory: Killed process 4242 (python3) total-vm:90000kB, anon-rss:8192kB, "
    "file-rss:1024kB, shmem-rss:0kB, UID:1000 pgtables:100kB oom_score_adj:985"
)
HOST = (
    "Out of memory: Killed process 77 (vllm::worker) total-vm:90000kB, anon-rss:4096kB, file-rss:0kB, "
    "shmem-rss:0kB, UID:0 pgtables:100kB oom_score_adj:0"
)


def kills(*lines: str) -> list[OomKill]:
    """Return whom these lines, in their order, say to have been killed."""
    reader = OomKills()
    return [kill for line in lines if (kill := reader.read(line))]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((CHOSEN, KILLED), OomKill(4242, "python3", "cgroup", ID, 9 * 1024**2)),
        ((KILLED,), OomKill(4242, "python3", "cgroup", "", 9 * 1024**2)),
        ((HOST,), OomKill(77, "vllm::worker", "host", "", 4 * 1024**2)),
        (
            (CHOSEN.replace("CONSTRAINT_MEMCG", "CONSTRAINT_NONE").replace("4242", "77"), HOST),
            OomKill(77, "vllm::worker", "host", ID, 4 * 1024**2),
        ),
        (("Killed process 5 (a (b) c) total-vm:1kB",), OomKill(5, "a", "")),
        (
            (
                "Memory cgroup out of memory: Kill process 5 (x) score 99 or sacrifice child",
                "Killed process 6 (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB",
            ),
            OomKill(6, "x", "cgroup", "", 4096),
        ),
        (
            (
                "Out of memory (oom_kill_allocating_task): Killed process 9, UID 33, (php) total-vm:1kB",
            ),
            OomKill(9, "php", "host"),
        ),
        (
            ("Nov 21 20:00:01 n1 kernel: [12.5] " + CHOSEN, "Nov 21 20:00:01 n1 kernel: " + KILLED),
            OomKill(4242, "python3", "cgroup", ID, 9 * 1024**2),
        ),
        (
            ("Out of memory: Killed process 7 (/opt/x --key=secret) total-vm:1kB",),
            OomKill(7, "x", "host"),
        ),
    ],
)
def test_forms(lines: tuple[str, ...], expected: OomKill) -> None:
    """Each form that kernels write is one kill: process, whose limit, container and memory as far as told."""
    assert kills(*lines) == [expected]
    assert all(worth_reading(line.encode()) for line in lines)


def test_another_process_than_the_chosen_one_has_no_container() -> None:
    """What was said of one process is not believed of another."""
    first, second = kills(CHOSEN, KILLED.replace("4242", "4243"), KILLED)

    assert (first.container, second.container) == ("", ID)


def test_a_whole_group() -> None:
    """Where a group is killed as a whole, each of its processes is of its container."""
    whole = f"Tasks in {MEMCG} are going to be killed due to memory.oom.group set"

    found = kills(
        CHOSEN, KILLED, whole, KILLED.replace("4242", "4243"), KILLED.replace("4242", "4")
    )

    assert [(kill.pid, kill.container) for kill in found] == [(4242, ID), (4243, ID), (4, ID)]


def test_a_group_does_not_stand_for_the_host() -> None:
    """After a group was killed, a kill for the host's memory is not of that group."""
    whole = f"Tasks in {MEMCG} are going to be killed due to memory.oom.group set"

    *_, last = kills(whole, KILLED, HOST)

    assert (last.limit, last.container) == ("host", "")


@pytest.mark.parametrize(
    "line",
    [
        "oom_reaper: reaped process 4242 (python3), now anon-rss:0kB",
        "python3 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=985",
        "Memory cgroup out of memory: Kill process 5 (x) score 99 or sacrifice child",
        "Out of memory: Killed process",
        "Out of memory and no killable processes...",
        "",
    ],
)
def test_lines_that_kill_nobody(line: str) -> None:
    """What stands around a kill in the log is not counted as another one."""
    assert kills(line) == []


@given(
    st.lists(
        st.text() | st.sampled_from([CHOSEN, KILLED, HOST]).map(lambda text: text[:90]), max_size=5
    )
)
def test_whatever_is_written(lines: list[str]) -> None:
    """Any lines, cut or mixed, give kills of processes with short names, or none."""
    assert all(len(kill.process) <= 64 and kill.pid >= 0 for kill in kills(*lines))
