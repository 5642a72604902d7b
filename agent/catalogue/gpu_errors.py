"""Metrics of the errors that the driver reports: by urgency, by switch, and grouped into bursts.

The count by XID code is `agent.catalogue.gpu.XID_EVENTS`; what the codes mean is in `agent.xid`.
"""

from typing import Final

from agent.catalogue.attributes import DRIVER_EVENT, HW_ID, SWITCH_PCI, SXID, URGENCY
from agent.catalogue.metric import Kind, Metric

XID_FAULTS = Metric(
    name="hw.gpu.xid.faults",
    kind=Kind.COUNTER,
    unit="{event}",
    description="XID errors since the agent started, by the urgency that the policy in force gives "
    "them; each exists at 0. A verdict (XID 154) on a fault that pages already counts as info.",
    attributes=(HW_ID, URGENCY),
    group="gpu",
)
XID_BURSTS = Metric(
    name="hw.gpu.xid.bursts",
    kind=Kind.COUNTER,
    unit="{burst}",
    description="Bursts of XID and SXID errors on the node since the agent started, by the worst "
    "urgency; each exists at 0. Three minutes of silence end a burst: one fault is one burst. It "
    "counts when it begins, and once more when it gets worse.",
    attributes=(URGENCY,),
    group="gpu",
)
SXID_EVENTS = Metric(
    name="hw.nvswitch.sxid.events",
    kind=Kind.COUNTER,
    unit="{event}",
    description="SXID errors of an NVSwitch since the agent started, by code.",
    attributes=(SWITCH_PCI, SXID),
    group="gpu",
)
DRIVER_EVENTS = Metric(
    name="hw.gpu.driver.events",
    kind=Kind.COUNTER,
    unit="{event}",
    description="What the driver announced of the GPU since the agent started, beside XIDs; what the "
    "GPU can announce exists at 0.",
    attributes=(HW_ID, DRIVER_EVENT),
    group="gpu",
)

METRICS: Final = (XID_FAULTS, XID_BURSTS, SXID_EVENTS, DRIVER_EVENTS)
