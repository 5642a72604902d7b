# ruff: noqa: TRY004 - one kind of error for every bad value
"""What a value in the configuration may look like: one small parser per kind of value.

Each takes what YAML or an environment variable gave and returns the typed value, or raises `ValueError`
with a sentence that says what is wrong and what would be right.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen."""

    host: str
    port: int

    def __str__(self) -> str:
        """As it is written: ``127.0.0.1:9410``, ``[::1]:9410``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of value: its parser, and how a JSON schema describes what the parser takes."""

    parse: Callable[[object], Any]
    schema: dict[str, object]
    structured: bool = False
    """Whether an environment variable gives it as YAML and not as text."""


def text(value: object) -> str:
    """Take a string that is not empty."""
    if not isinstance(value, str):
        raise ValueError(f"must be text, not {value!r}; put it in quotes")
    if not value.strip():
        raise ValueError("must not be empty; leave the key out instead")
    return value.strip()


def duration(value: object) -> float:
    """Take ``500ms``, ``15s``, ``1m``, ``2h`` or a number of seconds; return seconds."""
    wrong = f"must be a duration such as 500ms, 15s or 1m, not {value!r}"
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(wrong)
    if isinstance(value, str):
        match = _DURATION.fullmatch(value.strip())
        number = re.fullmatch(r"\d+(\.\d+)?", value.strip())
        if match:
            seconds = float(match[1]) * _SECONDS[match[2]]
        elif number:
            seconds = float(value)
        else:
            raise ValueError(wrong)
    else:
        seconds = float(value)
    if not 0.0 < seconds < float("inf"):
        raise ValueError(f"must be longer than nothing, not {value!r}")
    return seconds


def duration_between(low: float, high: float) -> Callable[[object], float]:
    """Return a parser of durations from ``low`` to ``high`` seconds."""

    def parse(value: object) -> float:
        seconds = duration(value)
        if not low <= seconds <= high:
            raise ValueError(f"must be between {low:g}s and {high:g}s, not {value!r}")
        return seconds

    return parse


def address(value: object) -> Address:
    """Take ``HOST:PORT``; an IPv6 host stands in brackets; port 0 lets the system choose."""
    wrong = f"must be HOST:PORT such as 127.0.0.1:9410 or [::1]:9410, not {value!r}"
    if not isinstance(value, str):
        raise ValueError(wrong)
    host, colon, port = value.strip().rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not host or (":" in host and not bracketed) or not port.isascii():
        raise ValueError(wrong)
    if not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{wrong}; a port is a number from 0 to 65535")
    return Address(host.strip("[]"), int(port))


def url(value: object) -> str:
    """Take an http or https URL without credentials."""
    if not isinstance(value, str):
        raise ValueError(f"must be a URL such as http://127.0.0.1:8000, not {value!r}")
    try:
        parts = urlsplit(value.strip())
        port = parts.port
    except ValueError:
        raise ValueError("is not a URL: its host or port is malformed") from None
    if parts.username or parts.password:
        raise ValueError(
            "must not hold credentials: URLs end up in logs; set username and password_file instead"
        )
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise ValueError(f"must be a URL such as http://127.0.0.1:8000, not {value!r}")
    return value.strip()


def whole_between(low: int, high: int) -> Callable[[object], int]:
    """Return a parser of whole numbers from ``low`` to ``high``."""

    def parse(value: object) -> int:
        wrong = f"must be a whole number from {low} to {high}, not {value!r}"
        if isinstance(value, str) and re.fullmatch(r"\s*\d{1,18}\s*", value, re.ASCII):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(wrong)
        return value

    return parse


def one_of(*choices: str) -> Callable[[object], str]:
    """Return a parser that takes one of ``choices``."""

    def parse(value: object) -> str:
        if value not in choices:
            near = difflib.get_close_matches(str(value), choices, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"must be one of {', '.join(choices)}, not {value!r}{hint}")
        return str(value)

    return parse


def switch(value: object) -> bool:
    """Take ``true`` or ``false``."""
    if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
        return value.strip().lower() == "true"
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {value!r}")
    return value


def path_or_off(value: object) -> str:
    """Take a path, or ``off``, which YAML reads as false."""
    return "off" if value is False or value == "off" else text(value)


def classes(value: object) -> dict[int, str]:
    """Take a mapping of XIDs to what they are: ``{63: page, 45: info}``."""
    if not isinstance(value, Mapping):
        raise ValueError(f"must map XIDs to page, ticket or info, as {{63: page}}, not {value!r}")
    found: dict[int, str] = {}
    for code, word in value.items():
        if not re.fullmatch(r"\d{1,4}", str(code)) or isinstance(code, bool):
            raise ValueError(f"must have XIDs as keys, which are numbers, not {code!r}")
        found[int(code)] = one_of("page", "ticket", "info")(word)
    return found


_DURATION_SCHEMA: Final[dict[str, object]] = {
    "oneOf": [
        {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*(ms|s|m|h)?\s*$"},
        {"type": "number", "exclusiveMinimum": 0},
    ]
}
TEXT: Final = Form(text, {"type": "string", "minLength": 1})
URL: Final = Form(url, {"type": "string", "pattern": "^https?://[^/@]+(/|$)"})
ADDRESS: Final = Form(address, {"type": "string", "pattern": "^.+:[0-9]{1,5}$"})


PATH_OR_OFF: Final = Form(
    path_or_off, {"oneOf": [{"type": "string", "minLength": 1}, {"const": False}]}
)
SWITCH: Final = Form(switch, {"type": "boolean"})
CLASSES: Final = Form(
    classes,
    {
        "type": "object",
        "propertyNames": {"pattern": "^[0-9]{1,4}$"},
        "additionalProperties": {"enum": ["page", "ticket", "info"]},
    },
    structured=True,
)


def duration_form(low: float, high: float) -> Form:
    """Return the form of a duration from ``low`` to ``high`` seconds."""
    return Form(duration_between(low, high), _DURATION_SCHEMA)


def whole_form(low: int, high: int) -> Form:
    """Return the form of a whole number from ``low`` to ``high``."""
    schema: dict[str, object] = {"type": "integer", "minimum": low, "maximum": high}
    return Form(whole_between(low, high), schema)


def choice_form(*choices: str) -> Form:
    """Return the form of a choice."""
    return Form(one_of(*choices), {"type": "string", "enum": list(choices)})
