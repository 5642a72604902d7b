"""Headers sent with every request: they hold API keys, so nothing here ever shows a value.

A file of headers is read again when it changes, because secrets are rotated under running agents.
"""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote

from exporters.otlp.files import Signature, signature

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\x20-\x7e\t]*")
_FIRST_SEPARATOR: Final = re.compile(r"[:=]")
_OURS: Final = frozenset(
    {"connection", "content-encoding", "content-length", "content-type", "te", "transfer-encoding"}
)
_MOST_BYTES: Final = 64 * 1024
"""Of a headers file: servers refuse far less, and a wrong path may point at anything."""

_log = logging.getLogger(__name__)


class Headers:
    """Headers from the environment (``fixed``) or from a file. Its `repr` shows names only."""

    __slots__ = ("_complained", "_current", "_seen", "file")

    def __init__(
        self, fixed: Mapping[str, str] = MappingProxyType({}), file: Path | None = None
    ) -> None:
        self.file = file
        self._current: Mapping[str, str] = MappingProxyType(dict(fixed))
        self._seen: Signature = ()
        self._complained = False

    def __repr__(self) -> str:
        """Say where the headers come from and what they are called."""
        names = ", ".join(self._current) or "none"
        return f"<Headers {names}{f' from {self.file}' if self.file else ''}>"

    def load(self) -> None:
        """Read the file now, if there is one. Raises `OSError` or `ValueError`, without any value."""
        if self.file is None:
            return
        seen = signature(self.file)
        with self.file.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ValueError(f"is larger than {_MOST_BYTES} bytes; it should hold a few lines")
        self._current = MappingProxyType(from_lines(_decoded(content)))
        self._seen = seen

    def current(self) -> Mapping[str, str]:
        """Return the headers as they are now; a file that went bad leaves the last good ones."""
        if self.file is None:
            return self._current
        try:
            if signature(self.file) != self._seen:
                self.load()
                _log.info("headers read again from %s", self.file)
            self._complained = False
        except (OSError, ValueError) as error:
            if not self._complained:
                _log.warning("%s %s; the headers read before stay in use", self.file, error)
            self._complained = True
        return self._current


def from_variable(text: str) -> dict[str, str]:
    """Return the headers of ``OTEL_EXPORTER_OTLP_HEADERS``: ``key=value,key=value``, percent-encoded.

    Raises `ValueError` that names the position of the bad pair, never its text.
    """
    headers: dict[str, str] = {}
    for position, pair in enumerate(text.split(","), start=1):
        if not pair.strip():
            continue
        name, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"pair {position} has no '='; write key=value,key=value")
        _add(headers, f"pair {position}", _unquoted(name), _unquoted(value))
    return headers


def from_lines(text: str) -> dict[str, str]:
    """Return the headers of a file: a line each, ``key: value`` or ``key=value``, ``#`` for comments.

    Values stand as they are, with no percent-encoding. Raises `ValueError` that names the line.
    """
    headers: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        separator = _FIRST_SEPARATOR.search(line)
        if separator is None:
            raise ValueError(f"line {number} is neither 'key: value' nor 'key=value'")
        name, value = line[: separator.start()], line[separator.end() :]
        _add(headers, f"line {number}", name, value)
    return headers


def _add(headers: dict[str, str], where: str, name: str, value: str) -> None:
    name, value = name.strip().lower(), value.strip()
    if not _NAME.fullmatch(name):
        raise ValueError(f"{where} has a name that no header can have")
    if not _VALUE.fullmatch(value):
        raise ValueError(f"{where} ({name}) has a control or a non-ASCII character in its value")
    if name in _OURS or name.startswith("grpc-"):
        raise ValueError(f"{where} sets {name}, which the protocol sets itself; remove it")
    headers[name] = value


def _unquoted(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ValueError("holds percent-encoding that is not UTF-8") from None


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("is not text; it should hold lines 'key: value'") from None
