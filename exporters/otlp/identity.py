"""Who is speaking, and how texts and times are written: what metrics and events on the wire share."""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue

import agent
from agent.catalogue import COMMON
from agent.catalogue.attributes import VERSION

SCOPE: Final = InstrumentationScope(name="warpwatch", version=agent.__version__)
_NANOSECONDS: Final = 1_000_000_000
_INT64: Final = range(-(2**63), 2**63)


class Identity(NamedTuple):
    """Who is speaking: ``resource`` for the whole, ``common`` for each data point."""

    resource: Mapping[str, str]
    common: Mapping[str, str]


def identity(node: str, cluster: str, configured: Mapping[str, str]) -> Identity:
    """Return the identity of the agent on ``node`` of ``cluster``; empty ones are absent.

    ``configured`` attributes (OTEL_RESOURCE_ATTRIBUTES) win over defaults, not over node and cluster:
    those are on every data point as well, and the two must agree.
    """
    common = {
        key.key: text(name) for key, name in zip(COMMON, (node, cluster), strict=True) if name
    }
    defaults = {
        "service.name": "warpwatch",
        VERSION.key: agent.__version__,
        "service.instance.id": node,
        "host.name": node,
        "telemetry.sdk.name": "warpwatch",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": agent.__version__,
    }
    resource = {key: text(value) for key, value in {**defaults, **configured}.items() if value}
    return Identity(resource | common, common)


def nanoseconds(seconds: float) -> int:
    """Return Unix seconds as Unix nanoseconds; 0, which OTLP reads as unknown, for times before 1970."""
    return max(0, round(seconds * _NANOSECONDS))


def text(value: str) -> str:
    """Return ``value`` as protobuf can hold it: without lone surrogates, which file names can have."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")


def key_values(pairs: Iterable[tuple[str, str | int | float]]) -> list[KeyValue]:
    """Return attributes as messages."""
    return [KeyValue(key=key, value=any_value(value)) for key, value in pairs]


def any_value(value: str | float) -> AnyValue:
    """Return a value as a message; a whole number beyond 64 bits becomes a double."""
    if isinstance(value, str):
        return AnyValue(string_value=text(value))
    if isinstance(value, int) and value in _INT64:
        return AnyValue(int_value=value)
    return AnyValue(double_value=value)
