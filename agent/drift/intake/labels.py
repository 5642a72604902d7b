"""Labels that come after the predictions, by the id of the event or of the row that they belong to.

``{"model", "model_version", "ids": [..], "labels": [..]}``, or NDJSON of ``{"id", "label"}`` with the model
in the query. The version may be left out: whoever labels seldom knows it. The label of an event of several
rows is a list, one for each.
"""

from collections.abc import Mapping
from typing import Final

from agent.drift.intake.flatten import check_size
from agent.drift.intake.json_body import parse, parse_lines
from agent.drift.intake.plain_rows import check_id, model_name, version
from agent.drift.intake.refusal import RefusedError
from agent.drift.rows import LABEL, ROW_ID, Rows, id_of_row

_KNOWN: Final = ("ids", "labels", "model", "model_version")


def from_json(data: bytes, now: float) -> Rows:
    """Return the labels of a JSON document. ``now`` is Unix seconds. Raises `RefusedError`."""
    body = parse(data)
    if not isinstance(body, Mapping):
        raise RefusedError(
            400, "malformed", 'the body must be an object with "model", "ids", "labels"'
        )
    unknown = sorted(set(body) - set(_KNOWN))
    if unknown:
        said = f"the key {unknown[0][:40]!r} is not known; known are {', '.join(_KNOWN)}"
        raise RefusedError(400, "malformed", said)
    ids, labels = body.get("ids"), body.get("labels")
    if not isinstance(ids, list) or not isinstance(labels, list) or len(ids) != len(labels):
        raise RefusedError(400, "malformed", '"ids" and "labels" must be lists of the same length')
    return _rows(body, list(zip(ids, labels, strict=True)), now)


def from_lines(data: bytes, query: Mapping[str, str], now: float) -> Rows:
    """Return the labels of NDJSON, of the model that ``query`` names. Raises `RefusedError`."""
    pairs: list[tuple[object, object]] = []
    for line in parse_lines(data):
        if not isinstance(line, Mapping) or not {"id", "label"} <= line.keys():
            said = f'line {len(pairs) + 1} is no object with "id" and "label"'
            raise RefusedError(400, "malformed", said)
        pairs.append((line["id"], line["label"]))
    return _rows(query, pairs, now)


def _rows(named: Mapping[str, object], pairs: list[tuple[object, object]], now: float) -> Rows:
    ids: list[object] = []
    labels: list[object] = []
    for identity, label in pairs:
        check_id(identity)
        each = label if isinstance(label, list) else [label]
        check_size(len(each), 1)
        ids += (id_of_row(str(identity), number, len(each)) for number in range(len(each)))
        labels += each
    which = version(named.get("model_version"))
    columns = {ROW_ID: ids, LABEL: labels}
    return Rows(model_name(named.get("model")), which, columns, now, whole=False)
