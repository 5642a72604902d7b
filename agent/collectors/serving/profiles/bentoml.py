"""BentoML, measured against 1.4; the names of 1.1 from its own classes.

What is easily got wrong:

- ``service_name`` is that of the Bento as a whole, ``runner_name`` that of the service within it. Calls
  between services of one Bento are counted by the one that is called, so services are kept apart.
- Calls of the health endpoints are counted like any other: they are left out by ``endpoint``.
- Requests in progress wait in the adaptive batcher as well.
- A Bento that was not built has no version: ``not available``.
"""

from dataclasses import replace
from typing import Final

from agent.catalogue import serving
from agent.collectors.serving.profile import By, Native, Profile, Signal, Source, Where
from agent.collectors.serving.profiles.sources import info

_OWN: Final = frozenset(
    {"/healthz", "/livez", "/readyz", "/metrics", "/docs.json", "/schema.json", "/openapi.json"}
)
_REQUESTS: Final = Where("endpoint", _OWN, excluding=True)
_CODE: Final = "http_response_code"


def _sources(
    name: str, native: Native, *where: Where, by: tuple[By, ...] = ()
) -> tuple[Source, ...]:
    return tuple(
        Source(name=f"{prefix}_{name}", native=native, where=(_REQUESTS, *where), by=by)
        for prefix in ("bentoml_service", "bentoml_api_server")
    )


_BATCHES: Final = Source(name="bentoml_service_adaptive_batch_size", native=Native.HISTOGRAM)

BENTOML: Final = Profile(
    name="bentoml",
    prefixes=("bentoml_service_", "bentoml_api_server_", "bentoml_runner_"),
    model_labels=("runner_name", "service_name"),
    version_labels=("service_version",),
    nameless=frozenset({"not available"}),
    signals=(
        Signal(serving.REQUESTS_RUNNING, _sources("request_in_progress", Native.GAUGE)),
        Signal(
            serving.REQUESTS_FINISHED,
            _sources("request_total", Native.COUNTER, by=(By((_CODE,)),)),
        ),
        Signal(
            serving.REQUESTS_ERRORS,
            _sources(
                "request_total",
                Native.COUNTER,
                Where(_CODE, matching="[45].."),
                by=(By((_CODE,)),),
            ),
        ),
        Signal(serving.REQUEST_DURATION, _sources("request_duration_seconds", Native.HISTOGRAM)),
        Signal(
            serving.BATCH_SIZE,
            (_BATCHES, replace(_BATCHES, name="bentoml_runner_adaptive_batch_size")),
        ),
        info(
            *_sources("request_total", Native.COUNTER),
            *_sources("request_in_progress", Native.GAUGE),
        ),
    ),
)
