"""Series that Prometheus computes of the servers' own histograms: drift without a payload.

A model is compared with itself, at the same time of the day before and of the week before. What cannot be
compared (too few requests, servers with other bounds, nothing so long ago) is absent.
"""

from typing import Final

from agent.catalogue.attributes import CLUSTER, DRIFT_MODEL, FINISH_REASON, PROVIDER
from agent.catalogue.metric import Attribute
from agent.catalogue.recorded import Recorded

SIGNAL: Final = Attribute(
    "signal",
    "What the server tells of each request.",
    ("prompt_length", "generation_length", "request_duration", "time_to_first_token"),
)
AGAINST: Final = Attribute("against", "How long ago it is compared with.", ("day", "week"))
BOUND: Final = Attribute("le", "A histogram bucket's upper bound, in Prometheus.")
PER_MODEL: Final = (DRIFT_MODEL, PROVIDER, CLUSTER)
"""A model on all servers of one kind in a cluster."""
PER_SIGNAL: Final = (*PER_MODEL, SIGNAL)


def _recorded(what: str, description: str, attributes: tuple[Attribute, ...]) -> Recorded:
    return Recorded(name=f"drift:serving_{what}:1h", description=description, attributes=attributes)


BUCKET = _recorded(
    "bucket",
    "Requests of 1h up to each bound; absent where servers of a model differ in their bounds.",
    (*PER_SIGNAL, BOUND),
)
SAMPLES = _recorded("samples", "Requests of 1h that the server tells of.", PER_SIGNAL)
CDF = _recorded("cdf", "Share of the requests of 1h up to each bound.", (*PER_SIGNAL, BOUND))
KS = _recorded(
    "ks",
    "Kolmogorov-Smirnov distance to the hour that it is compared with, 0 to 1.",
    (*PER_SIGNAL, AGAINST),
)
KS_NOISE = _recorded(
    "ks_noise",
    "Distance that samples as small as these have in one of ten thousand cases though nothing changed.",
    (*PER_SIGNAL, AGAINST),
)
MEAN = _recorded("mean", "Mean of 1h, in the signal's own unit.", PER_SIGNAL)
MEAN_CHANGE = _recorded(
    "mean_change",
    "By which share the mean is above (or, negative, below) the one that it is compared with.",
    (*PER_SIGNAL, AGAINST),
)
FINISHED = _recorded("finished", "Requests of 1h that ended.", PER_MODEL)
FINISH_SHARE = _recorded(
    "finish_share",
    "Share of each reason for which requests of 1h ended.",
    (*PER_MODEL, FINISH_REASON),
)
FINISH_TVD = _recorded(
    "finish_tvd",
    "Total variation distance of the finish reasons, 0 to 1: the share that ended otherwise.",
    (*PER_MODEL, AGAINST),
)
CACHE_HITS = _recorded(
    "cache_hits", "Share of the prompt tokens of 1h that were found in the prefix cache.", PER_MODEL
)
CACHE_HITS_CHANGE = _recorded(
    "cache_hits_change",
    "By how much of 1 the share of hits is above (or, negative, below) what it is compared with.",
    (*PER_MODEL, AGAINST),
)

RECORDED_DRIFT_SERVING: Final = (
    BUCKET,
    SAMPLES,
    CDF,
    KS,
    KS_NOISE,
    MEAN,
    MEAN_CHANGE,
    FINISHED,
    FINISH_SHARE,
    FINISH_TVD,
    CACHE_HITS,
    CACHE_HITS_CHANGE,
)
