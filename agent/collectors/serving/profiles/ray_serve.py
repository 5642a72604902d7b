"""Ray Serve, measured against 2.60; older names from Ray's own history.

What is easily got wrong:

- Everything is in milliseconds.
- Counters had no ``_total`` and were declared as gauges; for a while a page had both; the back end of
  OpenTelemetry (since about 2.51) has ``_total`` alone. They are counters all the same.
- Requests are counted by the proxies, by application; batches, running requests and the time of the work
  by the replicas, by deployment. A proxy for HTTP and one for gRPC can stand side by side.
- A proxy counts the probes of its own health. They are no requests.
- Series of replicas that died stay on the page: they are kept apart by replica, and what they counted is
  true. Gauges vanish between two scrapes and come again.
- Each series carries the process, session and release that wrote it. None of that tells models apart.
- Errors of deployments are among those of the proxy when the request came through it, so they are not
  counted here a second time.
"""

from dataclasses import replace
from typing import Final

from agent.catalogue import serving
from agent.collectors.serving.profile import Added, By, Native, Profile, Signal, Source, Where

_MILLISECONDS: Final = 1e3
_GAUGES: Final = ("gauge",)
_NO_PROBES: Final = (Where("route", frozenset({"/-/healthz", "/-/routes"}), excluding=True),)


def _gauge(name: str) -> Source:
    return Source(name=f"ray_serve_{name}", native=Native.GAUGE)


def _counter(name: str, *by: str) -> Source:
    return Source(
        name=f"ray_serve_{name}_total",
        native=Native.COUNTER,
        by=(By(by),),
        declared=_GAUGES,
        where=_NO_PROBES,
    )


def _histogram(name: str, *, milliseconds: bool = True) -> Source:
    per = _MILLISECONDS if milliseconds else 1.0
    return Source(name=f"ray_serve_{name}", native=Native.HISTOGRAM, per=per)


def _of_proxy(protocol: str) -> Source:
    return replace(_histogram(f"{protocol}_request_latency_ms"), where=_NO_PROBES)


RAY_SERVE: Final = Profile(
    name="ray_serve",
    prefixes=("ray_serve_",),
    model_labels=("deployment", "application"),
    replica_labels=("replica",),
    signals=(
        Signal(serving.REQUESTS_RUNNING, (_gauge("replica_processing_queries"),)),
        Signal(serving.REQUESTS_WAITING, (_gauge("deployment_queued_queries"),)),
        Signal(
            serving.REQUESTS_FINISHED,
            (
                Added(
                    (
                        _counter("num_http_requests", "status_code"),
                        _counter("num_grpc_requests", "status_code"),
                    )
                ),
            ),
        ),
        Signal(
            serving.REQUESTS_ERRORS,
            (
                Added(
                    (
                        _counter("num_http_error_requests", "error_code"),
                        _counter("num_grpc_error_requests", "error_code"),
                    )
                ),
            ),
        ),
        Signal(
            serving.REQUEST_DURATION,
            (
                _of_proxy("http"),
                _of_proxy("grpc"),
                _histogram("deployment_processing_latency_ms"),
            ),
        ),
        Signal(serving.COMPUTE_DURATION, (_histogram("deployment_processing_latency_ms"),)),
        Signal(serving.QUEUE_DURATION, (_histogram("request_router_fulfillment_time_ms"),)),
        Signal(serving.BATCH_SIZE, (_histogram("actual_batch_size", milliseconds=False),)),
    ),
)
