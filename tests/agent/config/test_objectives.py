"""How objectives, prices and a server's GPUs are configured, and what is refused."""

import re
from pathlib import Path

import pytest
import yaml

from agent.config import Config, ConfigError, load
from agent.config.objectives import SIGNALS, gpus, prices, share, window
from agent.slo.objective import AVAILABILITY, LATENCIES


def loaded(folder: Path, **keys: object) -> Config:
    """Load a file with these keys."""
    path = folder / "warpwatch.yaml"
    path.write_text(yaml.safe_dump(keys), encoding="utf-8")
    return load(path, {}, {})


def objective(**keys: object) -> dict[str, object]:
    """Return an objective with some keys changed."""
    return {
        "name": "fast",
        "model": "llama*",
        "signal": "time_to_first_token",
        "threshold": "500ms",
        "objective": "99%",
        **keys,
    }


def test_an_objective_is_read(tmp_path: Path) -> None:
    """Durations become seconds, percent a share, and what is left out is any server and 30 days."""
    (slo,) = loaded(tmp_path, slos=[objective()]).slos

    assert (slo.threshold, slo.objective, slo.window, slo.server) == (0.5, 0.99, 2_592_000.0, None)


@pytest.mark.parametrize(
    ("text", "number"), [("99.9%", 0.999), (0.999, 0.999), ("0.95", 0.95), ("50 %", 0.5)]
)
def test_a_share_may_be_written_both_ways(text: object, number: float) -> None:
    """99.9% and 0.999 are the same number to the last digit."""
    assert share(text) == number


@pytest.mark.parametrize("text", [1, 0, "100%", "0%", 99, "99", "-1%", True, None, "a", [0.9]])
def test_a_share_leaves_room_and_is_no_plain_number_of_percent(text: object) -> None:
    """100% cannot be missed by any amount, and 99 is forgotten to be a percentage."""
    with pytest.raises(ValueError, match="must "):
        share(text)


@pytest.mark.parametrize("text", ["30", "1d", 30, "28 days", None])
def test_a_window_is_one_of_three(text: object) -> None:
    """Alerts scale with it, and people know these."""
    assert (window("28d"), window("30d")) == (2_419_200.0, 2_592_000.0)
    with pytest.raises(ValueError, match="must be one of 7d, 28d, 30d"):
        window(text)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (objective(threshold=None), r"slos\[0\]\.threshold: is required for time_to_first_token"),
        (objective(signal="availability"), r"slos\[0\]\.threshold: means nothing for availability"),
        (objective(signal="ttft"), r"slos\[0\]\.signal: must be one of"),
        (objective(objective=99), r"slos\[0\]\.objective: must lie between 0 and 1"),
        (objective(treshold="1s"), r"slos\[0\]\.treshold: .*threshold"),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, keys: dict[str, object], message: str
) -> None:
    """The message names the key and says what would be right."""
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, slos=[keys])

    assert re.search(message, str(refused.value))


def test_two_objectives_have_two_names(tmp_path: Path) -> None:
    """Two of one name would write the same series."""
    with pytest.raises(ConfigError, match=r"slos\[1\]\.name: is that of slos\[0\] as well"):
        loaded(tmp_path, slos=[objective(), objective()])


def test_signals_are_those_that_can_be_counted() -> None:
    """What the configuration takes is what the ledger knows how to count."""
    assert set(SIGNALS) == {*LATENCIES, AVAILABILITY}


def test_prices_are_by_model(tmp_path: Path) -> None:
    """A price stands beside the model, or a pattern of models, that it is of."""
    config = loaded(tmp_path, gpu_hour_price={"NVIDIA H100*": 2.49, "NVIDIA L40S": 1})

    assert config.gpu_hour_price == {"NVIDIA H100*": 2.49, "NVIDIA L40S": 1.0}


@pytest.mark.parametrize("value", [2.5, {"H100": 0}, {"H100": True}, {"H100": "2"}, {3: 1.0}])
def test_a_price_that_is_none_is_refused(value: object) -> None:
    """Free GPUs have no price; text is no number."""
    with pytest.raises(ValueError, match="must "):
        prices(value)


def test_gpus_of_a_server_are_indices_or_uuids(tmp_path: Path) -> None:
    """An explicit answer to which GPUs a server runs on."""
    server = {"url": "http://127.0.0.1:8000", "gpus": [0, "GPU-5f3c", "MIG-1/2/0"]}

    assert loaded(tmp_path, servers=[server]).servers[0].gpus == ("0", "GPU-5f3c", "MIG-1/2/0")


@pytest.mark.parametrize("value", [0, [], [True], [-1], ["first"], "0", [None]])
def test_gpus_that_name_nothing_are_refused(value: object) -> None:
    """A mistake is found at the start, not as a missing series."""
    with pytest.raises(ValueError, match="must be a list of GPUs by UUID or index"):
        gpus(value)
