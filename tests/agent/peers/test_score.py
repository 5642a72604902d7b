"""The score of one GPU among its siblings: robust, one-sided, and quiet where it cannot know."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.catalogue.window import OUTLIER
from agent.peers.score import FEWEST, SIGNALS, judge, score
from agent.peers.standing import Lookout
from tests.agent.peers.standings import Figures, batch, node

WORDS = [signal.word for signal in SIGNALS]
values = st.lists(st.floats(0, 1000), min_size=4, max_size=16)


def scores(gpus: list[Figures]) -> dict[tuple[str, str], float]:
    """Return the scores of GPUs, as they stand in a batch."""
    seen = Lookout().sights([batch(0.0, gpus)])
    verdicts = judge({hw_id: sight.standing for hw_id, sight in seen.items()})
    return {key: verdict.score for key, verdict in verdicts.items()}


def outliers(gpus: list[Figures]) -> set[tuple[str, str]]:
    """Return who stands out, and in what."""
    return {key for key, value in scores(gpus).items() if value > OUTLIER}


def test_equal_gpus_score_nothing() -> None:
    """GPUs that do not differ at all have a score of 0 in every respect that can be judged at once."""
    judged = scores(node())

    assert set(judged.values()) == {0.0}
    assert {word for _, word in judged} == {"temperature", "clock", "power"}
    assert len(judged) == 8 * 3


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"temperature": 75.0}, "temperature"),
        ({"clock": 1.2e9, "power": 500.0}, "clock"),
        ({"power": 400.0}, "power"),
    ],
)
def test_a_gpu_that_is_worse_is_found(changes: dict[str, float], word: str) -> None:
    """Hotter, slower, or with less power for the same work: it alone stands out, and in that."""
    gpus = node()
    gpus[5] = replace(gpus[5], **changes)  # type: ignore[arg-type]

    assert outliers(gpus) == {("GPU-5", word)}


@pytest.mark.parametrize(
    "changes", [{"temperature": 40.0}, {"clock": 1.98e9}, {"power": 690.0, "temperature": 62.0}]
)
def test_a_gpu_that_is_better_is_none(changes: dict[str, float]) -> None:
    """Cooler or faster is no fault."""
    gpus = node()
    gpus[5] = replace(gpus[5], **changes)  # type: ignore[arg-type]

    assert outliers(gpus) == set()


def test_a_gpu_with_more_to_do_may_be_hotter() -> None:
    """Nobody is hotter under the same load where nobody else has the load."""
    gpus = [replace(each, power=250.0, temperature=45.0, allocated=0.3) for each in node()]
    gpus[5] = Figures("GPU-5")

    judged = scores(gpus)

    assert outliers(gpus) == set()
    assert ("GPU-5", "temperature") not in judged
    assert ("GPU-5", "clock") not in judged


def test_a_gpu_that_overheats_at_little_power_is_found_among_those_that_draw_more() -> None:
    """A board that its heat has slowed draws less than its siblings, and is hotter all the same."""
    gpus = node()
    gpus[5] = replace(gpus[5], power=200.0, temperature=88.0, clock=8e8)

    assert {("GPU-5", "temperature"), ("GPU-5", "clock")} <= outliers(gpus)


def test_idle_gpus_are_not_slow() -> None:
    """An idle GPU among busy ones has low clocks and little power, and that is right."""
    gpus = node()
    gpus[5] = replace(gpus[5], utilization=0.0, power=70.0, temperature=35.0, clock=3.45e8)

    judged = scores(gpus)

    assert outliers(gpus) == set()
    assert {word for hw_id, word in judged if hw_id == "GPU-5"} == set()


def test_idle_gpus_take_no_blame_for_their_neighbours() -> None:
    """Between two busy boards an idle one is warm; that is no fault of its own."""
    idle = [
        replace(each, utilization=0.0, power=70.0, temperature=35.0, clock=3.45e8)
        for each in node()
    ]
    idle[4] = replace(idle[4], temperature=52.0)
    idle[5] = Figures("GPU-5")

    assert outliers(idle) == set()


def test_a_lighter_job_is_not_a_slow_gpu() -> None:
    """Another job, told by its memory, draws other power; it is not compared."""
    gpus = node()
    gpus[5] = replace(gpus[5], power=350.0, allocated=0.4)

    assert outliers(gpus) == set()


@pytest.mark.parametrize("count", range(1, FEWEST))
def test_too_few_siblings_are_not_judged(count: int) -> None:
    """Of fewer than four GPUs nobody knows which one is right."""
    gpus = node(count)
    gpus[0] = replace(gpus[0], temperature=95.0)

    assert scores(gpus) == {}


def test_four_are_enough() -> None:
    """Three that agree find the fourth."""
    gpus = node(4)
    gpus[2] = replace(gpus[2], temperature=95.0)

    assert outliers(gpus) == {("GPU-2", "temperature")}


def test_models_are_not_compared_with_each_other() -> None:
    """Four of one model and three of another: only the four are judged."""
    gpus = [
        *(replace(each, model="NVIDIA L40S", temperature=80.0) for each in node(3)),
        *(Figures(f"GPU-{n}") for n in range(3, 7)),
    ]

    assert {hw_id for hw_id, _ in scores(gpus)} == {f"GPU-{n}" for n in range(3, 7)}
    assert outliers(gpus) == set()


def test_what_a_gpu_does_not_tell_is_not_judged() -> None:
    """A GPU without a temperature has no score for it, and the others have."""
    gpus = node()
    whole = batch(0.0, gpus)
    kept = tuple(
        each
        for each in whole.readings
        if not (each.metric.name == "hw.temperature" and each.attributes[0] == "GPU-5")
    )

    seen = Lookout().sights([replace(whole, readings=kept)])
    judged = judge({hw_id: sight.standing for hw_id, sight in seen.items()})

    assert ("GPU-5", "temperature") not in judged
    assert ("GPU-4", "temperature") in judged


@pytest.mark.parametrize("word", WORDS)
def test_an_outlier_is_beyond_six_deviations_and_the_gap(word: str) -> None:
    """The one number says both conditions, whether the siblings differ or not."""
    (signal,) = (each for each in SIGNALS if each.word == word)
    gap = signal.gap(100.0)
    tight, wide = [100.0] * 7, [100.0 + gap * step for step in (-3, -2, -1, 0, 1, 2, 3)]

    at = [
        score(100.0 + signal.worse * gap * share, tight, signal.worse, signal.gap)
        for share in (0.99, 1.01)
    ]
    spread = score(100.0 + signal.worse * gap * 3, wide, signal.worse, signal.gap)

    assert at[0] < OUTLIER < at[1]
    assert spread < OUTLIER


@given(siblings=values, worse=st.sampled_from([1, -1]))
def test_scores_are_finite_and_one_sided(siblings: list[float], worse: int) -> None:
    """Whatever the values, scores are 0 to 100, and 0 for half of the GPUs at least."""
    told = [score(each, siblings, worse, lambda usual: 0.1 * usual) for each in siblings]

    assert all(0 <= each <= 100 for each in told)
    assert sum(each == 0 for each in told) >= len(siblings) // 2
    assert sum(each > OUTLIER for each in told) < len(siblings) / 2
