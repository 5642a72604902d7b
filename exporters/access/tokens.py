"""Bearer tokens, one a line, so that there can be an old and a new one while they are replaced."""

import re
from hmac import compare_digest
from typing import Final

_TOKEN: Final = re.compile(rb"[\x21-\x7e]+")

Tokens = tuple[bytes, ...]


def tokens(data: bytes) -> Tokens:
    """Return the tokens of a file. Raises `ValueError`, which repeats none of it."""
    found = []
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        token = line.strip()
        if token and not _TOKEN.fullmatch(token):
            raise ValueError(
                f"line {number} is no token: it must be printable ASCII without blanks"
            )
        if token:
            found.append(token)
    if not found:
        raise ValueError("is empty; it should hold a token, such as `openssl rand -hex 32` makes")
    return tuple(found)


def is_one(known: Tokens, given: bytes) -> bool:
    """Tell whether it is one of them, in a time that does not tell which, or how much of it is right."""
    return any([compare_digest(given, each) for each in known])  # noqa: C419 - all are compared
