"""JSON from strangers: any depth, any number, any length, and never more than a refusal."""

import json
from collections.abc import Iterator

from agent.drift.intake.refusal import RefusedError


def parse(data: bytes) -> object:
    """Return what a JSON document holds. Raises `RefusedError` (400) where it is none."""
    try:
        return json.loads(data)
    except RecursionError as error:
        raise RefusedError(400, "malformed", "the JSON is nested too deep") from error
    except UnicodeDecodeError as error:
        raise RefusedError(
            400, "malformed", f"the body is no UTF-8 (byte {error.start})"
        ) from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise RefusedError(
            400, "malformed", f"the body is no JSON: {error.msg} at {where}"
        ) from error
    except ValueError as error:  # a number of thousands of digits
        raise RefusedError(400, "malformed", "the JSON has a number that is too long") from error


def parse_lines(data: bytes) -> Iterator[object]:
    """Return what each line of NDJSON holds; empty lines are skipped.

    Raises `RefusedError` (400) that names the line.
    """
    for number, line in enumerate(data.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            yield parse(line)
        except RefusedError as error:
            raise RefusedError(400, error.reason, f"line {number}: {error}") from error
