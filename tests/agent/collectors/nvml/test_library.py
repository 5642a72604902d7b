"""The real binding on the simulated library: what is read, and how."""

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.catalogue import Metric, gpu, gpu_errors
from agent.collectors.nvml.driver import DriverInfo, GpuProcess, Identity, Sample
from tests.agent.collectors.nvml.node import Node, info, problems, uuid, value

GIB = 1024**3
Start = Callable[..., Node]


def test_identity(node: Node) -> None:
    """A GPU says once who it is and what it can do, in the catalogue's units."""
    node.ask("ask", "open")

    identity = node.ask("ask", "identity", 3)

    assert identity == Identity(
        uuid=uuid(3),
        model="NVIDIA H100 80GB HBM3",
        serial="1650023000003",
        pci_bus_id="00000000:1E:00.0",
        vbios="96.00.89.00.01",
        inforom="G520.0200.00.05",
        graphics_clock_limit=1_980e6,
        sm_clock_limit=1_980e6,
        memory_clock_limit=2_619e6,
        video_clock_limit=1_545e6,
        pcie_generation_limit=5,
        pcie_width_limit=16,
        slowdown_temperature=89,
        shutdown_temperature=92,
        maximum_temperature=87,
        maximum_memory_temperature=95,
        power_default_limit=700.0,
        power_minimum_limit=200.0,
        power_maximum_limit=700.0,
        throttle_reasons=frozenset(
            {
                "sw_power_cap",
                "sw_thermal",
                "hw_slowdown",
                "hw_thermal",
                "hw_power_brake",
                "sync_boost",
            }
        ),
        reports_xids=True,
    )


def test_sample(node: Node) -> None:
    """All that moves is read, in the catalogue's units."""
    node.tell("rule nvmlDeviceGetCurrentClocksEventReasons 3 value 105")
    node.ask("ask", "open")

    sample = node.ask("ask", "sample", 3)

    assert sample._replace(condition=None) == Sample(
        memory_total=80 * GIB,
        memory_used=GIB,
        memory_free=80 * GIB - GIB - GIB // 2,
        memory_reserved=GIB // 2,
        utilization=0.97,
        memory_controller_utilization=0.41,
        encoder_utilization=0.12,
        decoder_utilization=0.34,
        temperature=53,
        memory_temperature=63,
        temperature_margin=34,
        power=303.0,
        power_limit=700.0,
        energy=2_003_000.0,
        graphics_clock=1_755e6,
        sm_clock=1_755e6,
        memory_clock=2_619e6,
        video_clock=1_545e6,
        performance_state=0,
        pcie_generation=5,
        pcie_width=16,
        throttle_reasons=frozenset({"hw_slowdown", "sw_thermal", "hw_thermal"}),
        jpeg_utilization=0.21,
        ofa_utilization=0.22,
        power_instant=305.0,
        power_average=304.0,
        throttle_time={
            "sw_power_cap": 43.0,
            "sw_thermal": 3.0,
            "hw_thermal": 4.0,
            "hw_power_brake": 5.0,
            "sync_boost": 0.0,
            "board_limit": 1.0,
            "low_utilization": 7000.0,
            "reliability": 2.0,
        },
        recovery_action="none",
        pcie_bytes={"transmit": 5_003_000_000, "receive": 6_003_000_000},
        pcie_replays=3,
        nvlink_bytes={"transmit": 18 * 1030 * 1024, "receive": 18 * 2030 * 1024},
    )


def test_versions(node: Node) -> None:
    """The driver's and CUDA's versions are told as people write them."""
    node.tell("driver 570.172.08\ncuda 12080")

    assert node.ask("ask", "open") == DriverInfo("570.172.08", "12.8")


def test_processes(node: Node) -> None:
    """Each process is listed with its executable's name alone; unknown memory stays unknown."""
    node.tell(
        f"""
        process 1 compute 100 {7 * GIB} /opt/conda/bin/python3.11
        process 1 compute 101 -1 vllm::worker --api-key=hunter2 --model /srv/secret
        process 1 graphics 102 {GIB}
        process 2 compute 103 {GIB} /usr/bin/other
        """
    )
    node.ask("ask", "open")

    listed = node.ask("ask", "processes", 1)

    assert listed.compute == (
        GpuProcess(100, "python3.11", 7 * GIB),
        GpuProcess(101, "vllm::worker", None),
    )
    assert listed.graphics == (GpuProcess(102, "", GIB),)
    assert listed.problems == ()


