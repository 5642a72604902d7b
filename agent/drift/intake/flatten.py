"""From an object of any shape to features by path: ``{"user": {"age": 3}}`` has the feature ``user.age``."""

from collections.abc import Mapping, Sequence
from typing import Final

from agent.drift.intake.names import bounded
from agent.drift.intake.refusal import RefusedError

MAX_DEPTH: Final = 6
"""Objects within objects; what lies deeper is one value that is no feature, and is counted as such."""
MAX_KEYS: Final = 10_000
"""Features of a row, as many as a model may have: more is a payload that nobody meant to be one row."""
MOST_CELLS: Final = 2_000_000
"""Rows by features of one body, some 16 MB: more than the largest body has, if most rows have most features.
Rows that each have other features would otherwise take memory by the square of the body's size."""


def flatten(row: Mapping[str, object]) -> dict[str, object]:
    """Return the leaves of a row by their path. Lists are leaves: a vector is one value.

    Raises `RefusedError` where two have one path, as in ``{"a.b": 1, "a": {"b": 2}}``, or there are too many.
    """
    found: dict[str, object] = {}
    waiting: list[tuple[str, Mapping[str, object], int]] = [("", row, 1)]
    while waiting:
        prefix, level, depth = waiting.pop()
        for key, value in level.items():
            name = bounded(f"{prefix}{key}")
            if isinstance(value, Mapping) and value and depth < MAX_DEPTH:
                waiting.append((f"{name}.", value, depth + 1))
            elif name in found:
                raise RefusedError(400, "malformed", f"two values of a row have the path {name!r}")
            elif len(found) >= MAX_KEYS:
                raise RefusedError(413, "too_large", f"a row has more than {MAX_KEYS:,} features")
            else:
                found[name] = value
    return found


def columns(rows: Sequence[Mapping[str, object]]) -> dict[str, list[object]]:
    """Return rows as columns; a row that lacks a feature has `None` there.

    Raises `RefusedError` where nearly every row has features of its own.
    """
    found: dict[str, list[object]] = {}
    for number, row in enumerate(rows):
        for name, value in flatten(row).items():
            column = found.get(name)
            if column is None:
                check_size(len(rows), len(found) + 1)
                column = found[name] = [None] * number
            column.append(value)
        for column in found.values():
            if len(column) <= number:
                column.append(None)
    return found


def check_size(rows: int, features: int) -> None:
    """Refuse what is far larger as columns than it was in the body. Raises `RefusedError`."""
    if rows * features > MOST_CELLS:
        raise RefusedError(
            413,
            "too_large",
            f"{rows} rows with {features} features or more; send rows with the same features together",
        )
