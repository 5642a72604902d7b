"""Names and hashed passwords, as `htpasswd -B` writes them.

bcrypt is the one hash that both Apache's tools and Prometheus' exporters know. It is loaded only where there
are users.
"""

import re
from collections.abc import Mapping
from typing import Final

_LINE: Final = re.compile(
    r"""["']?(?P<name>[^:"']+?)["']?\s*:\s*["']?(?P<hash>\$2[aby]\$(?P<cost>\d\d)\$[./0-9A-Za-z]{53})["']?"""
)
_MOST_COST: Final = 14
"""Each step doubles the time: 10 takes 60 ms, 14 takes one second."""
_MOST_BYTES: Final = 72
"""Of a password, beyond which bcrypt looks at nothing."""

Users = Mapping[bytes, bytes]
"""Hashes by name; there is at least one."""


def users(data: bytes) -> Users:
    """Return the users of a file, a line each; ``#`` begins a comment.

    Raises `ValueError`, which repeats none of it.
    """
    found: dict[bytes, bytes] = {}
    for number, line in enumerate(data.decode("utf-8-sig", "replace").splitlines(), start=1):
        line = line.strip()  # noqa: PLW2901 - blanks around it mean nothing
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(
                f"line {number} is no `name: hash` with a hash by bcrypt; write it with `htpasswd -nB NAME`"
            )
        if not 4 <= int(match["cost"]) <= _MOST_COST:
            raise ValueError(
                f"line {number} has a hash of cost {match['cost']}; use 4 to {_MOST_COST}, such as 10"
            )
        name = match["name"].encode()
        if name in found:
            raise ValueError(f"line {number} has a name that stands above already")
        found[name] = match["hash"].encode()
    if not found:
        raise ValueError("holds no user; write one with `htpasswd -nB NAME`")
    return found


def is_right(known: Users, name: bytes, password: bytes) -> bool:
    """Tell whether the password is the user's. Takes as long as bcrypt does, for unknown names as well."""
    import bcrypt  # noqa: PLC0415 - only where there are users

    if len(password) > _MOST_BYTES:
        return False
    # With an unknown name another's hash is compared, so that time does not tell which names there are.
    right = bcrypt.checkpw(password, known.get(name) or next(iter(known.values())))
    return right and name in known
