"""JSON from strangers: any depth, any number, any length, and never more than a refusal."""

import json
import re
from collections.abc import Iterator
from typing import Final

from agent.drift.intake.refusal import RefusedError

MOST_CONTAINERS: Final = 200_000
"""Objects and lists of a document: an empty one takes 2 bytes of JSON and some 60 of memory."""
_HALF: Final = re.compile(r"\\u[dD][89a-fA-F]")
"""Half of a character beyond the first 65,536, as an escape; alone, it can be written in no encoding."""


def parse(data: bytes) -> object:
    """Return what a JSON document holds. Raises `RefusedError` where it is none, or would take too much."""
    if len(data) > MOST_CONTAINERS and data.count(b"{") + data.count(b"[") > MOST_CONTAINERS:
        said = (
            f"the JSON has more than {MOST_CONTAINERS:,} objects and lists; send fewer rows at once"
        )
        raise RefusedError(413, "too_large", said)
    try:
        text = data.decode(json.detect_encoding(data))
        content = _DECODER.decode(text)
        if _HALF.search(text):
            json.dumps(content, ensure_ascii=False).encode()
    except RecursionError as error:
        raise RefusedError(400, "malformed", "the JSON is nested too deep") from error
    except UnicodeDecodeError as error:
        raise RefusedError(
            400, "malformed", f"the body is no UTF-8 (byte {error.start})"
        ) from error
    except UnicodeEncodeError as error:
        raise RefusedError(
            400, "malformed", "the JSON has half of a character (a lone surrogate)"
        ) from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise RefusedError(
            400, "malformed", f"the body is no JSON: {error.msg} at {where}"
        ) from error
    except ValueError as error:  # a number of thousands of digits
        raise RefusedError(400, "malformed", "the JSON has a number that is too long") from error
    return content


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


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return an object. Which of two values a key that stands there twice means, nobody can tell."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise RefusedError(400, "malformed", "an object of the JSON has the same key twice")
    return found


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object)
