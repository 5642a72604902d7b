"""Every kind of event that the agent reports: what happened at a moment, as opposed to what is."""

from typing import Final

from agent.catalogue.attributes import (
    BURST_CODES,
    BURST_ERRORS,
    BURST_SECONDS,
    COLLECTOR,
    CONFIDENCE,
    CONTAINER_ID,
    DETAIL,
    DRIFT_MODEL,
    DRIFT_MODEL_VERSION,
    DRIVER_EVENT,
    GPU_INSTANCE,
    GPU_PCI,
    HW_DRIVER,
    HW_ID,
    K8S_NAMESPACE,
    K8S_POD,
    MEMORY_LIMIT,
    MEMORY_USED,
    MIG_PROFILE,
    OOM_LIMIT,
    PEER_SIGNAL,
    PROBE_FAILURE,
    PROBE_KIND,
    PROCESS_ID,
    PROCESS_NAME,
    PROVIDER,
    REFERENCE,
    SERVER,
    SWITCH_PCI,
    SXID,
    URGENCY,
    XID,
    XID_ACTION,
    XID_FOLLOWS,
    XID_NAME,
    XID_NOTE,
    XID_SIMULATED,
    XID_SOURCE,
)
from agent.catalogue.metric import EventKind, Severity

_OF_XID: Final = (
    HW_ID,
    XID,
    XID_NAME,
    URGENCY,
    XID_ACTION,
    XID_NOTE,
    XID_FOLLOWS,
    XID_SIMULATED,
    XID_SOURCE,
    GPU_PCI,
    HW_DRIVER,
    PROCESS_ID,
    PROCESS_NAME,
    DETAIL,
)
_OF_SXID: Final = (SWITCH_PCI, SXID, URGENCY, XID_ACTION, XID_SIMULATED, DETAIL)