def test_process_memory_beyond_the_device_is_refused(node: Node) -> None:
    """A process that holds more than there is keeps its place, without the memory."""
    node.tell(f"process 0 compute 7 {81 * GIB} /bin/x\nrule nvmlDeviceGetMemoryInfo_v2 0 value 1")

    batch = node.collect()

    assert problems(batch) == {("out_of_range", uuid(0), "compute")}
    assert value(batch, gpu.PROCESSES, uuid(0), "compute") == 1
    assert value(batch, gpu.PROCESS_MEMORY, uuid(0), "compute") is None


def test_many_processes(node: Node) -> None:
    """A long list comes whole."""
    node.tell("\n".join(f"process 0 compute {pid} 1 /bin/x" for pid in range(1, 301)))

    batch = node.collect()

    assert value(batch, gpu.PROCESSES, uuid(0), "compute") == 300


@pytest.mark.parametrize(
    ("missing", "field", "expected"),
    [
        ("nvmlDeviceGetTemperatureV", "temperature", 40),
        ("nvmlDeviceGetMemoryInfo_v2", "memory_used", GIB + GIB // 2),
        ("nvmlDeviceGetMemoryInfo_v2", "memory_reserved", None),
        ("nvmlDeviceGetCurrentClocksEventReasons", "throttle_reasons", {"hw_slowdown"}),
        ("nvmlDeviceGetFieldValues", "energy", 1_000.0),
        ("nvmlDeviceGetFieldValues", "memory_temperature", None),
        ("nvmlDeviceGetMarginTemperature", "temperature_margin", None),
    ],
)
def test_older_driver(start: Start, missing: str, field: str, expected: object) -> None:
    """A driver that lacks a function is asked in the older way, or the value is absent."""
    node = start([missing])
    node.ask("ask", "open")

    sample = node.ask("ask", "sample", 0)

    assert getattr(sample, field) == expected
    assert sample.problems == ()


def test_older_process_list(start: Start) -> None:
    """A driver without the newest process lists gives the older ones."""
    node = start([f"nvmlDeviceGet{kind}RunningProcesses_v3" for kind in ("Compute", "Graphics")])
    node.tell("process 0 compute 5 1024 /bin/x")
    node.ask("ask", "open")

    listed = node.ask("ask", "processes", 0)

    assert (listed.compute, listed.graphics) == ((GpuProcess(5, "x", 1024),), ())


def test_signed_field(node: Node) -> None:
    """A field's value is read from the member of the union that the library filled."""
    node.tell("rule field:82 0 value -8 5")
    node.ask("ask", "open")

    assert node.ask("ask", "sample", 0).memory_temperature == -8


def test_field_of_unknown_type(node: Node) -> None:
    """A field of a type that nobody knows is refused."""
    node.tell("rule field:82 0 value 50 12")

    batch = node.collect()

    assert problems(batch) == {("out_of_range", uuid(0), "memory_temperature")}
    assert value(batch, gpu.TEMPERATURE, uuid(0), "memory") is None


def test_nothing_optional_is_supported(node: Node) -> None:
    """What a device lacks is absent, and is no problem."""
    optional = """UtilizationRates EncoderUtilization DecoderUtilization TemperatureV Temperature
        MarginTemperature PowerUsage EnforcedPowerLimit ClockInfo MaxClockInfo PerformanceState
        CurrPcieLinkGeneration CurrPcieLinkWidth MaxPcieLinkGeneration MaxPcieLinkWidth
        CurrentClocksEventReasons CurrentClocksThrottleReasons SupportedClocksEventReasons
        SupportedClocksThrottleReasons TemperatureThreshold TotalEnergyConsumption FieldValues Serial
        VbiosVersion ComputeRunningProcesses GraphicsRunningProcesses InforomImageVersion
        PowerManagementDefaultLimit PowerManagementLimitConstraints JpgUtilization OfaUtilization
        BAR1MemoryInfo NumFans FanSpeed MemoryErrorCounter SramEccErrorStatus RowRemapperHistogram
        PersistenceMode ComputeMode MigMode GpuFabricInfoV GpuFabricInfo NvLinkState EccMode
        RemappedRows RetiredPages RetiredPagesPendingStatus PcieReplayCounter ViolationStatus
        PcieThroughput"""
    lines = [f"rule nvmlDeviceGet{name} 0 error 3" for name in optional.split()]
    others = ("nvmlDeviceRegisterEvents", "nvmlGpmQueryDeviceSupport")
    lines += [f"rule {name} 0 error 3" for name in others]
    node.tell("\n".join(["devices 1", *lines]))

    first, second = node.collect(), node.collect()

    families = {reading.metric.name for reading in second.readings}
    assert families == {
        metric.name
        for metric in (
            gpu.INFO,
            gpu.DEVICES,
            gpu.LOST,
            gpu.MEMORY_LIMIT,
            gpu.MEMORY_USAGE,
            gpu.MEMORY_FREE,
            gpu.MEMORY_RESERVED,
            gpu.MEMORY_UTILIZATION,
            gpu.OOM_EVENTS,
            gpu_errors.XID_BURSTS,
        )
    }
    assert first.problems == second.problems == ()


def test_not_supported_is_not_asked_again(node: Node) -> None:
    """What a device lacks stays absent while the driver is open, and comes back with the next one."""
    node.tell("rule nvmlDeviceGetPowerUsage 0 error 3")
    lacking = node.collect()

    node.tell("")
    later = node.collect()
    node.tell("generation 2")
    reopened = node.collect()

    assert value(lacking, gpu.POWER, uuid(0), "gpu") is None
    assert value(later, gpu.POWER, uuid(0), "gpu") is None
    assert value(reopened, gpu.POWER, uuid(0), "gpu") == 300


def test_margin_without_the_call(start: Start) -> None:
    """The margin is the slowdown limit less the temperature where NVML has none of its own."""
    node = start(["nvmlDeviceGetMarginTemperature"])

    batch = node.collect()

    assert value(batch, gpu.TEMPERATURE_MARGIN, uuid(1)) == 89 - 51


@pytest.mark.parametrize(
    ("rule", "field", "series"),
    [
        ("UtilizationRates 0 value 808334905", "utilization", (gpu.UTILIZATION, "general")),
        ("EncoderUtilization 0 value 101", "encoder_utilization", (gpu.UTILIZATION, "encoder")),
        ("TemperatureV 0 value 255", "temperature", (gpu.TEMPERATURE, "gpu")),
        ("PowerUsage 0 value -1", "power", (gpu.POWER, "gpu")),
        ("ClockInfo 0 value -1", "graphics_clock", (gpu.CLOCK_FREQUENCY, "graphics")),
        ("PerformanceState 0 value 32", "performance_state", (gpu.PERFORMANCE_STATE,)),
        ("CurrPcieLinkWidth 0 value -1", "pcie_width", (gpu.PCIE_WIDTH,)),
        (f"MemoryInfo_v2 0 value {90 * GIB}", "memory_used", (gpu.MEMORY_USAGE,)),
        (
            "CurrentClocksEventReasons 0 value 1e18",
            "throttle_reasons",
            (gpu.THROTTLE, "sw_thermal"),
        ),
    ],
)
def test_garbage(
    node: Node, rule: str, field: str, series: tuple[Metric, *tuple[str, ...]]
) -> None:
    """A value that cannot be true is refused and counted, and the rest of the GPU stays."""
    node.tell(f"rule nvmlDeviceGet{rule}")

    batch = node.collect()

    metric, *attributes = series
    assert ("out_of_range", uuid(0), field) in problems(batch)
    assert value(batch, metric, uuid(0), *attributes) is None
    assert value(batch, metric, uuid(1), *attributes) is not None
    assert value(batch, gpu.POWER_LIMIT, uuid(0)) == 700


def test_text_that_is_none(node: Node) -> None:
    """Bytes that are no text are a problem; a text that says "N/A" is an empty one."""
    node.tell(r"rule nvmlDeviceGetName 0 text \xff\xfe" + "\nrule nvmlDeviceGetSerial 0 text [N/A]")

    batch = node.collect()

    assert problems(batch) == {("not_text", uuid(0), "model")}
    assert info(batch, 0) == (
        *(uuid(0), "0", "", "NVIDIA", "", "00000000:1B:00.0"),
        *("550.54.15", "12.4", "96.00.89.00.01", "G520.0200.00.05"),
    )


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (2, "invalid_argument"),
        (10, "timeout"),
        (19, "in_use"),
        (21, "no_data"),
        (999, "unknown_error"),
        (1234, "unrecognized_error"),
    ],
)
def test_error_of_one_call(node: Node, code: int, reason: str) -> None:
    """One call that fails is one problem a run, by its field; it heals with the call."""
    node.tell(f"rule nvmlDeviceGetPowerUsage 2 error {code}")

    failing = node.collect(), node.collect()
    node.tell("")
    healed = node.collect()

    for batch in failing:
        assert problems(batch) == {(reason, uuid(2), "power")}
        assert value(batch, gpu.POWER, uuid(2), "gpu") is None
        assert value(batch, gpu.TEMPERATURE, uuid(2), "gpu") == 52
    assert healed.problems == ()
    assert value(healed, gpu.POWER, uuid(2), "gpu") == 302


