"""The standard ``OTEL_*`` variables, read strictly.

The specification lets an SDK ignore what it cannot read. An agent that silently pushes nothing, or to
the wrong place, is worse than one that says at its start what is wrong; so everything wrong is collected.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeVar
from urllib.parse import unquote

_T = TypeVar("_T")

EXPORTER_WORDS: Final = ("otlp", "none", "console", "logging", "prometheus")
"""What OTEL_METRICS_EXPORTER and OTEL_LOGS_EXPORTER may list."""


class Environment:
    """Typed access to variables; what is wrong gathers in ``problems``.

    An empty variable counts as unset, and words are compared without case: the specification's rules.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.problems: list[str] = []

    def get(self, name: str) -> str:
        """Return the variable without blanks around it; empty where unset."""
        return self._variables.get(name, "").strip()

    def otlp(self, signal: str, option: str) -> str:
        """Return the name of the variable that decides an OTLP option: the signal's own, else the general."""
        own = f"OTEL_EXPORTER_OTLP_{signal.upper()}_{option}"
        return own if self.get(own) else f"OTEL_EXPORTER_OTLP_{option}"

    def parsed(self, name: str, parse: Callable[[str], _T], default: _T) -> _T:
        """Return what ``parse`` makes of the variable; its `ValueError` becomes a problem."""
        text = self.get(name)
        if not text:
            return default
        try:
            return parse(text)
        except ValueError as error:
            self.problems.append(f"{name} {error}")
            return default

    def choice(self, name: str, words: tuple[str, ...], default: str) -> str:
        """Return one of ``words``."""

        def parse(text: str) -> str:
            if text.lower() not in words:
                raise ValueError(f"is {text!r}; use one of: {', '.join(words)}")
            return text.lower()

        return self.parsed(name, parse, default)

    def seconds(self, name: str, default: float) -> float:
        """Return a duration, which every ``OTEL_*`` variable gives in milliseconds.

        Under 100 ms is refused: it is a number of seconds by mistake (the Python SDK reads
        OTEL_EXPORTER_OTLP_TIMEOUT in seconds, against the specification), and would fail every export.
        """

        def parse(text: str) -> float:
            if not (text.isascii() and text.isdigit()):
                raise ValueError(f"is {text!r}; use a whole number of milliseconds")
            if not 100 <= int(text) <= 86_400_000:
                raise ValueError(
                    f"is {text} milliseconds; use 100 to 86400000 (10 seconds are 10000)"
                )
            return int(text) / 1000

        return self.parsed(name, parse, default)

    def flag(self, name: str) -> bool:
        """Return whether the variable is ``true``."""
        return self.choice(name, ("true", "false"), "false") == "true"

    def pairs(self, name: str) -> dict[str, str]:
        """Return ``key=value,key=value`` with percent-decoded values, as OTEL_RESOURCE_ATTRIBUTES has it."""
        return self.parsed(name, _pairs, {})

    def exports(self, name: str) -> bool:
        """Return whether OTEL_METRICS_EXPORTER or OTEL_LOGS_EXPORTER lets OTLP go out (unset: yes)."""

        def parse(text: str) -> bool:
            chosen = {word.strip().lower() for word in text.split(",")} - {""}
            if unknown := sorted(chosen.difference(EXPORTER_WORDS)):
                known = ", ".join(EXPORTER_WORDS)
                raise ValueError(f"lists {', '.join(unknown)}; known are: {known}")
            return "otlp" in chosen or not chosen

        return self.parsed(name, parse, default=True)


def _pairs(text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for pair in filter(str.strip, text.split(",")):
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not key:
            raise ValueError(f"holds {pair.strip()!r}; write key=value,key=value (a comma is %2C)")
        try:
            pairs[unquote(key, errors="strict")] = unquote(value, errors="strict")
        except UnicodeDecodeError:
            raise ValueError(f"holds percent-encoding at {key!r} that is not UTF-8") from None
    return pairs
