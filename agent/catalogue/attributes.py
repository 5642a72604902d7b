"""Every attribute that a metric or an event may carry.

Names are OpenTelemetry's where its semantic conventions have one (``hw.*``, ``k8s.*``, ``gen_ai.*``,
``error.type``); the rest is ours. A process id is never an attribute of a metric: it would make a series
per process.
"""

from agent.catalogue.metric import Attribute

NODE = Attribute(
    "k8s.node.name", "The node: config `node`, else `NODE_NAME`, else the host's name."
)
CLUSTER = Attribute(
    "k8s.cluster.name", "The cluster: config `cluster`; absent where not configured."
)
COMMON = (NODE, CLUSTER)
"""On every series in both paths, put there by the exporters."""

HW_ID = Attribute(
    "hw.id",
    "The GPU's UUID, as NVML gives it; `index:N` for a GPU that was lost before it could be asked.",
)
HW_TYPE = Attribute("hw.type", "The kind of hardware.", ("gpu",))
HW_MODEL = Attribute("hw.model", "The GPU's product name.")
HW_VENDOR = Attribute("hw.vendor", "The GPU's vendor.", ("NVIDIA",))
HW_SERIAL = Attribute("hw.serial_number", "The board's serial number.")
HW_DRIVER = Attribute("hw.driver_version", "Version of the kernel driver.")
HW_FIRMWARE = Attribute("hw.firmware_version", "Version of the VBIOS.")
GPU_INDEX = Attribute("hw.gpu.index", "NVML's index on this boot; it can change with the next.")
GPU_PCI = Attribute("hw.gpu.pci.bus_id", "PCI address as domain:bus:device.function.")
GPU_CUDA = Attribute("hw.gpu.cuda.version", "Newest CUDA version that the driver supports.")
GPU_TASK = Attribute("hw.gpu.task", "Which engine of the GPU.", ("general", "encoder", "decoder"))
SENSOR = Attribute("hw.sensor_location", "Where the sensor sits.", ("gpu", "memory"))
LIMIT_TYPE = Attribute(
    "hw.limit_type",
    "Which limit: the driver slows the clocks at `throttled`, the board switches off at "
    "`high.critical`; `high.degraded` is the highest temperature of normal operation.",
    ("throttled", "high.degraded", "high.critical"),
)
CLOCK = Attribute("hw.gpu.clock.domain", "Which clock.", ("graphics", "sm", "memory", "video"))
THROTTLE_REASON = Attribute(
    "hw.gpu.throttle.reason",
    "Why the driver holds the clocks down. `sw_power_cap` is normal under full load; "
    "the other reasons cost performance that was paid for.",
    (
        "sw_power_cap",
        "sw_thermal",
        "hw_slowdown",
        "hw_thermal",
        "hw_power_brake",
        "sync_boost",
    ),
)
PROCESS_TYPE = Attribute(
    "hw.gpu.process.type", "What the process uses the GPU for.", ("compute", "graphics")
)
XID = Attribute("hw.gpu.xid.code", "NVIDIA's number of the error, decimal.")
CONFIDENCE = Attribute(
    "warpwatch.confidence",
    "How sure an inferred event is.",
    ("high", "medium", "low"),
)

MODEL = Attribute("gen_ai.request.model", "The model's name as the server gives it.")
PROVIDER = Attribute("gen_ai.provider.name", "The kind of model server: vllm, triton.")
SERVER = Attribute(
    "inference.server.name", "The server's name in the configuration, else host:port."
)
ENGINE = Attribute("inference.engine.id", "Data-parallel engine or replica within the server.")
MODEL_VERSION = Attribute(
    "inference.model.version", "The model's version, where the server has one."
)
FINISH_REASON = Attribute("reason", "Why a request ended, in the server's own words.")
ERROR_TYPE = Attribute("error.type", "What went wrong, in the source's own words.")

COLLECTOR = Attribute("warpwatch.collector", "The collector: nvml, dcgm, serving/<server>, self.")
COLLECTOR_STATUS = Attribute(
    "warpwatch.collector.status",
    "ok: it answered. unavailable: its source is not on this machine. failed: the source is "
    "there and did not answer. stalled: a call has not come back within its deadline.",
    ("ok", "unavailable", "failed", "stalled"),
)
PROBLEM = Attribute("warpwatch.problem", "What could not be read or believed.")
EXPORTER = Attribute("warpwatch.exporter", "The exporter: otlp/<endpoint's host:port>.")
SIGNAL = Attribute("warpwatch.signal", "Which OTLP signal.", ("metrics", "logs"))
EVENT_NAME = Attribute("event.name", "The kind of event; see the list of events.")
VERSION = Attribute("service.version", "The agent's version.")
PYTHON = Attribute("process.runtime.version", "The version of Python that runs the agent.")

# Attributes of events only: an event is one record, so a value per process or per moment is fine there.
PROCESS_ID = Attribute("process.pid", "The process, where one is known.")
PROCESS_NAME = Attribute("process.executable.name", "Its executable's name, never its arguments.")
MEMORY_USED = Attribute("hw.gpu.memory.usage", "Device memory in use then, bytes.")
MEMORY_LIMIT = Attribute("hw.gpu.memory.limit", "Device memory there is, bytes.")
DETAIL = Attribute("error.message", "What the source said.")
