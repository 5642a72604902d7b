"""Reads a secret from a file, and again when the file changes: Kubernetes rotates tokens under us."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

_MOST_BYTES: Final = 64 * 1024
"""A token is far smaller, and a wrong path may point at anything."""
_PRINTABLE: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
"""What a header can carry; a line's end within would begin another header."""

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS: Final = frozenset(
    {"accept", "accept-encoding", "connection", "content-length", "host", "transfer-encoding"}
)

T = TypeVar("T")
Signature = tuple[int, ...]
"""What differs when a file was written or replaced, also through a link that now leads elsewhere."""


class SecretError(Exception):
    """A secret cannot be used; the message names the key and the file, never the content."""


class Secret(Generic[T]):
    """What a file says, by ``parse``, which raises ValueError that does not repeat the content.

    ``key`` is the configuration's, for messages. Its `repr` shows the path alone.
    """

    __slots__ = ("_key", "_parse", "_path", "_seen", "_value")

    def __init__(self, key: str, path: str, parse: Callable[[str], T]) -> None:
        self._key = key
        self._path = Path(path)
        self._parse = parse
        self._seen: Signature = ()
        self._value: T | None = None

    def __repr__(self) -> str:
        """Say where it comes from."""
        return f"<Secret {self._key} from {self._path}>"

    def read(self) -> T:
        """Return what the file says now. Raises `SecretError`."""
        try:
            seen = signature(self._path)
            if seen != self._seen or self._value is None:
                self._value = None
                self._value = self._parsed(_content(self._path))
                self._seen = seen
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise self._refusal(f"cannot be read ({why}); mount it or correct the key") from None
        return self._value

    def _parsed(self, content: bytes) -> T:
        if len(content) > _MOST_BYTES:
            raise self._refusal(f"is larger than {_MOST_BYTES} bytes; it should hold a few lines")
        try:
            return self._parse(content.decode("utf-8-sig", errors="replace"))
        except ValueError as error:
            raise self._refusal(str(error)) from None

    def _refusal(self, what: str) -> SecretError:
        return SecretError(f"{self._key} {self._path} {what}")


def one_secret(text: str) -> str:
    """Return a secret without the blanks around it. Raises ValueError."""
    text = text.strip()
    if not text:
        raise ValueError("is empty; it should hold one secret")
    if not _PRINTABLE.fullmatch(text):
        raise ValueError("holds more than one line of printable ASCII")
    return text


def header_lines(text: str) -> dict[str, str]:
    """Return the headers of lines ``name: value``; ``#`` begins a comment. Raises ValueError."""
    headers: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not colon or not _HEADER_NAME.fullmatch(name) or not _PRINTABLE.fullmatch(value):
            raise ValueError(f"line {number} is not `name: value` in printable ASCII")
        if name.lower() in _OURS:
            raise ValueError(f"line {number} sets {name}, which each scrape sets itself; remove it")
        headers[name] = value
    return headers


def signature(path: Path) -> Signature:
    """Return what tells one state of a file from another. Raises OSError."""
    found = os.stat(path)  # noqa: PTH116 - as cheap as it gets: it runs with each scrape
    return (found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev)


def _content(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_MOST_BYTES + 1)
