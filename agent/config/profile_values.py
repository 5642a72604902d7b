# ruff: noqa: TRY004 - one kind of error for every bad value
"""What the values of a server's profile may look like: names, lists of them, units, patterns."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from agent.config.values import Form, text

UNITS: Final = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9, "percent": 100.0}
"""How many of the server's units make one of the catalogue's, which are seconds and shares of 1."""

_NAME: Final = r"[a-zA-Z_:][a-zA-Z0-9_:.]*"
_PROFILE: Final = r"[a-z0-9][a-z0-9_-]{0,62}"
_PATH: Final = r"/[^\s#]*"


def _matching(pattern: str, like: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(f"must be {like}, not {value!r}")
        return value

    return parse


def _list_of(parse_one: Callable[[object], Any], like: str) -> Callable[[object], tuple[Any, ...]]:
    def parse(value: object) -> tuple[Any, ...]:
        if isinstance(value, str) or not isinstance(value, list | tuple):
            raise ValueError(f"must be a list such as {like}, not {value!r}")
        return tuple(parse_one(each) for each in value)

    return parse


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must hold texts, not {value!r}; put it in quotes")
    return value


def number(value: object) -> float:
    """Take a number; NaN is `.nan` in YAML."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"must hold numbers, not {value!r}")
    return math.nan if math.isnan(value) else float(value)


def words(value: object) -> dict[str, str]:
    """Take a mapping of the server's words to ours."""
    if not isinstance(value, Mapping):
        raise ValueError(f"must map words to words, as {{ok: success}}, not {value!r}")
    for pair in value.items():
        for word in pair:
            _string(word)
    return dict(value)


def pattern(value: object) -> str:
    """Take a regular expression."""
    found = text(value)
    try:
        re.compile(found)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    return found


def unit(value: object) -> str | float:
    """Take a unit's name, or how many of the server's units make one of the catalogue's."""
    if isinstance(value, str) and value in UNITS:
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf:
        return float(value)
    known = ", ".join(UNITS)
    raise ValueError(
        f"must be {known}, or how many of the server's units make one of ours, not {value!r}"
    )


_STRINGS_SCHEMA: Final[dict[str, object]] = {"type": "array", "items": {"type": "string"}}
_NAME_SCHEMA: Final[dict[str, object]] = {"type": "string", "pattern": f"^{_NAME}$"}
_name = _matching(_NAME, "a name of letters, digits, _ and :, such as acme_requests_total")
_path = _matching(_PATH, "a path such as /metrics")

NAME: Final = Form(_name, _NAME_SCHEMA)
NAMES: Final = Form(
    _list_of(_name, "[model, model_name]"),
    {"type": "array", "items": _NAME_SCHEMA},
    structured=True,
)
STRINGS: Final = Form(_list_of(_string, "['5xx', '4xx']"), _STRINGS_SCHEMA, structured=True)
NUMBERS: Final = Form(
    _list_of(number, "[-1]"), {"type": "array", "items": {"type": "number"}}, structured=True
)
PATHS: Final = Form(
    _list_of(_path, "[/metrics]"),
    {"type": "array", "items": {"type": "string", "pattern": f"^{_PATH}$"}},
    structured=True,
)
WORDS: Final = Form(
    words, {"type": "object", "additionalProperties": {"type": "string"}}, structured=True
)
PATTERN: Final = Form(pattern, {"type": "string", "format": "regex"})
UNIT: Final = Form(
    unit, {"oneOf": [{"enum": list(UNITS)}, {"type": "number", "exclusiveMinimum": 0}]}
)
PROFILE_NAME: Final = Form(
    _matching(_PROFILE, "a short name in lower case, such as acme"),
    {"type": "string", "pattern": f"^{_PROFILE}$"},
)
