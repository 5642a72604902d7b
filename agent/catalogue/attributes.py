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
GPU_INFOROM = Attribute("hw.gpu.inforom.version", "Version of the board's InfoROM image.")
GPU_CUDA = Attribute("hw.gpu.cuda.version", "Newest CUDA version that the driver supports.")
GPU_TASK = Attribute(
    "hw.gpu.task",
    "Which engine of the GPU; `ofa` is the optical flow accelerator.",
    ("general", "encoder", "decoder", "jpeg", "ofa"),
)
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
    "Why the driver holds the clocks down. `sw_power_cap` is normal under full load, "
    "`low_utilization` while idle; the other reasons cost performance that was paid for. "
    "`board_limit`, `low_utilization` and `reliability` are known as time only.",
    (
        "sw_power_cap",
        "sw_thermal",
        "hw_slowdown",
        "hw_thermal",
        "hw_power_brake",
        "sync_boost",
        "board_limit",
        "low_utilization",
        "reliability",
    ),
)
FAN = Attribute("hw.gpu.fan.index", "Which fan of the board, from 0.")
DIRECTION = Attribute(
    "network.io.direction",
    "`transmit` leaves the GPU, `receive` reaches it.",
    ("transmit", "receive"),
)
MEMORY_LOCATION = Attribute(
    "hw.gpu.memory.location",
    "Which memory the errors were in; `sram` may include the caches and registers.",
    (
        "dram",
        "sram",
        "l1_cache",
        "l2_cache",
        "register_file",
        "texture_memory",
        "shared_memory",
        "cbu",
    ),
)
RETIREMENT_CAUSE = Attribute(
    "hw.gpu.memory.retirement.cause",
    "Why pages were retired: several correctable errors, or one that was not.",
    ("single_bit_ecc", "double_bit_ecc"),
)
REMAP_AVAILABILITY = Attribute(
    "hw.gpu.memory.row_remap.availability",
    "How many spare rows a bank has left: `max` is all of them.",
    ("max", "high", "partial", "low", "none"),
)
NVLINK = Attribute("hw.gpu.nvlink.index", "Which NVLink of the GPU, from 0.")
NVLINK_STATE = Attribute(
    "hw.gpu.nvlink.state",
    "The state of an NVLink.",
    ("active", "inactive", "sleep", "traffic_disabled"),
)
FABRIC_STATE = Attribute(
    "hw.gpu.fabric.state",
    "How far the GPU's registration with the NVLink fabric is.",
    ("not_started", "in_progress", "completed"),
)
FABRIC_HEALTH = Attribute(
    "hw.gpu.fabric.health",
    "The driver's summary of the fabric's health.",
    ("healthy", "unhealthy", "limited_capacity"),
)
FABRIC_FAULT = Attribute(
    "hw.gpu.fabric.fault",
    "What is wrong with the GPU's place in the fabric.",
    (
        "degraded_bandwidth",
        "route_recovery",
        "route_unhealthy",
        "access_timeout_recovery",
        "incorrect_configuration",
    ),
)
COMPUTE_MODE = Attribute(
    "hw.gpu.compute.mode",
    "Who may open a context on the GPU.",
    ("default", "exclusive_thread", "prohibited", "exclusive_process"),
)
RECOVERY_ACTION = Attribute(
    "hw.gpu.recovery.action",
    "What NVIDIA's driver says must be done before the GPU can be relied on again.",
    (
        "none",
        "gpu_reset",
        "node_reboot",
        "drain_p2p",
        "drain_and_reset",
        "recover_imex_domain",
        "bus_reset",
        "system_reboot",
    ),
)
PIPE = Attribute(
    "hw.gpu.pipe",
    "Which arithmetic units; `tensor` is all tensor operations, the others are without them.",
    ("tensor", "fp64", "fp32", "fp16", "integer"),
)
PROCESS_TYPE = Attribute(
    "hw.gpu.process.type", "What the process uses the GPU for.", ("compute", "graphics")
)
OWNER_KIND = Attribute(
    "hw.gpu.owner.kind",
    "To whom processes are summed up: `container` by its id, `command` by the executable's name where "
    "there is no container, `unknown` where there is neither, `other` for all beyond the largest 16 "
    "owners of a GPU.",
    ("container", "command", "unknown", "other"),
)
OWNER_NAME = Attribute(
    "hw.gpu.owner.name",
    "Of a `command`: the name of the executable that its processes run, never an argument.",
)
CONTAINER_ID = Attribute("container.id", "The container's id, as its runtime gives it.")
OOM_LIMIT = Attribute(
    "system.memory.oom_kill.limit",
    "Whose memory was out: the host's, or what a control group (a container) may use. Absent where the "
    "kernel log does not say it.",
    ("host", "cgroup"),
)
HW_PARENT = Attribute("hw.parent", "The UUID of the GPU that a part belongs to.")
MIG_PROFILE = Attribute(
    "hw.gpu.mig.profile", "NVIDIA's name of the instance's size, such as 1g.10gb or 1c.2g.20gb."
)
GPU_INSTANCE = Attribute("hw.gpu.mig.gpu_instance.id", "NVML's number of the GPU instance.")
COMPUTE_INSTANCE = Attribute(
    "hw.gpu.mig.compute_instance.id",
    "NVML's number of the compute instance within its GPU instance.",
)
PEER_SIGNAL = Attribute(
    "hw.gpu.peer.signal",
    "In what the GPU is compared with its siblings: `temperature` (hotter), `clock` (SM clock lower), "
    "`power` (less power for the same utilization), `throttle` (held down by more than its power limit "
    "for a greater share of time), `errors` (more of them).",
    ("temperature", "clock", "power", "throttle", "errors"),
)
XID = Attribute("hw.gpu.xid.code", "NVIDIA's number of the error, decimal.")
URGENCY = Attribute(
    "hw.gpu.xid.class",
    "Who should care about the error, and when, by the policy in force.",
    ("info", "ticket", "page"),
)
SWITCH_PCI = Attribute(
    "hw.nvswitch.pci.bus_id", "PCI address of the NVSwitch as domain:bus:device.function."
)
SXID = Attribute("hw.nvswitch.sxid.code", "NVIDIA's number of the switch's error, decimal.")
DRIVER_EVENT = Attribute(
    "hw.gpu.driver.event",
    "What the driver announced: a storm of corrected memory errors, DRAM retired or not to be "
    "retired, poisoned data that harms one application or the GPU, a GPU that cannot be used, "
    "a new recovery action.",
    (
        "ecc_storm",
        "dram_retired",
        "dram_retirement_failed",
        "poison",
        "poison_fatal",
        "unavailable",
        "recovery_action",
    ),
)
CONFIDENCE = Attribute(
    "warpwatch.confidence",
    "How sure an inferred event is.",
    ("high", "medium", "low"),
)

