"""What is made of files that are replaced under a running agent: the newest that works stays in use.

Certificates are rotated by programs, tokens by people; neither restarts an agent, and a mistake in a new file
must not lock everybody out of an endpoint that was well a moment ago.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Final, Generic, TypeVar

from agent.snapshot import Problem
from exporters.otlp.files import Signature, signature

_MOST_BYTES: Final = 256 * 1024
"""Of a file: a bundle of authorities may have 200 KiB, and a wrong path may point at anything."""

T = TypeVar("T")
_log = logging.getLogger(__name__)


class UnusableFilesError(Exception):
    """Files cannot be used; ``problems`` name each with its key and the fix, and never what it holds."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems: Final = problems


class Kept(Generic[T]):
    """``make`` makes it of ``files``, paths by the key of the configuration that names them.

    ``make`` raises `UnusableFilesError`, and so does this the first time. ``reason`` is the word for such a
    problem later on.
    """

    def __init__(
        self, reason: str, files: Mapping[str, str], make: Callable[[Mapping[str, str]], T]
    ) -> None:
        self._reason = reason
        self._files: Final = dict(files)
        self._make = make
        self._problem: Problem | None = None
        self._seen = self._signature()  # before they are read: what changes meanwhile is read again
        self.value = make(self._files)

    def refresh(self) -> Problem | None:
        """Make it anew where a file changed; return what is wrong with the files as they are now."""
        seen = self._signature()
        if seen != self._seen:
            self._seen = seen
            try:
                self.value, self._problem = self._make(self._files), None
            except UnusableFilesError as error:
                _log.warning("%s; what was read before stays in use", error)
                self._problem = Problem(self._reason, ", ".join(self._files), str(error))
            else:
                _log.info("%s: read again", ", ".join(self._files.values()))
        return self._problem

    def _signature(self) -> Signature | None:
        try:
            return signature(*self._files.values())
        except OSError:
            return None


def content(path: str) -> bytes:
    """Return what a file holds. Raises `ValueError` that says why it cannot be read."""
    try:
        with open(path, "rb") as stream:  # noqa: PTH123 - the path is text
            data = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise ValueError(f"cannot be read ({why}); mount it or correct the key") from None
    if len(data) > _MOST_BYTES:
        raise ValueError(f"is larger than {_MOST_BYTES} bytes; it should hold a few lines")
    return data


def read_by(parse: Callable[[bytes], T]) -> Callable[[Mapping[str, str]], T]:
    """Return what makes something of one file's content by ``parse``, which raises `ValueError`."""

    def make(files: Mapping[str, str]) -> T:
        ((key, path),) = files.items()
        try:
            return parse(content(path))
        except ValueError as error:
            raise UnusableFilesError(f"{key} {path} {error}") from None

    return make
