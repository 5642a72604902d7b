"""Files that are there whole or not at all: a full disk must not cost what was there before."""

import os
from contextlib import suppress
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all, as far as the disk keeps its word. Raises OSError, with ``path``.

    What is no regular file, such as a pipe, is written to; of a symbolic link, what it points to is replaced.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
        else:
            _replace(path.resolve(), text)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name[:100]}.{os.getpid()}.new")
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise
