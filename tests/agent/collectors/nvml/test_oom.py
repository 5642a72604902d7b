from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.collectors.nvml.driver import GpuProcess, Processes, Sample
from agent.collectors.nvml.oom import Death, Watched, observe

TOTAL = 1000
Held = Mapping[int, int | None]


def live(moments: Iterable[Held | None], every: float = 1.0) -> list[Death]:
    """Return the deaths on a GPU of 1000 bytes, where processes hold so much, moment by moment.

    `None` is a moment at which the GPU told nothing.
    """
    watched: Watched | None = None
    deaths: list[Death] = []
    for moment, held in enumerate(moments):
        sample, processes = (Sample(), Processes()) if held is None else sight(held)
        watched, found = observe(watched, 1_000 + moment * every, sample, processes)
        deaths += found
    return deaths


def sight(held: Held) -> tuple[Sample, Processes]:
    """Return what a GPU says where processes hold so much."""
    used = sum(filter(None, held.values()))
    listed = tuple(GpuProcess(pid, f"p{pid}", memory) for pid, memory in held.items())
    sample = Sample(
        memory_total=TOTAL, memory_used=used, memory_free=TOTAL - used, memory_reserved=0
    )
    return sample, Processes(listed, ())


def confidences(moments: Iterable[Held | None], every: float = 1.0) -> list[str]:
    """Return how sure each death is."""
    return [death.confidence for death in live(moments, every)]


def ramp(first: int, last: int, step: int) -> list[Held]:
    """Return the moments of a process that takes more and more, after one without it."""
    return [{}, *({1: memory} for memory in range(first, last + 1, step))]


@pytest.mark.parametrize(
    ("story", "moments", "expected"),
    [
        ("a leak to the brim", [*ramp(600, 990, 10), {}], ["high"]),
        ("a leak to the brim, last seen at 96 %", [*ramp(600, 960, 10), {}], ["medium"]),
        ("a fast leak that outruns the samples", [*ramp(100, 900, 160), {}], ["medium"]),
        ("filled at once, and gone", [{}, {1: 990}, {}], ["high"]),
        (
            "filled 100 s ago, still since",
            [*ramp(600, 990, 130), *[{1: 990}] * 100, {}],
            ["medium"],
        ),
        ("filled long ago, still since", [*ramp(600, 990, 130), *[{1: 990}] * 200, {}], ["low"]),
        ("full and still before the agent began", [*[{1: 990}] * 3, {}], ["low"]),
        ("a server at 90 % is stopped", [*ramp(100, 900, 400), *[{1: 900}] * 9, {}], []),
        ("a server at 90 % is stopped while it starts", [{}, {1: 900}, {}], []),
        ("frees its memory before it ends", [*ramp(600, 990, 10), {1: 300}, {}], []),
        ("loads a model and is stopped", [*ramp(100, 600, 50), {}], []),
        ("goes on", ramp(600, 990, 10), []),
        (
            "wants what another holds",
            [{1: 700, 2: memory} for memory in range(100, 300, 5)] + [{1: 700}],
            ["medium"],
        ),
        ("a newcomer finds no room", [{1: 970}, {1: 970, 2: 20}, {1: 970}], ["low"]),
        ("a small old one ends on a full device", [{1: 970, 2: 20}, {1: 970, 2: 20}, {1: 970}], []),
        ("memory is taken at once by another", [*ramp(600, 990, 10), {2: 990}], ["medium"]),
        ("memory is not told", [{1: None}, {1: None}, {}], []),
        (
            "two die together",
            [{1: 400, 2: 400}, {1: 450, 2: 450}, {1: 495, 2: 495}, {}],
            ["high", "high"],
        ),
        ("not seen for a moment", [*ramp(600, 990, 10), None, {}], ["high"]),
        ("not seen for long", [*ramp(600, 990, 10), *[None] * 15, {}], ["medium"]),
    ],
)
def test_story(story: str, moments: list[Held | None], expected: list[str]) -> None:
    """Each story ends with the confidence that its evidence deserves."""
    assert sorted(confidences(moments)) == sorted(expected), story


def test_what_a_death_tells() -> None:
    """A death tells who it was, what it held, and how full the device was at last sight."""
    (death,) = live([*ramp(600, 990, 10), {}])

    assert (death.holding.pid, death.holding.name, death.holding.memory) == (1, "p1", 990)
    assert (death.used, death.total) == (990, TOTAL)


def test_a_process_in_both_lists_counts_once() -> None:
    """A process that computes and draws is one process, with the memory that it is told to hold."""
    sample, processes = sight({1: 990})
    both = Processes(processes.compute, processes.compute)
    watched, _ = observe(None, 0, *sight({}))
    watched, _ = observe(watched, 1, sample, both)

    _, deaths = observe(watched, 2, *sight({}))

    assert [death.confidence for death in deaths] == ["high"]


def test_free_memory_that_is_not_told() -> None:
    """Where the driver does not tell what is free, it is what is neither used nor reserved."""

    def full(held: Held) -> tuple[Sample, Processes]:
        sample, processes = sight(held)
        return sample._replace(memory_free=None, memory_reserved=50), processes

    watched, _ = observe(None, 0, *full({}))
    watched, _ = observe(watched, 1, *full({1: 940}))

    _, deaths = observe(watched, 2, *full({}))

    assert [death.confidence for death in deaths] == ["high"]


helds = st.dictionaries(st.integers(1, 4), st.none() | st.integers(0, 2 * TOTAL), max_size=4)


@given(st.lists(st.none() | helds, max_size=20), st.sampled_from([0.0, 0.1, 1.0, 60.0]))
def test_any_life(moments: list[Held | None], every: float) -> None:
    """Whatever is told, nobody dies who is still there, nobody twice, and nobody who held nothing."""
    deaths = live(moments, every)

    assert len(deaths) <= sum(len(held) for held in moments if held)
    assert all(death.holding.memory > 0 for death in deaths)


@given(st.integers(0, 940), st.integers(1, 200))
def test_a_device_with_room_has_no_death(memory: int, moments: int) -> None:
    """A process that holds what it always held, with more than 5 % free, may leave at any time."""
    assert confidences([*[{1: memory}] * moments, {}]) == []
