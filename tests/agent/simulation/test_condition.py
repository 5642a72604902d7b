import pytest

from agent.catalogue.attributes import (
    COMPUTE_MODE,
    FABRIC_FAULT,
    FABRIC_HEALTH,
    FABRIC_STATE,
    MEMORY_LOCATION,
    NVLINK_STATE,
    REMAP_AVAILABILITY,
    RETIREMENT_CAUSE,
)
from agent.collectors.nvml.driver import Condition
from agent.simulation.gpus import SimulatedGpus
from agent.simulation.scenario import PERIOD
from agent.simulation.spec import MODELS, parse_spec

SWITCHED = {"H100", "H200", "B200", "A100", "A100-40GB", "A100-80GB"}
"""Models whose NVLinks lead to NVSwitches."""
OLD = {"V100", "T4"}
"""Models that retire pages."""


class Clock:
    """Seconds that pass when the test says so."""

    now = 1_000.0

    def __call__(self) -> float:
        """Return the time that the test set."""
        return self.now


def node(spec: str, seed: int = 0) -> tuple[SimulatedGpus, Clock]:
    """Return an open simulated node and the clock that moves it."""
    clock = Clock()
    gpus = SimulatedGpus(parse_spec(spec), seed=seed, clock=clock)
    gpus.open()
    return gpus, clock


def condition(gpus: SimulatedGpus, index: int = 0) -> Condition:
    """Return the condition of a GPU now."""
    found = gpus.sample(index).condition
    assert found is not None
    return found


def test_condition_is_the_same_object_until_something_moves() -> None:
    """A steady GPU has one condition for five minutes; a test job that comes and goes makes two more."""
    gpus, clock = node("8xH100")
    site = gpus.scenario.crash_site

    steady, moving = [], []
    for second in range(int(PERIOD)):
        clock.now = 1_000.0 + second
        steady.append(condition(gpus, 1))
        moving.append(condition(gpus, site))

    assert len({id(each) for each in steady}) == 1
    assert len({id(each) for each in moving}) == 3
    changes = [n for n in range(1, len(moving)) if moving[n] is not moving[n - 1]]
    assert changes == [20, 50]


def test_condition_does_not_depend_on_who_asked_before() -> None:
    """A node that was asked all along and one that is asked once agree."""
    (asked, clock), (fresh, other) = node("8xH100", seed=3), node("8xH100", seed=3)
    for _ in range(50):
        clock.now += 7.3
        for index in range(8):
            if not asked.scenario.lost(index, asked.elapsed()):
                asked.sample(index)
    clock.now = other.now = 1_000.0 + 411.0

    assert [condition(asked, n) for n in (0, 1, 2)] == [condition(fresh, n) for n in (0, 1, 2)]


@pytest.mark.parametrize("model", MODELS)
def test_condition_says_what_the_model_has(model: str) -> None:
    """Links, fabric, spare rows, MIG and fans are told by the models that have them and by no other."""
    gpus, _ = node(f"1x{model}")

    told = condition(gpus)

    linked = model in SWITCHED | {"V100"}
    assert (told.nvlinks is not None) == (told.nvlink_errors is not None) == linked
    assert (gpus.sample(0).nvlink_bytes is not None) == linked
    assert (told.fabric_state is not None) == (model in SWITCHED)
    assert (told.fabric_health is not None) == (model in {"H100", "H200", "B200"})
    assert (told.retired_pages is not None) == (model in OLD)
    assert (told.remapped_rows is not None) == (model not in OLD)
    assert (told.mig_enabled is not None) == (model in SWITCHED | {"H100-PCIE"})
    assert (told.fan_speeds is not None) == (model == "RTX-6000-ADA")
    assert told.bar1_total is not None
    assert told.bar1_used is not None
    assert 0 < told.bar1_used < told.bar1_total


@pytest.mark.parametrize("model", [*MODELS, "Unheard-of"])
def test_words_are_those_of_the_catalogue(model: str) -> None:
    """Every state and every entry of a mapping is a word of its attribute."""
    gpus, _ = node(f"1x{model}")

    told = condition(gpus)

    assert told.compute_mode in COMPUTE_MODE.values
    assert told.ecc_errors is not None
    assert {kind for kind, _ in told.ecc_errors} == {"corrected", "uncorrected"}
    assert {location for _, location in told.ecc_errors} <= set(MEMORY_LOCATION.values)
    for entries, attribute in (
        (told.nvlinks, NVLINK_STATE),
        (told.row_remap_banks, REMAP_AVAILABILITY),
        (told.retired_pages, RETIREMENT_CAUSE),
        (told.fabric_faults, FABRIC_FAULT),
    ):
        assert entries is None or set(entries) == set(attribute.values)
    assert told.fabric_state in (None, *FABRIC_STATE.values)
    assert told.fabric_health in (None, *FABRIC_HEALTH.values)


def test_node_is_healthy_but_not_spotless() -> None:
    """Over a whole rack no memory error is uncorrected and no link is down, but some bits were put right."""
    gpus, clock = node("64xH100")
    clock.now += 100

    told = [condition(gpus, index) for index in range(64)]

    corrected = [(c.ecc_errors or {})["corrected", "dram"] for c in told]
    assert 0 < sum(count > 0 for count in corrected) < 64
    assert max(corrected) < 100
    for each in told:
        assert each.ecc_errors is not None
        assert each.ecc_lifetime_errors is not None
        assert all(n <= each.ecc_lifetime_errors[which] for which, n in each.ecc_errors.items())
        assert each.ecc_lifetime_errors["uncorrected", "dram"] == 0
        assert each.nvlinks == {"active": 18, "inactive": 0, "sleep": 0, "traffic_disabled": 0}
        assert sum((each.row_remap_banks or {}).values()) == 2_560
        assert (each.row_remap_failure, each.fabric_failed) == (False, False)


def test_corrected_errors_come_over_the_days() -> None:
    """In a month of running, some GPU has more corrected errors than at first."""
    gpus, clock = node("8xH100")
    before = [(condition(gpus, n).ecc_errors or {})["corrected", "dram"] for n in range(8)]
    clock.now += 30 * 86_400

    after = [(condition(gpus, n).ecc_errors or {})["corrected", "dram"] for n in range(8)]

    assert all(late >= early for early, late in zip(before, after, strict=True))
    assert sum(after) > sum(before)


def test_fans_answer_to_heat() -> None:
    """Of a model with fans, they turn faster on the hotter GPU."""
    gpus, clock = node("8xRTX-6000-ADA")
    clock.now += 80

    speeds = [(condition(gpus, n).fan_speeds or {})["0"] for n in range(8)]

    hottest = max(range(8), key=lambda n: gpus.sample(n).temperature or 0.0)
    assert speeds[hottest] == max(speeds)
    assert 0.3 <= min(speeds) < max(speeds) <= 1.0
