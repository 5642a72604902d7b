"""Reads a secret from a file, and again when the file changes: Kubernetes rotates tokens under us."""

import os
import re
from pathlib import Path
from typing import Final

_MOST_BYTES: Final = 64 * 1024
"""A token is far smaller, and a wrong path may point at anything."""
_PRINTABLE: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
"""What a header can carry; a line's end within would begin another header."""

Signature = tuple[int, ...]
"""What differs when a file was written or replaced, also through a link that now leads elsewhere."""


class SecretError(Exception):
    """A secret cannot be used; the message names the key and the file, never the content."""


class Secret:
    """One secret. ``key`` is the configuration's, for messages. Its `repr` shows the path alone."""

    __slots__ = ("_key", "_path", "_seen", "_value")

    def __init__(self, key: str, path: str) -> None:
        self._key = key
        self._path = Path(path)
        self._seen: Signature = ()
        self._value = ""

    def __repr__(self) -> str:
        """Say where it comes from."""
        return f"<Secret {self._key} from {self._path}>"

    def read(self) -> str:
        """Return the secret as the file has it now, without blanks around it. Raises `SecretError`."""
        try:
            seen = signature(self._path)
            if seen != self._seen:
                self._value = self._checked(_content(self._path))
                self._seen = seen
        except OSError as error:
            self._seen = ()
            why = error.strerror or type(error).__name__
            raise self._refusal(f"cannot be read ({why}); mount it or correct the key") from None
        return self._value

    def _checked(self, content: bytes) -> str:
        self._seen = ()
        if len(content) > _MOST_BYTES:
            raise self._refusal(f"is larger than {_MOST_BYTES} bytes; it should hold one secret")
        text = content.decode("utf-8-sig", errors="replace").strip()
        if not text:
            raise self._refusal("is empty; it should hold one secret")
        if not _PRINTABLE.fullmatch(text):
            raise self._refusal("holds more than one line of printable ASCII")
        return text

    def _refusal(self, what: str) -> SecretError:
        return SecretError(f"{self._key} {self._path} {what}")


def signature(path: Path) -> Signature:
    """Return what tells one state of a file from another. Raises OSError."""
    found = os.stat(path)  # noqa: PTH116 - as cheap as it gets: it runs with each scrape
    return (found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev)


def _content(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_MOST_BYTES + 1)
