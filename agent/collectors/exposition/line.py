"""One line of exposition: the careful path, taken once per series and for whatever is unusual.

A regular expression reads the form that every server writes. Anything else (spaces in odd places, quoted
names, exemplars) goes to the library's parser, so that its judgement is ours by construction.
"""

import re
from typing import Final, NamedTuple

_KEY: Final = r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*"
_VALUE: Final = r'[^"\\]*(?:\\.[^"\\]*)*'
_LABEL: Final = rf'{_KEY}="{_VALUE}"'
_SAMPLE: Final = re.compile(
    r"([a-zA-Z_:][a-zA-Z0-9_:]*)"
    rf"(?:\{{((?:{_LABEL}(?:, *{_LABEL})*,?)?)\}})?"
    r" ([-+.0-9a-zA-Z_]+)( -?\d+)?"
)
_PAIRS: Final = re.compile(rf'({_KEY})="({_VALUE})"')
_ESCAPE: Final = re.compile(r'\\[\\n"]')
_ESCAPED: Final = {"\\\\": "\\", "\\n": "\n", '\\"': '"'}


class Line(NamedTuple):
    """What a line says. ``plain`` lines hold nothing but the series, one space and the value.

    ``costly`` ones were left to the library, which takes some ten times as long.
    """

    name: str
    labels: dict[str, str]
    value: float
    plain: bool
    costly: bool = False


def number(text: str) -> float:
    """Return the value that ``text`` spells. Raises ValueError: ``1_000`` is Python's, not Prometheus'."""
    if "_" in text:
        raise ValueError(f"not a number: {text}")
    return float(text)


def read(line: str) -> Line:
    """Return what a stripped line of a sample says. Raises ValueError where it is malformed."""
    match = _SAMPLE.fullmatch(line)
    if match is None:
        return _read_unusual(line)
    name, text, value, timestamp = match.groups()
    pairs = _PAIRS.findall(text) if text else []
    labels = dict(pairs)
    if len(labels) != len(pairs):
        raise ValueError("a label stands twice")
    if text and "\\" in text:
        labels = {key: _unescaped(value) for key, value in pairs}
    return Line(name, labels, number(value), timestamp is None)


def start_of(line: str) -> str:
    """Return what a plain line begins with, up to its value; nothing of one that is not plain."""
    match = _SAMPLE.fullmatch(line)
    return line[: match.start(3)] if match is not None and match[4] is None else ""


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: _ESCAPED[match.group()], text)


def _read_unusual(line: str) -> Line:
    """Ask the library. It reports nonsense by several kinds of exception."""
    from prometheus_client.parser import (  # noqa: PLC0415 - heavy, and seldom needed
        text_string_to_metric_families,
    )

    try:
        families = list(text_string_to_metric_families(line))
        sample = families[0].samples[0]
        return Line(sample.name, dict(sample.labels), float(sample.value), plain=False, costly=True)
    except (ValueError, IndexError, KeyError, AttributeError, OverflowError) as error:
        raise ValueError(f"malformed: {error}") from error