GPU_XID_FATAL = EventKind(
    name="gpu.xid.fatal",
    severity=Severity.PAGE,
    description="The driver reported an XID that needs a reset, a reboot or a decision at once.",
    attributes=_OF_XID,
)
GPU_XID_TICKET = EventKind(
    name="gpu.xid.ticket",
    severity=Severity.TICKET,
    description="The driver reported an XID that somebody should look into, at working hours.",
    attributes=_OF_XID,
)
GPU_XID = EventKind(
    name="gpu.xid",
    severity=Severity.INFO,
    description="The driver reported an XID that is the application's or needs no action of its own.",
    attributes=_OF_XID,
)
GPU_XID_BURST = EventKind(
    name="gpu.xid.burst",
    severity=Severity.INFO,
    description="A burst of XID and SXID errors on this node is over; its errors were told as they came.",
    attributes=(URGENCY, BURST_ERRORS, BURST_SECONDS, BURST_CODES),
)
GPU_DRIVER_EVENT = EventKind(
    name="gpu.driver.event",
    severity=Severity.TICKET,
    description="The driver's library announced something of a GPU; the XID that comes with it may page.",
    attributes=(HW_ID, DRIVER_EVENT, DETAIL),
)
NVSWITCH_SXID_FATAL = EventKind(
    name="nvswitch.sxid.fatal",
    severity=Severity.PAGE,
    description="An NVSwitch reported an error that it calls fatal: the GPUs of its fabric need a reset.",
    attributes=_OF_SXID,
)
NVSWITCH_SXID = EventKind(
    name="nvswitch.sxid",
    severity=Severity.INFO,
    description="An NVSwitch reported an error that it does not call fatal.",
    attributes=_OF_SXID,
)
GPU_OOM = EventKind(
    name="gpu.oom",
    severity=Severity.TICKET,
    description="A process that held the device nearly full vanished: most likely out of GPU memory.",
    attributes=(
        HW_ID,
        CONFIDENCE,
        PROCESS_ID,
        PROCESS_NAME,
        MEMORY_USED,
        MEMORY_LIMIT,
        GPU_INSTANCE,
        MIG_PROFILE,
    ),
)
OOM_KILL = EventKind(
    name="system.oom_kill",
    severity=Severity.TICKET,
    description="The kernel killed a process for want of memory of the node or of its control group.",
    attributes=(OOM_LIMIT, PROCESS_ID, PROCESS_NAME, CONTAINER_ID),
)
GPU_LOST = EventKind(
    name="gpu.lost",
    severity=Severity.PAGE,
    description="A GPU that was there cannot be reached any more.",
    attributes=(HW_ID, DETAIL),
)
GPU_FOUND = EventKind(
    name="gpu.found",
    severity=Severity.INFO,
    description="A GPU that was lost answers again, or a GPU was added while the agent ran.",
    attributes=(HW_ID,),
)
GPU_REPLACED = EventKind(
    name="gpu.replaced",
    severity=Severity.INFO,
    description="Another GPU answers at the PCI address of one: it was replaced, or has a new UUID; the "
    "series of the old UUID end.",
    attributes=(HW_ID, DETAIL),
)
GPU_OUTLIER = EventKind(
    name="gpu.outlier",
    severity=Severity.TICKET,
    description="A GPU has been slower, hotter, more throttled or more erring than its siblings of the "
    "same model under the same load for a minute.",
    attributes=(HW_ID, PEER_SIGNAL, DETAIL),
)
GPU_OUTLIER_OVER = EventKind(
    name="gpu.outlier.over",
    severity=Severity.INFO,
    description="A GPU that stood out from its siblings is like them again.",
    attributes=(HW_ID, PEER_SIGNAL),
)
SERVER_DOWN = EventKind(
    name="inference.server.down",
    severity=Severity.TICKET,
    description="A model server that gave metrics does not give them any more, or never did.",
    attributes=(SERVER, PROVIDER, DETAIL),
)
SERVER_UP = EventKind(
    name="inference.server.up",
    severity=Severity.INFO,
    description="A model server gives metrics, for the first time or again.",
    attributes=(SERVER, PROVIDER),
)
PROBE_FAILED = EventKind(
    name="inference.probe.failed",
    severity=Severity.TICKET,
    description="A model server does not answer a probe as it should, for the first time or after it did.",
    attributes=(SERVER, PROBE_KIND, PROBE_FAILURE, DETAIL),
)
PROBE_ANSWERED = EventKind(
    name="inference.probe.answered",
    severity=Severity.INFO,
    description="A model server answers the probe, for the first time or again.",
    attributes=(SERVER, PROBE_KIND),
)
SERVER_FOUND = EventKind(
    name="inference.server.found",
    severity=Severity.INFO,
    description="Discovery found a model server; it is collected from.",
    attributes=(SERVER, PROVIDER, K8S_NAMESPACE, K8S_POD, DETAIL),
)
SERVER_LOST = EventKind(
    name="inference.server.lost",
    severity=Severity.INFO,
    description="A model server that discovery had found is gone with its pod or process; it is forgotten.",
    attributes=(SERVER, PROVIDER, K8S_NAMESPACE, K8S_POD, DETAIL),
)
COLLECTOR_FAILED = EventKind(
    name="warpwatch.collector.failed",
    severity=Severity.TICKET,
    description="A collector stopped giving data: its source failed or a call hangs.",
    attributes=(COLLECTOR, DETAIL),
)
COLLECTOR_RECOVERED = EventKind(
    name="warpwatch.collector.recovered",
    severity=Severity.INFO,
    description="A collector that had failed gives data again.",
    attributes=(COLLECTOR,),
)
REFERENCE_IN_USE = EventKind(
    name="model.drift.reference.in_use",
    severity=Severity.INFO,
    description="A model is compared with another reference than before, or with its first.",
    attributes=(DRIFT_MODEL, DRIFT_MODEL_VERSION, REFERENCE),
)

EVENT_KINDS: Final = (
    GPU_XID_FATAL,
    GPU_XID_TICKET,
    GPU_XID,
    GPU_XID_BURST,
    GPU_DRIVER_EVENT,
    NVSWITCH_SXID_FATAL,
    NVSWITCH_SXID,
    GPU_OOM,
    OOM_KILL,
    GPU_LOST,
    GPU_FOUND,
    GPU_REPLACED,
    GPU_OUTLIER,
    GPU_OUTLIER_OVER,
    SERVER_DOWN,
    SERVER_UP,
    SERVER_FOUND,
    SERVER_LOST,
    PROBE_FAILED,
    PROBE_ANSWERED,
    COLLECTOR_FAILED,
    COLLECTOR_RECOVERED,
    REFERENCE_IN_USE,
)