def test_error_of_the_identity(node: Node) -> None:
    """A fact that cannot be read is asked again until it is there."""
    node.tell("rule nvmlDeviceGetVbiosVersion 0 error 999")
    failing = node.collect()

    node.tell("")
    healed = node.collect()

    assert (problems(failing), info(failing, 0)[-2]) == ({("unknown_error", uuid(0), "vbios")}, "")
    assert (problems(healed), info(healed, 0)[-2]) == (set(), "96.00.89.00.01")


def test_clock_that_the_driver_does_not_know(node: Node) -> None:
    """A choice among clocks or thresholds that is an invalid argument is one that the device lacks."""
    node.tell("rule nvmlDeviceGetTemperatureThreshold * error 2")

    batch = node.collect()

    assert batch.problems == ()
    assert not [one for one in batch.readings if one.metric == gpu.TEMPERATURE_LIMIT]


def test_no_library(start: Start) -> None:
    """A machine without the library is unavailable, in a sentence that says what to do."""
    node = start(library=False)

    how, message = node.try_("collect", 1.0)

    assert how == "Unavailable"
    assert "libnvidia-ml.so.1 is not on this machine" in message
    assert "install the driver" in message


def test_the_retired_binding(start: Start, tmp_path: Path) -> None:
    """A `pynvml` that is not nvidia-ml-py's is refused, by its path and with the cure."""
    (tmp_path / "pynvml").mkdir()
    (tmp_path / "pynvml" / "__init__.py").touch()
    node = start(modules=tmp_path)

    how, message = node.try_("collect", 1.0)

    assert how == "WrongBinding"
    assert f"{tmp_path}/pynvml/__init__.py" in message
    assert "pip uninstall pynvml" in message


@pytest.mark.parametrize(
    ("directive", "error", "advice"),
    [
        ("init 9", "Unavailable", "modprobe nvidia"),
        ("devices 0", "Unavailable", "finds no GPU"),
        ("init 18", "DriverGone", "restart the agent"),
        ("init 4", "DriverGone", "/dev/nvidiactl"),
        ("init 999", "DriverGone", "NVML 999"),
    ],
)
def test_driver_does_not_start(node: Node, directive: str, error: str, advice: str) -> None:
    """A driver that does not start is unavailable or failed, says why, and is met when it does."""
    node.tell(directive)

    how, message = node.try_("collect", 1.0)
    node.tell("")
    healed = node.collect()

    assert how == error
    assert advice in message
    assert value(healed, gpu.DEVICES) == 8


def test_processor_time(node: Node) -> None:
    """A run over 8 GPUs stays within reach of its budget (a bound far above it, to hold anywhere)."""
    assert node.ask("seconds", 50) < 0.02
