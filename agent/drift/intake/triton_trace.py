"""Triton's trace files with tensors (``level=TENSORS``): the only way to see what a Triton is asked.

Entries of one request share an id and come in any order. Data and shapes are text with commas. A file that
Triton still writes lacks its last bracket.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from agent.drift.intake.inference_body import Columns, tensor_columns
from agent.drift.intake.json_body import parse
from agent.drift.intake.names import bounded
from agent.drift.intake.refusal import RefusedError
from agent.drift.rows import LATENCY, PREDICTION, Rows

_INPUT: Final = "TENSOR_QUEUE_INPUT"
_OUTPUT: Final = "TENSOR_BACKEND_OUTPUT"
_LONGEST: Final = 3_600_000_000_000
"""Nanoseconds; a longer answer is a wrong clock."""
_UNTOLD: Final = ("FP16", "BF16", "INVALID")
"""Types of which Triton writes down no data."""
_TEXT: Final = "BYTES"
_WHOLE: Final = re.compile(r"INT|UINT|BOOL")
_REAL: Final = re.compile(r"FP|BF")


class _Request:
    """What the entries of one request told."""

    def __init__(self) -> None:
        self.model = ""
        self.version = ""
        self.inputs: Columns = {}
        self.outputs: dict[str, Columns] = {}
        self.moments: dict[str, int] = {}


def read(data: bytes, now: float) -> list[Rows]:
    """Return the rows of a trace file, a request after the other. Raises `RefusedError`."""
    entries = parse(_whole(data))
    if not isinstance(entries, list) or not all(isinstance(each, Mapping) for each in entries):
        raise RefusedError(400, "malformed", "a trace is a list of objects")
    requests: dict[object, _Request] = {}
    for entry in entries:
        identity = entry.get("id")
        if isinstance(identity, int | str):
            _take(requests.setdefault(identity, _Request()), entry)
    found = [_rows(each, now) for each in requests.values() if each.model and each.inputs]
    if not found:
        raise RefusedError(
            400, "malformed", "the trace has no input tensor of a named model; trace level=TENSORS"
        )
    return found


def _whole(data: bytes) -> bytes:
    """Return the list with its end, which is missing while Triton writes."""
    text = data.strip().rstrip(b",")
    return text if text.endswith(b"]") or not text.startswith(b"[") else text + b"]"


def _take(request: _Request, entry: Mapping[str, Any]) -> None:
    if isinstance(entry.get("model_name"), str):
        request.model = entry["model_name"]
        request.version = str(entry.get("model_version", ""))
    moments = entry.get("timestamps")
    for moment in moments if isinstance(moments, list) else ():
        if isinstance(moment, Mapping) and isinstance(moment.get("ns"), int):
            request.moments[str(moment.get("name"))] = moment["ns"]
    tensor, activity = entry.get("tensor"), entry.get("activity")
    if not isinstance(tensor, Mapping) or activity not in (_INPUT, _OUTPUT):
        return
    if not tensor.get("data") and tensor.get("dtype") in _UNTOLD:
        return
    name = str(tensor.get("name", ""))
    if activity == _INPUT:
        request.inputs |= _columns(name, tensor)
    else:
        request.outputs[name] = _columns(PREDICTION, tensor)


def _columns(name: str, tensor: Mapping[str, Any]) -> Columns:
    """Return a tensor as columns; its first dimension is the batch."""
    try:
        shape = [int(size) for size in str(tensor["shape"]).split(",")]
        kind = str(tensor["dtype"])
        data = _values(str(tensor["data"]), kind)
    except (KeyError, ValueError) as error:
        raise RefusedError(400, "malformed", "a tensor's shape, data or dtype is wrong") from error
    return tensor_columns(name, shape, data)


def _values(text: str, kind: str) -> Sequence[object]:
    if (
        kind == _TEXT and text[:1] == text[-1:] == '"'
    ):  # each text in quotes, which it may hold as well
        return text[1:-1].split('","')
    parts = text.split(",") if text else []
    if _REAL.match(kind):
        return [float(part) for part in parts]
    if _WHOLE.match(kind):
        return [int(part) for part in parts]
    return parts


def _rows(request: _Request, now: float) -> Rows:
    columns: dict[str, list[object]] = dict(request.inputs)
    size = max(map(len, columns.values()))
    for name, told in request.outputs.items():
        alone = len(request.outputs) == 1
        for key, column in told.items():
            if len(column) == size:
                named = key if alone else f"{PREDICTION}.{name}{key.removeprefix(PREDICTION)}"
                columns[named] = column
    began, ended = (request.moments.get(f"REQUEST_{which}") for which in ("START", "END"))
    if began is not None and ended is not None and 0 <= ended - began < _LONGEST:
        columns[LATENCY] = [(ended - began) / 1e9] * size
    return Rows(bounded(request.model), bounded(request.version), columns, now)
