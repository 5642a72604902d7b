"""Ray Serve, measured against 2.60; older names from Ray's own history.

What is easily got wrong:

- Everything is in milliseconds.
- Counters had no ``_total`` and were declared as gauges; for a while a page had both; the back end of
  OpenTelemetry (since about 2.51) has ``_total`` alone. They are counters all the same.
- Requests are counted by the proxies, by application; batches, running requests and the time of the work
  by the replicas, by deployment. A proxy for HTTP and one for gRPC can stand side by side.
- The two gauges of queries are about to become gauges of requests, under names of their own.
- A proxy counts the probes of its own health. They are no requests. A route that nobody serves is of no
  application.
- Counters and histograms of replicas that died stay on the page for good: they are kept apart by replica,
  and what they counted is true. Their gauges go within seconds; in older releases gauges vanish between two
  scrapes and come again.
- The sum of a histogram is none of what was observed: its processes pass on buckets alone, and the node's
  agent takes the middle of each. Counts and buckets are right; a mean is off by up to three quarters.
- A client that left is counted as an error 499 (HTTP) or CANCELLED (gRPC) by Ray: it is an abort, and none.
- Each series carries the process, session and release that wrote it. None of that tells models apart; the
  release is Ray's.
- Errors of deployments are among those of the proxy when the request came through it, so they are not
  counted here a second time.
"""

from dataclasses import replace
from typing import Final

from agent.catalogue import serving
from agent.collectors.serving.profile import Added, By, Native, Profile, Signal, Source, Where
from agent.collectors.serving.profiles.sources import info

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


def _errors(name: str) -> Source:
    left = Where("error_code", matching=r"499|(StatusCode\.)?CANCELLED", excluding=True)
    return replace(_counter(name, "error_code"), where=(*_NO_PROBES, left))


def _histogram(name: str, *, milliseconds: bool = True) -> Source:
    per = _MILLISECONDS if milliseconds else 1.0
    return Source(name=f"ray_serve_{name}", native=Native.HISTOGRAM, per=per)


def _of_proxy(protocol: str) -> Source:
    return replace(_histogram(f"{protocol}_request_latency_ms"), where=_NO_PROBES)


_LIVING: Final = (_gauge("deployment_replica_healthy"), _gauge("replica_processing_queries"))

RAY_SERVE: Final = Profile(
    name="ray_serve",
    prefixes=("ray_serve_",),
    model_labels=("deployment", "application"),
    replica_labels=("replica",),
    signals=(
        Signal(
            serving.REQUESTS_RUNNING,
            (_gauge("replica_num_ongoing_requests"), _gauge("replica_processing_queries")),
        ),
        Signal(
            serving.REQUESTS_WAITING,
            (_gauge("router_num_queued_requests"), _gauge("deployment_queued_queries")),
        ),
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
                        _errors("num_http_error_requests"),
                        _errors("num_grpc_error_requests"),
                    )
                ),
            ),
        ),
        Signal(
            serving.REQUEST_DURATION,
            (
                Added((_of_proxy("http"), _of_proxy("grpc"))),
                _histogram("deployment_processing_latency_ms"),
            ),
        ),
        Signal(serving.COMPUTE_DURATION, (_histogram("deployment_processing_latency_ms"),)),
        Signal(serving.QUEUE_DURATION, (_histogram("request_router_fulfillment_time_ms"),)),
        Signal(serving.BATCH_SIZE, (_histogram("actual_batch_size", milliseconds=False),)),
        info(*_LIVING, release=tuple(replace(each, value_label="Version") for each in _LIVING)),
    ),
)
