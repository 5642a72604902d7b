"""Snapshots by hand: a node with everything on it, an empty node, and the parts they are made of."""

from collections.abc import Iterable

from agent.catalogue import events, gpu, itself, serving
from agent.introspection import collector_readings, event_readings, exporter_readings
from agent.snapshot import (
    Batch,
    CollectorState,
    Distribution,
    Event,
    ExporterState,
    Holder,
    Problem,
    Reading,
    Snapshot,
    Status,
)

NOON = 1_796_040_000.0
GIB = 1 << 30
BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def uuid(index: int) -> str:
    """Return the UUID of a made-up GPU."""
    return f"GPU-{index:08x}-5c1d-4e2f-9a3b-7d6e5f4a3b2c"


def gpu_readings(index: int, **changes: float) -> list[Reading]:
    """Return what a busy H100 gives; ``changes``: used, busy, watts, celsius, margin, sw, thermal."""
    key = uuid(index)
    used = changes.get("used", 71.5) * GIB
    celsius = changes.get("celsius", 58 + index)
    total = 80 * GIB
    reasons = {"sw_power_cap": changes.get("sw", 0), "hw_thermal": changes.get("thermal", 0)}
    info = (
        *(key, str(index), "NVIDIA H100 80GB HBM3", "NVIDIA", f"16520{index}"),
        *(f"0000:{index + 1:02X}:00.0", "580.95.05", "13.0", "96.00.B9.00.01", ""),
    )
    return [
        Reading(gpu.INFO, info, 1),
        Reading(gpu.LOST, (key,), 0),
        Reading(gpu.MEMORY_LIMIT, (key,), total),
        Reading(gpu.MEMORY_USAGE, (key,), int(used)),
        Reading(gpu.MEMORY_FREE, (key,), int(total - used - GIB // 2)),
        Reading(gpu.MEMORY_RESERVED, (key,), GIB // 2),
        Reading(gpu.MEMORY_UTILIZATION, (key,), used / total),
        Reading(gpu.UTILIZATION, (key, "general"), changes.get("busy", 0.97)),
        Reading(gpu.MEMORY_CONTROLLER, (key,), 0.41),
        Reading(gpu.TEMPERATURE, (key, "gpu"), celsius),
        Reading(gpu.TEMPERATURE, (key, "memory"), celsius + 9),
        Reading(gpu.TEMPERATURE_LIMIT, (key, "gpu", "throttled"), 87),
        Reading(gpu.TEMPERATURE_MARGIN, (key,), changes.get("margin", 87 - celsius)),
        Reading(gpu.POWER, (key, "gpu"), changes.get("watts", 642.318)),
        Reading(gpu.POWER_LIMIT, (key,), 700),
        Reading(gpu.ENERGY, (key, "gpu"), 1_234_567.891 + index),
        Reading(gpu.CLOCK_FREQUENCY, (key, "sm"), 1_980_000_000),
        Reading(gpu.CLOCK_LIMIT, (key, "sm"), 1_980_000_000),
        Reading(gpu.PERFORMANCE_STATE, (key,), 0),
        Reading(gpu.PCIE_GENERATION, (key,), 5),
        Reading(gpu.PCIE_GENERATION_LIMIT, (key,), 5),
        Reading(gpu.PCIE_WIDTH, (key,), changes.get("lanes", 16)),
        Reading(gpu.PCIE_WIDTH_LIMIT, (key,), 16),
        *(Reading(gpu.THROTTLE, (key, why), on) for why, on in reasons.items()),
        Reading(gpu.PROCESSES, (key, "compute"), 1),
        *(Reading(gpu.XID_EVENTS, (key, str(xid)), 0) for xid in gpu.FATAL_XIDS[:3]),
        Reading(gpu.OOM_EVENTS, (key, "high"), 0),
    ]


def node_readings(elapsed: float = 0.0) -> list[Reading]:
    """Return eight GPUs: one idle but allocated, one hot, one on half its lanes, one lost."""
    readings = [Reading(gpu.DEVICES, (), 8)]
    for index in range(7):
        changes = {
            2: {"busy": 0.0, "watts": 118.0, "used": 64.0, "celsius": 41.0},
            4: {"celsius": 86.0, "margin": 1.0, "thermal": 1, "watts": 511.0},
            5: {"lanes": 8, "sw": 1, "watts": 699.2},
            6: {"used": 0.4, "busy": 0.0, "watts": 71.0, "celsius": 33.0},
        }.get(index, {"watts": 640 + (elapsed * 7 + index * 11) % 50})
        readings += gpu_readings(index, **changes)
    lost = uuid(7)
    readings += [
        Reading(gpu.INFO, (lost, "7", "NVIDIA H100 80GB HBM3", *[""] * 7), 1),
        Reading(gpu.LOST, (lost,), 1),
    ]
    return readings


def spread(total: int, *, bounds: tuple[float, ...] = BOUNDS) -> Distribution:
    """Return a histogram of ``total`` observations, most of them in the middle."""
    shares = (1, 8, 30, 40, 15, 4, 2, 0)[: len(bounds)]
    counts = [total * share // 100 for share in shares]
    counts += [0] * (len(bounds) + 1 - len(counts))
    counts[len(bounds) // 2] += total - sum(counts)
    return Distribution(bounds, tuple(counts), total * 0.75)


VLLM = ("llama", "vllm", "meta-llama/Llama-3.1-70B-Instruct", "", "0")
TRITON = ("ranker", "triton", "cross-encoder", "3", "")


def server_readings(elapsed: float = 0.0) -> list[Reading]:
    """Return vLLM with histograms that grew for ``elapsed`` seconds, and Triton with sums only."""
    seen = 10_000 + int(elapsed * 12)
    mean_only = Distribution((), (seen,), seen * 0.0123)
    return [
        Reading(serving.SERVER_UP, VLLM[:2], 1),
        Reading(serving.SCRAPE_DURATION, VLLM[:2], 0.0083),
        Reading(serving.REQUEST_DURATION, VLLM, spread(seen)),
        Reading(serving.TIME_TO_FIRST_TOKEN, VLLM, spread(seen)),
        Reading(serving.TIME_PER_OUTPUT_TOKEN, VLLM, spread(seen, bounds=(0.01, 0.025, 0.05))),
        Reading(serving.QUEUE_DURATION, VLLM, spread(seen)),
        Reading(serving.REQUESTS_RUNNING, VLLM, 17),
        Reading(serving.REQUESTS_WAITING, VLLM, 3),
        Reading(serving.REQUESTS_FINISHED, (*VLLM, "stop"), seen - 40),
        Reading(serving.REQUESTS_FINISHED, (*VLLM, "abort"), 40),
        Reading(serving.TOKENS_PROMPT, VLLM, seen * 900),
        Reading(serving.TOKENS_GENERATED, VLLM, seen * 210),
        Reading(serving.KV_CACHE_UTILIZATION, VLLM, 0.734),
        Reading(serving.SERVER_UP, TRITON[:2], 1),
        Reading(serving.REQUEST_DURATION, TRITON, mean_only),
        Reading(serving.REQUESTS_WAITING, TRITON, 0),
        Reading(serving.REQUESTS_ERRORS, (*TRITON, ""), 12),
    ]


HOLDERS = tuple(
    Holder(uuid(index), 41_000 + index, name, memory)
    for index, name, memory in (
        (0, "python3", 70 * GIB),
        (1, "python3", 70 * GIB),
        (2, "jupyter-lab", 63 * GIB),
        (3, "VLLM::EngineCore", 71 * GIB),
        (4, "torchrun", None),
        (5, "torchrun", 66 * GIB),
    )
)


def happened(now: float) -> tuple[Event, ...]:
    """Return some events, oldest first."""
    oom = (("hw.id", uuid(3)), ("warpwatch.confidence", "high"), ("process.pid", 40_999))
    return (
        Event(events.SERVER_UP, now - 4000, "Model server llama gives metrics"),
        Event(events.GPU_XID, now - 900, "XID 31 on GPU 1", (("hw.id", uuid(1)),)),
        Event(events.GPU_OOM, now - 200, "GPU 3 most likely ran out of memory", oom),
        Event(
            events.GPU_XID_FATAL,
            now - 60,
            "XID 79 on GPU 7: GPU has fallen off the bus",
            (("hw.id", uuid(7)), ("hw.gpu.xid.code", "79")),
        ),
        Event(events.GPU_LOST, now - 59, "GPU 7 cannot be reached", (("hw.id", uuid(7)),)),
        Event(events.COLLECTOR_FAILED, now - 30, "Collector dcgm stalled: no answer for 5 s"),
    )


def collectors(now: float) -> tuple[CollectorState, ...]:
    """Return one collector that is well, one with problems, one stalled and one unavailable."""
    lost = Problem("gpu_is_lost", uuid(7), "nvmlDeviceGetHandleByIndex_v2: GPU is lost")
    return (
        CollectorState("nvml", Status.OK, now - 7200, "", 0.0042, now - 0.4, (lost,)),
        CollectorState("dcgm", Status.STALLED, now - 30, "no answer for 5 s", 0.02, now - 35),
        CollectorState("serving/llama", Status.OK, now - 4000, "", 0.0083, now - 1.2),
        CollectorState("serving/ranker", Status.OK, now - 4000, "", 0.0031, now - 1.3),
        CollectorState("kernel", Status.UNAVAILABLE, now - 7200, "/dev/kmsg is not readable"),
    )


EXPORTERS = (
    ExporterState("otlp/collector:4318", "metrics", 182_000, 0, 0, 0, NOON - 6),
    ExporterState("otlp/collector:4318", "logs", 6, 3, 2, 4, NOON - 190, "connection refused"),
)


def assemble(
    sequence: int,
    now: float,
    batches: dict[str, Iterable[Reading]],
    *,
    states: tuple[CollectorState, ...] = (),
    exporters: tuple[ExporterState, ...] = (),
    news: tuple[Event, ...] = (),
    holders: tuple[Holder, ...] = (),
) -> Snapshot:
    """Return a snapshot of these batches and of what the agent says of itself."""
    own = [
        Reading(itself.INFO, ("0.1.0", "3.11.7"), 1),
        Reading(itself.SNAPSHOT_TIMESTAMP, (), now),
        Reading(itself.PROCESS_CPU, (), 31.25),
        Reading(itself.PROCESS_MEMORY, (), 47_185_920),
        Reading(itself.PROCESS_UPTIME, (), 7203.5),
        *collector_readings(states, {("nvml", "gpu_is_lost"): 58}),
        *exporter_readings(exporters),
        *event_readings({event.kind.name: 1 for event in news}),
    ]
    made = {
        name: Batch(now - 0.4, tuple(readings), holders=holders if name == "nvml" else ())
        for name, readings in batches.items()
    }
    made["self"] = Batch(now, tuple(own))
    starts = {
        (r.metric, r.attributes): now - 7200 for batch in made.values() for r in batch.readings
    }
    return Snapshot(sequence, now, made, states, exporters, news, len(news), starts)


def full(sequence: int = 1, elapsed: float = 0.0) -> Snapshot:
    """Return the node with everything on it, ``elapsed`` seconds after noon."""
    now = NOON + elapsed
    return assemble(
        sequence,
        now,
        {"nvml": node_readings(elapsed), "serving/llama": server_readings(elapsed)},
        states=collectors(now),
        exporters=EXPORTERS,
        news=happened(NOON),
        holders=HOLDERS,
    )


def empty(sequence: int = 1) -> Snapshot:
    """Return a node without a GPU and without a model server."""
    why = "No NVIDIA driver: libnvidia-ml.so.1 was not found. Install it if this node has GPUs."
    state = CollectorState("nvml", Status.UNAVAILABLE, NOON - 100, why, 0.001)
    return assemble(sequence, NOON, {}, states=(state,))
