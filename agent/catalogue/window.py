"""What is exported of the time between two exports: extremes, busy seconds, distributions, peers.

Sampled each second or faster and exported each fifteen, a gauge hides what happened in between. Its mean
stands under its own name (`Metric.fold`); what a mean hides stands here, and `FOLDS` says what belongs to
what. Means are for what flows (work, power, clocks). Temperature and allocated memory are states: a mean
of them is a number that never was, so their newest value is exported, with the greatest one beside it.
"""

from dataclasses import dataclass
from typing import Final

from agent.catalogue import gpu
from agent.catalogue.attributes import GPU_TASK, HW_ID, PEER_SIGNAL
from agent.catalogue.metric import Attribute, Kind, Metric


def _extreme(of: Metric, word: str, description: str) -> Metric:
    return Metric(
        name=f"{of.name}.{word}",
        kind=Kind.GAUGE,
        unit=of.unit,
        description=description,
        attributes=of.attributes,
        group="gpu",
    )


def _distribution(of: Metric, description: str) -> Metric:
    return Metric(
        name=f"{of.name}.distribution",
        kind=Kind.HISTOGRAM,
        unit=of.unit,
        description=description,
        attributes=of.attributes,
        group="gpu",
    )


def _gpu(name: str, kind: Kind, unit: str, description: str, *attributes: Attribute) -> Metric:
    return Metric(
        name=name,
        kind=kind,
        unit=unit,
        description=description,
        attributes=(HW_ID, *attributes),
        group="gpu",
    )


UTILIZATION_MIN = _extreme(
    gpu.UTILIZATION,
    "min",
    "Least utilization in the export window: 0 under a mean near 1 is work that waits for its input.",
)
UTILIZATION_MAX = _extreme(
    gpu.UTILIZATION,
    "max",
    "Greatest utilization in the export window, of the driver's own samples.",
)
POWER_MIN = _extreme(gpu.POWER, "min", "Least power drawn by the board in the export window.")
POWER_MAX = _extreme(
    gpu.POWER,
    "max",
    "Greatest power drawn by the board in the export window: what breakers and power supplies feel.",
)
TEMPERATURE_MAX = _extreme(
    gpu.TEMPERATURE, "max", "Highest temperature of the sensor in the export window."
)
MEMORY_USAGE_MAX = _extreme(
    gpu.MEMORY_USAGE,
    "max",
    "Most device memory allocated in the export window: how near it came to running out.",
)
BUSY_TIME = _gpu(
    "hw.gpu.busy.time",
    Kind.COUNTER,
    "s",
    "Seconds in which the engine was busy since the agent first saw the GPU, by every sample; time "
    "that nobody saw does not count.",
    GPU_TASK,
)
UTILIZATION_DISTRIBUTION = _distribution(
    gpu.UTILIZATION, "Samples of the utilization; only with the option for histograms."
)
POWER_DISTRIBUTION = _distribution(
    gpu.POWER, "Samples of the power drawn; only with the option for histograms."
)
OUTLIER: Final = 6.0
"""Score from which on a GPU stands out: robust standard deviations, |x - median| / (1.4826 * MAD) after
Iglewicz and Hoaglin (1993). They advise 3.5; for normal noise 6 is one in 500 million values, and cohorts
as small as the GPUs of a node need the room. Agent, alert, dashboard and status page go by this one."""
PEER_OUTLIER = _gpu(
    "hw.gpu.peer.outlier.score",
    Kind.GAUGE,
    "{score}",
    "How far the GPU is on the bad side of its siblings of the same model under the same load, in "
    f"robust standard deviations; above {OUTLIER:g} it is an outlier. Absent with fewer than four such GPUs.",
    PEER_SIGNAL,
)

METRICS: Final = (
    UTILIZATION_MIN,
    UTILIZATION_MAX,
    POWER_MIN,
    POWER_MAX,
    TEMPERATURE_MAX,
    MEMORY_USAGE_MAX,
    BUSY_TIME,
    UTILIZATION_DISTRIBUTION,
    POWER_DISTRIBUTION,
    PEER_OUTLIER,
)


@dataclass(frozen=True, kw_only=True)
class Fold:
    """What else is exported of a gauge, each with the gauge's own attributes.

    ``integral`` is a counter of its value times seconds; ``bounds`` are those of ``distribution``. With
    ``only``, series whose last attribute is another have their mean alone: the little-used engines of a
    GPU would cost as much as the one that matters.
    """

    minimum: Metric | None = None
    maximum: Metric | None = None
    integral: Metric | None = None
    distribution: Metric | None = None
    bounds: tuple[float, ...] = ()
    only: str | None = None


SHARE_BOUNDS: Final = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Tenths, and finer at both ends, where idle and saturated are told apart."""
WATT_BOUNDS: Final = (
    25.0, 50.0, 75.0, 100.0, 150.0, 200.0, 250.0, 300.0, 350.0, 400.0, 500.0, 600.0, 700.0, 850.0,
    1000.0, 1200.0, 1500.0,
)  # fmt: skip
"""From an idle T4 to a board of 1.4 kW, with the usual power limits (75, 150, 300, 350, 400, 700, 1000
W) as bounds, so that "at its limit" is a bucket of its own."""

FOLDS: Final = {
    gpu.UTILIZATION: Fold(
        minimum=UTILIZATION_MIN,
        maximum=UTILIZATION_MAX,
        integral=BUSY_TIME,
        distribution=UTILIZATION_DISTRIBUTION,
        bounds=SHARE_BOUNDS,
        only="general",
    ),
    gpu.POWER: Fold(
        minimum=POWER_MIN,
        maximum=POWER_MAX,
        distribution=POWER_DISTRIBUTION,
        bounds=WATT_BOUNDS,
    ),
    gpu.TEMPERATURE: Fold(maximum=TEMPERATURE_MAX),
    gpu.MEMORY_USAGE: Fold(maximum=MEMORY_USAGE_MAX),
}
"""By the gauge. One with ``fold`` set that is not here has nothing but its mean."""
