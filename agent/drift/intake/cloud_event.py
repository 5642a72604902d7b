"""CloudEvents over HTTP: binary, structured and batched, in the spellings of 0.2 and 1.0.

Loggers of 2020 still run: they write ``ce-inferenceservice`` with quotes within the value. Brokers add
attributes of their own, which do not matter here.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import unquote

from agent.drift.intake.json_body import parse
from agent.drift.intake.refusal import RefusedError

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
_VERSIONS: Final = frozenset({"0.2", "0.3", "1.0"})
_JSON: Final = ("application/json", "text/json")
MAX_ID: Final = 256
"""Characters of an event's id."""


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """One event. ``data`` is its body in bytes; ``time`` is Unix seconds, `None` where it has none."""

    id: str
    type: str
    data: bytes
    content_type: str
    time: float | None = None
    extensions: Mapping[str, str] = field(default_factory=dict)
    """By lower-case name."""


def read_events(headers: Mapping[str, str], content_type: str, body: bytes) -> list[CloudEvent]:
    """Return the events of a request, by whichever mode it is in. Raises `RefusedError`."""
    if content_type == BATCH:
        found = parse(body)
        if not isinstance(found, list):
            raise RefusedError(400, "malformed", "a batch of CloudEvents is a list")
        return [_structured(each) for each in found]
    if content_type == STRUCTURED:
        return [_structured(parse(body))]
    return [_binary(headers, content_type, body)]


def _binary(headers: Mapping[str, str], content_type: str, body: bytes) -> CloudEvent:
    attributes = {
        name.lower().removeprefix("ce-"): _unquoted(value)
        for name, value in headers.items()
        if name.lower().startswith("ce-")
    }
    if not attributes:
        raise RefusedError(
            400,
            "malformed",
            f"no CloudEvent: neither Ce- headers nor the content type {STRUCTURED}",
        )
    return _event(attributes, body, content_type)


def _structured(content: object) -> CloudEvent:
    if not isinstance(content, Mapping):
        raise RefusedError(400, "malformed", "a structured CloudEvent is a JSON object")
    attributes = {
        str(name).lower(): _unquoted(value)
        for name, value in content.items()
        if isinstance(value, str) and name not in {"data", "data_base64"}
    }
    kind = attributes.get("datacontenttype", attributes.get("contenttype", "application/json"))
    return _event(attributes, _data(content), kind.partition(";")[0].strip().lower())


def _data(content: Mapping[str, Any]) -> bytes:
    """Return the body as bytes; JSON within the event is written as JSON again."""
    import json  # noqa: PLC0415 - structured events are rare

    if "data_base64" in content:
        try:
            return base64.b64decode(content["data_base64"], validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise RefusedError(400, "malformed", "data_base64 is no base64") from error
    data = content.get("data")
    return data.encode() if isinstance(data, str) else json.dumps(data).encode()


def _event(attributes: Mapping[str, str], data: bytes, content_type: str) -> CloudEvent:
    version = attributes.get("specversion", attributes.get("cloudeventsversion", ""))
    if version not in _VERSIONS:
        known = ", ".join(sorted(_VERSIONS))
        raise RefusedError(400, "malformed", f"the specversion must be one of {known}")
    for name in ("id", "type"):
        if not attributes.get(name):
            raise RefusedError(400, "malformed", f"the CloudEvent has no {name}")
    return CloudEvent(
        id=attributes["id"][:MAX_ID],
        type=attributes["type"],
        data=data,
        content_type=content_type,
        time=unix_seconds(attributes.get("time", "")),
        extensions=attributes,
    )


def is_json(content_type: str) -> bool:
    """Tell whether a body claims to be JSON, or claims nothing."""
    return not content_type or content_type in _JSON or content_type.endswith("+json")


def unix_seconds(text: str) -> float | None:
    """Return the time that RFC 3339 text tells, to the microsecond; `None` where it tells none."""
    try:
        whole, point, rest = text.partition(".")
        digits = rest.rstrip("Zz").partition("+")[0].partition("-")[0]
        zone = rest[len(digits) :] if point else ""
        # Go writes up to nine digits, Python reads six.
        told = datetime.fromisoformat(
            f"{whole}{point}{digits[:6].ljust(6, '0') if point else ''}{zone}"
        )
    except ValueError:
        return None
    return told.timestamp() if told.tzinfo else None


def _unquoted(value: str) -> str:
    """Return a value without the quotes of 2020 and the percent signs of the 1.0 binding."""
    plain = value.strip()
    if len(plain) > 1 and plain[0] == plain[-1] == '"':
        plain = plain[1:-1]
    return unquote(plain) if "%" in plain else plain
