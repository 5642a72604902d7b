"""Plain rows: the road for whoever can send their own features, with no serving stack in between.

``{"model", "model_version", "rows": [{feature: value}], "predictions": [..]}``, or NDJSON with a row a line
and the model in the query. ``scores``, ``labels``, ``latencies`` and ``ids`` may stand beside
``predictions``. Labels that come late come with the ``ids`` of their rows and without ``rows``.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from agent.drift.intake.flatten import columns
from agent.drift.intake.inference_body import Columns, instances
from agent.drift.intake.json_body import parse, parse_lines
from agent.drift.intake.names import bounded
from agent.drift.intake.refusal import RefusedError
from agent.drift.rows import LABEL, LATENCY, PREDICTION, ROW_ID, SCORE, Rows

_BESIDE: Final = {
    "predictions": PREDICTION,
    "scores": SCORE,
    "labels": LABEL,
    "latencies": LATENCY,
    "ids": ROW_ID,
}
_KNOWN: Final = frozenset({"model", "model_version", "rows", *_BESIDE})


def from_json(data: bytes, now: float) -> Rows:
    """Return the rows of a JSON document. ``now`` is Unix seconds. Raises `RefusedError`."""
    body = parse(data)
    if not isinstance(body, Mapping):
        raise RefusedError(400, "malformed", 'the body must be an object with "model" and "rows"')
    unknown = sorted(set(body) - _KNOWN)
    if unknown:
        raise RefusedError(
            400,
            "malformed",
            f"the key {unknown[0][:40]!r} is not known; known are {', '.join(sorted(_KNOWN))}",
        )
    late = "rows" not in body and {"ids", "labels"} <= body.keys() and isinstance(body["ids"], list)
    rows = [{}] * len(body["ids"]) if late else body.get("rows")
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise RefusedError(400, "malformed", '"rows" must be a list of objects, one a row')
    found = _columns(rows)
    beside = {key: _beside(key, body[key], len(rows)) for key in _BESIDE if key in body}
    for identity in beside.get("ids", ()):
        if late or identity is not None:
            check_id(identity)
    found |= instances(beside.pop("predictions", []), PREDICTION)
    found |= {_BESIDE[key]: values for key, values in beside.items()}
    name, which = model_name(body.get("model")), version(body.get("model_version"))
    return Rows(name, which, found, now, whole=not late, blank=len(rows))


def from_lines(data: bytes, query: Mapping[str, str], now: float) -> Rows:
    """Return the rows of NDJSON, of the model that ``query`` names. Raises `RefusedError`."""
    rows: list[Mapping[str, Any]] = []
    for row in parse_lines(data):
        if not isinstance(row, Mapping):
            raise RefusedError(400, "malformed", f"row {len(rows) + 1} is no object")
        if isinstance(row.get("rows"), list):
            said = 'a line with "rows" is no row: name the model in the body, and not as ?model='
            raise RefusedError(400, "malformed", said)
        rows.append(row)
    name, which = model_name(query.get("model")), version(query.get("model_version"))
    return Rows(name, which, _columns(rows), now, blank=len(rows))


def _columns(rows: Sequence[Mapping[str, object]]) -> Columns:
    """Return rows as columns; an answer that is a list is a column for each of its values."""
    found = columns(rows)
    answers = found.pop(PREDICTION, [])
    return {**found, **instances(answers, PREDICTION)}


def model_name(value: object) -> str:
    """Return a model's name. Raises `RefusedError` (400) where there is none."""
    if not isinstance(value, str) or not value.strip():
        raise RefusedError(
            400, "no_model", '"model" must name the model (in the body, or ?model= for NDJSON)'
        )
    return bounded(value.strip())


def check_id(value: object) -> None:
    """Refuse what is no id of a row. Raises `RefusedError` (400)."""
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise RefusedError(400, "malformed", "an id must be text or a whole number")


def version(value: object) -> str:
    """Return a version as text; none is an empty one. Raises `RefusedError` (400) for anything else."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise RefusedError(400, "malformed", '"model_version" must be text')
    return bounded(str(value).strip())


def _beside(key: str, values: object, count: int) -> list[object]:
    if not isinstance(values, list) or len(values) != count:
        raise RefusedError(400, "malformed", f'"{key}" must be a list as long as "rows"')
    return values
