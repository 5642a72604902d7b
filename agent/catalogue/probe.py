"""Metrics of the black-box probe: what a request of our own to a model server came to.

A server's own metrics say how its requests fared; a server that hangs says nothing new and looks idle. The
probe is the other witness. Its histograms have the bounds that OpenTelemetry advises for
``gen_ai.server.request.duration`` and ``gen_ai.server.time_to_first_token``.
"""

from typing import Final

from agent.catalogue.attributes import MODEL, PROBE_FAILURE, PROBE_KIND, PROBE_SKIPPED, SERVER
from agent.catalogue.metric import Attribute, Kind, Metric

DURATION_BOUNDS: Final = (
    *(0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64),
    *(1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
)
"""Seconds; OpenTelemetry's advice for gen_ai.server.request.duration."""
FIRST_TOKEN_BOUNDS: Final = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1),
    *(0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
"""Seconds; OpenTelemetry's advice for gen_ai.server.time_to_first_token."""


def _probe(name: str, kind: Kind, unit: str, description: str, *more: Attribute) -> Metric:
    return Metric(
        name=f"inference.probe.{name}",
        kind=kind,
        unit=unit,
        description=description,
        attributes=(SERVER, PROBE_KIND, *more),
        group="serving",
    )


SUCCESS: Final = _probe(
    "success",
    Kind.UP_DOWN_COUNTER,
    "1",
    "1 where the last probe was answered as it should be, else 0; absent where none was sent within twice "
    "its interval.",
)
DURATION: Final = _probe(
    "duration",
    Kind.HISTOGRAM,
    "s",
    "From sending the request to the end of its answer, with the time to connect; answered probes.",
    MODEL,
)
TIME_TO_FIRST_TOKEN: Final = _probe(
    "time_to_first_token",
    Kind.HISTOGRAM,
    "s",
    "From sending the request to the first piece of the stream that holds text; answered probes.",
    MODEL,
)
FAILURES: Final = _probe(
    "failures",
    Kind.COUNTER,
    "{probe}",
    "Probes that were not answered as they should be, by what was wrong.",
    PROBE_FAILURE,
)
TOKENS: Final = _probe(
    "tokens",
    Kind.COUNTER,
    "{token}",
    "Tokens that probes cost, prompt and answer: as the server counts them, else as were asked for.",
)
SKIPPED: Final = _probe(
    "skipped",
    Kind.COUNTER,
    "{probe}",
    "Probes that were due and not sent, because a budget was used up.",
    PROBE_SKIPPED,
)

METRICS: Final = (SUCCESS, DURATION, TIME_TO_FIRST_TOKEN, FAILURES, TOKENS, SKIPPED)