MODEL = Attribute("gen_ai.request.model", "The model's name as the server gives it.")
PROVIDER = Attribute("gen_ai.provider.name", "The kind of model server: vllm, triton, sglang.")
SERVER = Attribute(
    "inference.server.name", "The server's name in the configuration, else host:port."
)
ENGINE = Attribute(
    "inference.engine.id",
    "Data-parallel engine or replica within the server; replica/engine where it has both.",
)
MODEL_VERSION = Attribute(
    "inference.model.version", "The model's version, where the server has one."
)
SERVER_VERSION = Attribute(
    "inference.server.version", "The server's release, where its metrics tell it."
)
MODEL_MAX_LENGTH = Attribute(
    "inference.model.max_length", "Tokens that prompt and answer may have together, decimal."
)
KV_CACHE_DTYPE = Attribute("inference.kv_cache.dtype", "The data type of the KV cache.")
FINISH_REASON = Attribute(
    "reason",
    "Why a request ended: stop, length, abort, error, repetition, timeout; success where the server says "
    "no more than that; else the server's own word.",
)
ERROR_TYPE = Attribute("error.type", "What went wrong, in the source's own words.")

SLO = Attribute("inference.slo.name", "The objective's name in the configuration.")
SLO_SIGNAL = Attribute(
    "inference.slo.signal",
    "What the objective is about.",
    (
        "time_to_first_token",
        "request_duration",
        "inter_token_latency",
        "time_per_output_token",
        "queue",
        "availability",
    ),
)
ATTRIBUTION = Attribute(
    "warpwatch.attribution",
    "How it was found whose a GPU is: `exclusive` nobody else holds memory of it; `measured` the driver "
    "tells each one's part; `apportioned` the part is computed from memory held; `none` it is shared, "
    "and the parts are not known.",
    ("exclusive", "measured", "apportioned", "none"),
)
K8S_NAMESPACE = Attribute("k8s.namespace.name", "The pod's namespace.")
K8S_POD = Attribute("k8s.pod.name", "The pod's name.")
K8S_CONTAINER = Attribute("k8s.container.name", "The container's name within the pod.")

PROBE_KIND = Attribute(
    "inference.probe.kind",
    "The protocol of the probe: `openai` asks for a streamed completion, `kserve_v2` and `triton` for an "
    "inference by the open inference protocol.",
    ("openai", "kserve_v2", "triton"),
)
PROBE_FAILURE = Attribute(
    "inference.probe.failure",
    "What was wrong with the answer: `unreachable` (no connection), `timeout` (none, or no end of it, in "
    "time), `unauthorized` (401, 403, or a secret that cannot be read), `refused` (another error of HTTP, "
    "or one within the stream), `redirect` (never followed), `not_ready` (it says that it is not ready, or "
    "has no such model), `no_input` (no request can be made of the model's metadata), `malformed` (not the "
    "protocol), `truncated` (it ended early), `too_large`, `empty` (no token, no output).",
    (
        "unreachable",
        "timeout",
        "unauthorized",
        "refused",
        "redirect",
        "not_ready",
        "no_input",
        "malformed",
        "truncated",
        "too_large",
        "empty",
    ),
)
PROBE_SKIPPED = Attribute(
    "inference.probe.budget",
    "Which budget was used up: requests of the last minute, tokens of the last 24 hours.",
    ("requests", "tokens"),
)

