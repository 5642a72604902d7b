"""Processes summed up by owner, and memory that nobody owns."""

from agent.catalogue import gpu_owners
from agent.collectors.nvml.driver import FieldProblem, GpuProcess, Processes, Sample
from agent.collectors.nvml.owners import (
    LARGEST,
    UNOWNED_FROM,
    held_by_all,
    owner_readings,
    unowned,
    unowned_reading,
)

GIB = 1024**3
UUID = "GPU-1"
ID = "ab" * 32


def told(processes: Processes) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return the readings by metric and owner."""
    found: dict[tuple[str, tuple[str, ...]], float] = {}
    for metric, attributes, value in owner_readings(UUID, processes):
        assert attributes[0] == UUID
        assert isinstance(value, int | float)
        found[metric.name.rpartition("owner.")[2], attributes[1:]] = value
    return found


def test_processes_of_a_container_are_one_owner() -> None:
    """What runs in one container is summed up, whatever the executables; the rest is by executable."""
    readings = told(
        Processes(
            compute=(
                GpuProcess(1, "python3", 2 * GIB, 0.25, ID),
                GpuProcess(2, "ray", GIB, 0.5, ID),
                GpuProcess(3, "python3", 4 * GIB, 0.125),
                GpuProcess(4, "python3", GIB, 0.0),
                GpuProcess(5, "", GIB, 0.0),
            ),
            graphics=(),
        )
    )

    container, command, unknown = (
        ("container", ID, ""),
        ("command", "", "python3"),
        ("unknown", "", ""),
    )
    assert readings == {
        ("processes", container): 2,
        ("memory.usage", container): 3 * GIB,
        ("utilization", container): 0.75,
        ("processes", command): 2,
        ("memory.usage", command): 5 * GIB,
        ("utilization", command): 0.125,
        ("processes", unknown): 1,
        ("memory.usage", unknown): GIB,
        ("utilization", unknown): 0.0,
    }


def test_a_process_in_both_lists_counts_once() -> None:
    """A process that computes and draws is one process, with the greater memory of the two."""
    readings = told(Processes((GpuProcess(1, "game", GIB),), (GpuProcess(1, "game", 2 * GIB),)))

    assert readings[("processes", ("command", "", "game"))] == 1
    assert readings[("memory.usage", ("command", "", "game"))] == 2 * GIB


def test_a_part_is_not_told_as_the_whole() -> None:
    """Where one process's memory or share is not known, the owner's is absent."""
    readings = told(Processes((GpuProcess(1, "a", None, 0.5), GpuProcess(2, "a", GIB, None)), ()))

    assert readings == {("processes", ("command", "", "a")): 2}


def test_shares_that_overlap_are_never_more_than_the_whole() -> None:
    """Processes that run side by side may sum up to more than all the time there is."""
    readings = told(Processes((GpuProcess(1, "a", 1, 0.9), GpuProcess(2, "a", 1, 0.9)), ()))

    assert readings[("utilization", ("command", "", "a"))] == 1.0


def test_the_number_of_owners_is_bounded() -> None:
    """A thousand owners make the largest ones and one for all others, and nothing is lost."""
    everyone = tuple(GpuProcess(pid, f"job{pid}", pid) for pid in range(1, 1001))

    readings = told(Processes(everyone, ()))

    owners = {owner for _, owner in readings}
    assert len(owners) == LARGEST + 1
    assert ("command", "", "job1000") in owners
    assert readings[("processes", ("other", "", ""))] == 1000 - LARGEST
    assert sum(value for (what, _), value in readings.items() if what == "memory.usage") == 500_500


def test_no_list_no_owner() -> None:
    """Without the list of processes nothing is told of owners."""
    assert told(Processes(None, ())) == {}


def sample(used: int | None, reserved: int | None = 0) -> Sample:
    """Return a sample of a GPU with so much memory in use."""
    return Sample(memory_total=80 * GIB, memory_used=used, memory_reserved=reserved)


def test_memory_without_an_owner() -> None:
    """What is in use beyond all processes and the driver's own is nobody's."""
    known = Processes((GpuProcess(1, "a", 10 * GIB),), (), complete=True)

    assert unowned(sample(30 * GIB), held_by_all(known)) == 20 * GIB
    assert unowned(sample(10 * GIB + UNOWNED_FROM), held_by_all(known)) == 0
    assert unowned(sample(8 * GIB), held_by_all(known)) == 0


def test_memory_that_may_have_an_owner() -> None:
    """Nobody is blamed while a process may be hidden or its memory unknown."""
    one = (GpuProcess(1, "a", GIB),)
    problem = FieldProblem("graphics", "timeout", "")

    assert unowned(sample(30 * GIB), held_by_all(Processes(one, ()))) is None
    assert unowned(sample(30 * GIB), held_by_all(Processes(None, (), complete=True))) is None
    assert (
        unowned(
            sample(30 * GIB), held_by_all(Processes(one, (), complete=True, problems=(problem,)))
        )
        is None
    )
    assert (
        unowned(
            sample(30 * GIB), held_by_all(Processes((GpuProcess(1, "a", None),), (), complete=True))
        )
        is None
    )
    assert unowned(sample(30 * GIB, None), held_by_all(Processes(one, (), complete=True))) is None
    assert unowned(sample(None), held_by_all(Processes(one, (), complete=True))) is None


def test_one_sight_is_not_enough() -> None:
    """A process that left between two questions is not taken for memory that nobody owns."""
    assert list(unowned_reading(UUID, None, 20 * GIB)) == []
    assert list(unowned_reading(UUID, 20 * GIB, None)) == []
    (none,) = unowned_reading(UUID, None, 0)
    (brief,) = unowned_reading(UUID, 0, 20 * GIB)
    (lasting,) = unowned_reading(UUID, 20 * GIB, 21 * GIB)

    assert none.value == 0
    assert brief == (gpu_owners.MEMORY_UNOWNED, (UUID,), 0)
    assert lasting.value == 20 * GIB
