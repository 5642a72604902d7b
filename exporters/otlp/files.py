"""Notices that files were replaced: keys and certificates are rotated under running agents."""

import os
from pathlib import Path

Signature = tuple[tuple[int, int, int, int], ...]


def signature(*files: str | Path) -> Signature:
    """Return what changes when one of ``files`` is written, replaced, or reached by another link.

    Empty names are left out. Raises `OSError`.
    """
    found = (os.stat(file) for file in files if file)  # noqa: PTH116 - names are text as often as paths
    return tuple((each.st_mtime_ns, each.st_size, each.st_ino, each.st_dev) for each in found)


def changed(since: Signature, *files: str | Path) -> bool:
    """Return whether ``files`` are not what they were; one that cannot be seen is no change yet."""
    try:
        return signature(*files) != since
    except OSError:
        return False