COLLECTOR = Attribute("warpwatch.collector", "The collector: nvml, dcgm, serving/<server>, self.")
COLLECTOR_STATUS = Attribute(
    "warpwatch.collector.status",
    "ok: it answered. unavailable: its source is not on this machine. failed: the source is "
    "there and did not answer. stalled: a call has not come back within its deadline.",
    ("ok", "unavailable", "failed", "stalled"),
)
DISCOVERY_SOURCE = Attribute(
    "warpwatch.discovery.source",
    "What told of a place: the Kubernetes API, or the sockets of processes that hold a GPU.",
    ("kubernetes", "sockets"),
)
DISCOVERY_STATE = Attribute(
    "warpwatch.discovery.state",
    "`server`: it gave a model server's metrics and is collected from. `candidate`: it might be one.",
    ("server", "candidate"),
)
PROBLEM = Attribute("warpwatch.problem", "What could not be read or believed.")
EXPORTER = Attribute("warpwatch.exporter", "The exporter: otlp/<endpoint's host:port>.")
SIGNAL = Attribute("warpwatch.signal", "Which OTLP signal.", ("metrics", "logs"))
NOT_LET_IN = Attribute(
    "warpwatch.refusal",
    "Why somebody was not let in.",
    (
        "credentials_missing",
        "credentials_wrong",
        "certificate_missing",
        "too_many_attempts",
        "handshake_failed",
    ),
)
EVENT_NAME = Attribute("event.name", "The kind of event; see the list of events.")
VERSION = Attribute("service.version", "The agent's version.")
PYTHON = Attribute("process.runtime.version", "The version of Python that runs the agent.")

# Of drift. Short, because people write rules on them by hand, for models of any kind.
DRIFT_MODEL = Attribute("model", "The model, as the payloads or the configuration name it.")
DRIFT_MODEL_VERSION = Attribute("model_version", "The model's version, as they name it.")
REFERENCE = Attribute(
    "reference", "Hash of the content of the reference: other edges or counts, another reference."
)
FEATURE = Attribute("feature", "The feature; a part of an embedding or a text has a dotted name.")
BIN = Attribute(
    "bin",
    "The bin: number and ends, or the category; `__missing__` where there was no value, `__other__` "
    "for what fits no other bin.",
)
SCORED_BY = Attribute(
    "scored_by",
    "Who scores what a single process counted: `process` where it does so itself, as "
    "`model.drift.replica.psi`; rules do it for counters without this label.",
    ("process",),
)
DRIFT_WINDOW = Attribute("window", "Over how long the score is made.", ("1h", "1d"))
STATISTIC = Attribute("statistic", "Which score the threshold is for.", ("rank_shift", "psi"))
QUALITY_ISSUE = Attribute(
    "issue",
    "What is wrong with a value; one that is missing is in the bin `__missing__`.",
    ("out_of_range", "new_category", "type_error"),
)

OUTCOME = Attribute(
    "outcome",
    "How a prediction and its label agree; `right` and `wrong` where no class is the positive one.",
    ("true_positive", "false_positive", "true_negative", "false_negative", "right", "wrong"),
)
ROAD = Attribute(
    "road",
    "The road by which payloads come in.",
    ("kserve", "rows", "otlp", "bentoml", "triton", "labels"),
)
REFUSAL = Attribute(
    "refusal",
    "Why something that came in was refused; with `clock_skew` only the duration of an answer was.",
    (
        "malformed",
        "no_model",
        "too_large",
        "too_slow",
        "wrong_type",
        "duplicate",
        "clock_skew",
        "overload",
        "too_many_models",
    ),
)

# Attributes of events only: an event is one record, so a value per process or per moment is fine there.
PROCESS_ID = Attribute("process.pid", "The process, where one is known.")
PROCESS_NAME = Attribute("process.executable.name", "Its executable's name, never its arguments.")
MEMORY_USED = Attribute("hw.gpu.memory.usage", "Device memory in use then, bytes.")
MEMORY_LIMIT = Attribute("hw.gpu.memory.limit", "Device memory there is, bytes.")
DETAIL = Attribute("error.message", "What the source said.")
XID_NAME = Attribute("hw.gpu.xid.name", "What the XID is, in a few words.")
XID_ACTION = Attribute(
    "hw.gpu.xid.action", "NVIDIA's bucket for what to do at once, such as RESET_GPU."
)
XID_NOTE = Attribute("hw.gpu.xid.note", "What the line of the error says beyond its code, decoded.")
XID_FOLLOWS = Attribute(
    "hw.gpu.xid.follows", "The worst error of the same burst, which this one follows from."
)
XID_SIMULATED = Attribute(
    "hw.gpu.xid.simulated", "Whether somebody made the error to test something."
)
XID_SOURCE = Attribute("hw.gpu.xid.source", "Who reported the error: nvml or kernel.")
BURST_ERRORS = Attribute("hw.gpu.xid.burst.errors", "How many errors the burst had.")
BURST_SECONDS = Attribute(
    "hw.gpu.xid.burst.duration", "Seconds from the first error of the burst to the last."
)
BURST_CODES = Attribute(
    "hw.gpu.xid.burst.codes", "The codes of the burst, each once, the most frequent first."
)
