"""BentoML's monitoring: the lines that `bentoml.monitor` logs, as its file or its OTLP records have them."""

from collections.abc import Mapping
from typing import Final

from agent.drift.intake.flatten import columns, flatten
from agent.drift.intake.inference_body import instances
from agent.drift.intake.json_body import parse_lines
from agent.drift.intake.plain_rows import model_name, version
from agent.drift.intake.refusal import RefusedError
from agent.drift.rows import PREDICTION, Rows

ABOUT_THE_LINE: Final = frozenset({"timestamp", "request_id", "trace_id", "bento_meta"})
"""What a line has beside the values that the service logged."""


def read(data: bytes, query: Mapping[str, str], now: float) -> Rows:
    """Return the rows of a data file. ``?model=`` names the model, ``?prediction=`` the column that is it.

    Raises `RefusedError`.
    """
    rows: list[dict[str, object]] = []
    for line in parse_lines(data):
        if not isinstance(line, Mapping):
            raise RefusedError(400, "malformed", f"row {len(rows) + 1} is no object")
        rows.append(values(line))
    predicted = query.get("prediction", "")
    if predicted and not any(predicted in row for row in rows):
        rows = [flatten(row) for row in rows]  # it may be a path
    if predicted and not any(predicted in row for row in rows):
        raise RefusedError(400, "malformed", f"no row has the column {predicted[:40]!r}")
    answers = [row.pop(predicted, None) for row in rows] if predicted else []
    told = {**columns(rows), **instances(answers, PREDICTION)}
    name, which = model_name(query.get("model")), version(query.get("model_version"))
    return Rows(name, which, told, now, blank=len(rows))


def values(line: Mapping[str, object]) -> dict[str, object]:
    """Return what the service logged, without what BentoML says about the line."""
    return {name: value for name, value in line.items() if name not in ABOUT_THE_LINE}
