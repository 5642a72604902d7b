"""Series that Prometheus computes of drift's counters: pooled over the fleet, and its worst replica.

They begin with ``drift:`` and end in the window; the reference and the model's version are among the labels
of each, because scores against two references cannot be compared.
"""

from typing import Final

from agent.catalogue.attributes import (
    BIN,
    CLUSTER,
    DRIFT_MODEL,
    DRIFT_MODEL_VERSION,
    FEATURE,
    NODE,
    REFERENCE,
)
from agent.catalogue.metric import Attribute
from agent.catalogue.recorded import Recorded

INSTANCE: Final = Attribute("instance", "The scrape target, as Prometheus names it.")
PER_FEATURE: Final = (DRIFT_MODEL, DRIFT_MODEL_VERSION, REFERENCE, FEATURE)
"""A feature of a version of a model against one reference, over the whole fleet."""
PER_BIN: Final = (*PER_FEATURE, BIN)
PER_REPLICA: Final = (*PER_FEATURE, NODE, CLUSTER, INSTANCE)
"""What one drift process saw: a node, or whatever else runs one."""

WINDOWS: Final = ("1h", "1d")
"""One that is quick and one in which the day's cycle cancels out."""


def _recorded(what: str, description: str, attributes: tuple[Attribute, ...]) -> Recorded:
    return Recorded(name=f"drift:{what}", description=description, attributes=attributes)


REF_PROPORTION = _recorded(
    "reference_proportion:max", "The reference's share of each bin, once.", PER_BIN
)
REF_MIDRANK = _recorded(
    "reference_midrank:max", "The mean rank of each ordered bin, once.", PER_BIN
)
REF_SAMPLES = _recorded(
    "reference_samples:max", "Values that the reference is made of, once.", PER_FEATURE
)
REF_BINS = _recorded(
    "reference_bins:count", "Bins that the reference sorts values into.", PER_FEATURE
)
REF_ENTROPY = _recorded(
    "reference_entropy:sum", "Entropy of the reference's shares, in bits.", PER_FEATURE
)


def _windowed(
    what: str,
    description: str,
    attributes: tuple[Attribute, ...] = PER_FEATURE,
    windows: tuple[str, ...] = WINDOWS,
) -> dict[str, Recorded]:
    return {
        window: _recorded(f"{what}:{window}", description.format(window=window), attributes)
        for window in windows
    }


REPLICA_COUNT = _windowed(
    "replica_bin_count",
    "Values per bin of {window}, of one replica that does not tell its own scores.",
    (*PER_BIN, NODE, CLUSTER, INSTANCE),
)
REPLICA_SAMPLES = _windowed(
    "replica_samples",
    "Values of {window}, of one replica that does not tell its own scores.",
    PER_REPLICA,
)
REPLICA_PSI = _windowed(
    "replica_psi",
    "PSI of {window} of one replica against the reference; absent below 500 values.",
    PER_REPLICA,
)
BIN_COUNT = _windowed("bin_count", "Values per bin in {window}, all replicas together.", PER_BIN)
HOURLY_COUNT = _recorded(
    "hourly_bin_count:1h",
    "Values per bin in 1h as of each half an hour: read over a day, fewer samples than those of bin_count.",
    PER_BIN,
)
SAMPLES = _windowed("samples", "Values in {window}, all replicas together.")
PROPORTION = _windowed(
    "proportion", "Share of each bin in {window}, smoothed by half a value a bin.", PER_BIN
)
PSI = _windowed("psi", "Population stability index of {window} against the reference.")
TVD = _windowed("tvd", "Total variation distance of {window} against the reference, 0 to 1.")
JS = _windowed("js_distance", "Jensen-Shannon distance, base 2, 0 to 1.")
CHI2 = _windowed("chi2", "Chi-square statistic of the counts of {window} against the reference.")
NOISE = _windowed(
    "psi_noise_p999",
    "PSI that samples as small as these have in one of a thousand cases though nothing changed.",
)
RANK_SHIFT = _windowed(
    "rank_shift",
    "Probability that a value of {window} is above one of the reference, less 0.5; ordered bins alone.",
)
MISSING_SHARE = _windowed("missing_ratio", "Share of the values of {window} that were not there.")
REPLICA_PSI_MAX = _windowed(
    "replica_psi_max", "PSI of the replica that differs most, of those with at least 500 values."
)
PSI_GUARDED = _windowed(
    "psi_guarded", "PSI where there are samples enough to tell; absent where there are not."
)
RANK_SHIFT_GUARDED = _windowed(
    "rank_shift_guarded", "Rank shift where there are samples enough; absent where there are not."
)
PSI_ROLLING = _windowed(
    "psi_rolling", "PSI of {window} against the {window} before it.", windows=("1d",)
)
PSI_SEASONAL = _windowed("psi_seasonal", "PSI of {window} against the same time a week ago.")
THRESHOLD_RANK = _windowed(
    "rank_shift_threshold",
    "Rank shift above which a feature has drifted: learned, else a cautious default.",
)
THRESHOLD_PSI = _windowed(
    "psi_threshold", "PSI above which a feature has drifted: learned, else a cautious default."
)

REFERENCE_RECORDED: Final = (REF_PROPORTION, REF_MIDRANK, REF_SAMPLES, REF_BINS, REF_ENTROPY)
WINDOWED: Final = (
    REPLICA_COUNT,
    REPLICA_SAMPLES,
    REPLICA_PSI,
    BIN_COUNT,
    SAMPLES,
    PROPORTION,
    PSI,
    TVD,
    JS,
    CHI2,
    NOISE,
    RANK_SHIFT,
    MISSING_SHARE,
    REPLICA_PSI_MAX,
    PSI_GUARDED,
    RANK_SHIFT_GUARDED,
    PSI_ROLLING,
    PSI_SEASONAL,
    THRESHOLD_RANK,
    THRESHOLD_PSI,
)
RECORDED_DRIFT: Final = (
    *REFERENCE_RECORDED,
    HOURLY_COUNT,
    *(windowed[window] for window in WINDOWS for windowed in WINDOWED if window in windowed),
)
