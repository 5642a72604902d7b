"""Names that payloads bring and that become labels: short, and never two things under one name."""

from hashlib import blake2b
from typing import Final

MAX_NAME: Final = 128
"""Characters of the name of a feature, a model or a version."""
_DIGEST: Final = 4
"""Bytes of the hash at the end of what was longer."""


def bounded(name: str, most: int = MAX_NAME) -> str:
    """Return a name of at most ``most`` characters: a longer one ends in the hash of the whole."""
    if len(name) <= most:
        return name
    digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=_DIGEST).hexdigest()
    return f"{name[: most - len(digest) - 1]}~{digest}"
