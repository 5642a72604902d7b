import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.simulation.spec import MAX_GPUS, MODELS, GpuModel, parse_spec


@pytest.mark.parametrize(
    ("text", "count", "model"),
    [
        ("8xH100", 8, "NVIDIA H100 80GB HBM3"),
        ("4xA100", 4, "NVIDIA A100-SXM4-80GB"),
        ("2xL40S", 2, "NVIDIA L40S"),
        ("H100", 1, "NVIDIA H100 80GB HBM3"),
        (" 64 X h200 ", 64, "NVIDIA H200"),
        ("1xA100-80gb", 1, "NVIDIA A100-SXM4-80GB"),
        ("2xNVIDIA L4", 2, "NVIDIA L4"),
        ("xavier", 1, "xavier"),
    ],
)
def test_spec_names_count_and_model(text: str, count: int, model: str) -> None:
    """A spec is a count and a model, in any case, or a model alone."""
    spec = parse_spec(text)

    assert (spec.count, spec.model.name) == (count, model)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8",
        "8x",
        "0xH100",
        "65xH100",
        "-1xH100",
        "8*H100",
        "8xH100,2xA100",
        "1.5xH100",
        "٣xH100",
    ],
)
def test_bad_spec_names_the_fix(text: str) -> None:
    """What cannot be simulated is refused with the form to write."""
    with pytest.raises(ValueError, match="write COUNTxMODEL, such as 8xH100"):
        parse_spec(text)


@given(st.text(max_size=30))
def test_any_text_is_a_node_or_a_value_error(text: str) -> None:
    """No text crashes the parser, and a node that it returns has GPUs."""
    try:
        spec = parse_spec(text)
    except ValueError:
        return

    assert 1 <= spec.count <= MAX_GPUS
    assert spec.model.name


def test_unknown_model_keeps_its_name() -> None:
    """A model that is not in the table is simulated under its own name."""
    spec = parse_spec("2xZ9000")

    assert spec.model.name == "Z9000"
    assert spec.model.memory > 0


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_figures_of_every_model_fit_together(model: GpuModel) -> None:
    """Each model's limits are in the order in which a board meets them."""
    assert 0 < model.reserved < model.memory // 20
    assert 0 < model.idle_power < model.power_limit
    assert 0 < model.idle_clock < model.graphics_clock
    temperatures = (
        model.operating_temperature,
        model.slowdown_temperature,
        model.shutdown_temperature,
    )
    assert list(temperatures) == sorted(set(temperatures))


@pytest.mark.parametrize(
    ("name", "memory", "reserved", "power_limit", "graphics_clock", "memory_clock"),
    [
        ("H100", 85_520_809_984, 502_267_904, 700, 1_980, 2_619),
        ("H200", 150_754_820_096, 643_825_664, 700, 1_980, 3_201),
        ("L40S", 48_305_799_168, 638_582_784, 350, 2_520, 9_001),
    ],
)
def test_figures_are_those_of_real_boards(
    name: str,
    memory: int,
    reserved: int,
    power_limit: int,
    graphics_clock: int,
    memory_clock: int,
) -> None:
    """The figures equal what nvidia-smi reported on real boards of the model."""
    model = MODELS[name]

    assert (model.memory, model.reserved) == (memory, reserved)
    assert (model.power_limit, model.graphics_clock) == (power_limit, graphics_clock)
    assert model.memory_clock == memory_clock


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_features_of_every_model_fit_together(model: GpuModel) -> None:
    """Limits are in order, links have a speed, switches have links, and a large BAR1 holds the memory."""
    assert model.idle_power < model.power_minimum < model.power_limit
    assert (model.nvlinks > 0) == (model.nvlink_bandwidth > 0)
    assert not model.nvswitch or model.nvlinks
    assert model.bar1.bit_count() == 1
    assert (model.bar1 >= model.memory) == model.large_bar
    assert model.pcie_speed > 15_000_000_000


@pytest.mark.parametrize(
    ("name", "power_minimum", "remap_banks"),
    [("H100", 200, 2_560), ("H200", 200, 3_072), ("L40S", 100, 192)],
)
def test_features_are_those_of_real_boards(name: str, power_minimum: int, remap_banks: int) -> None:
    """Lowest power limit and banks with spare rows equal what nvidia-smi reported on real boards."""
    model = MODELS[name]

    assert (model.power_minimum, model.remap_banks) == (power_minimum, remap_banks)
