"""Strict schemas of the Prometheus operator's objects, as far as the chart uses them.

Written from the operator's API reference (monitoring.coreos.com/v1): no registry here has the CRDs, and the
validators that npm has let unknown keys pass, which is the mistake that matters.
"""

from typing import Any, Final


def _strict(required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": properties,
    }


_TEXT: Final = {"type": "string", "minLength": 1}
_TEXTS: Final = {"type": "object", "additionalProperties": {"type": "string"}}
_DURATION: Final = {
    "type": "string",
    "pattern": r"^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$",
}
_METADATA: Final = _strict(
    ["name", "namespace", "labels"], name=_TEXT, namespace=_TEXT, labels=_TEXTS
)
_RELABELING: Final = _strict(
    [],
    sourceLabels={"type": "array", "items": _TEXT},
    separator=_TEXT,
    targetLabel=_TEXT,
    regex=_TEXT,
    replacement={"type": "string"},
    action=_TEXT,
)
_SECRET_KEY: Final = _strict(["name", "key"], name=_TEXT, key=_TEXT)
_SOURCE: Final = {
    "oneOf": [_strict([key], **{key: _SECRET_KEY}) for key in ("secret", "configMap")]
}
_TLS: Final = _strict(
    [],
    ca=_SOURCE,
    cert=_SOURCE,
    keySecret=_SECRET_KEY,
    serverName=_TEXT,
    insecureSkipVerify={"type": "boolean"},
)
_ENDPOINT: Final = _strict(
    ["port"],
    port=_TEXT,
    path=_TEXT,
    interval=_DURATION,
    scrapeTimeout=_DURATION,
    relabelings={"type": "array", "items": _RELABELING},
    metricRelabelings={"type": "array", "items": _RELABELING},
    scheme={"enum": ["http", "https"]},
    tlsConfig=_TLS,
    authorization=_strict(["credentials"], type=_TEXT, credentials=_SECRET_KEY),
    basicAuth=_strict(["username", "password"], username=_SECRET_KEY, password=_SECRET_KEY),
)
_ALERT: Final = {
    **_strict(
        ["alert", "expr"],
        alert=_TEXT,
        expr=_TEXT,
        keep_firing_for={**_DURATION, "minLength": 1},
        labels=_TEXTS,
        annotations=_TEXTS,
    )
}
_ALERT["properties"]["for"] = _DURATION
_RECORDING: Final = _strict(["record", "expr"], record=_TEXT, expr=_TEXT, labels=_TEXTS)
_RULE: Final = {"oneOf": [_ALERT, _RECORDING]}


def _object(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return _strict(
        ["apiVersion", "kind", "metadata", "spec"],
        apiVersion={"const": "monitoring.coreos.com/v1"},
        kind={"const": kind},
        metadata=_METADATA,
        spec=spec,
    )


SCHEMAS: Final = {
    "PodMonitor": _object(
        "PodMonitor",
        _strict(
            ["selector", "podMetricsEndpoints"],
            selector=_strict(["matchLabels"], matchLabels=_TEXTS),
            namespaceSelector=_strict([], matchNames={"type": "array", "items": _TEXT}),
            podMetricsEndpoints={"type": "array", "minItems": 1, "items": _ENDPOINT},
        ),
    ),
    "PrometheusRule": _object(
        "PrometheusRule",
        _strict(
            ["groups"],
            groups={
                "type": "array",
                "minItems": 1,
                "items": _strict(
                    ["name", "rules"],
                    name=_TEXT,
                    interval=_DURATION,
                    rules={"type": "array", "minItems": 1, "items": _RULE},
                ),
            },
        ),
    ),
}
