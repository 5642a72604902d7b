"""Judges the Authorization header of a request: a bearer token, or a name and a password."""

import asyncio
import binascii
import os
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from typing import Final

from agent.worker import Worker
from exporters.access.attempts import Attempts
from exporters.access.kept import Kept
from exporters.access.refusals import (
    CREDENTIALS_MISSING,
    CREDENTIALS_WRONG,
    TOO_MANY_ATTEMPTS,
)
from exporters.access.tokens import Tokens, is_one
from exporters.access.users import Users, is_right

_BEARER: Final = 'Bearer realm="warpwatch"'
_BASIC: Final = 'Basic realm="warpwatch", charset="UTF-8"'
_MOST_REMEMBERED: Final = 256
"""Judgements of each kind. Wrong ones do not push out right ones, so nobody can make us forget those."""
_MOST_WAITING: Final = 16
"""Passwords that wait for bcrypt, one after the other: a second's work."""


class Credentials:
    """Lets in who has one of the tokens, or a user's password; at least one of both is given."""

    def __init__(
        self, tokens: Kept[Tokens] | None, users: Kept[Users] | None, clock: Callable[[], float]
    ) -> None:
        self._tokens = tokens
        self._users = users
        self._passwords = None if users is None else _Passwords(users, clock)
        offered = ((_BEARER, tokens), (_BASIC, users))
        self.challenges: Final = tuple(challenge for challenge, given in offered if given)
        """Values of WWW-Authenticate, one for each scheme."""

    async def refusal(self, header: str, address: str) -> str:
        """Return why a request with this header is not let in; empty where it is."""
        scheme, _, value = header.strip().partition(" ")
        given = value.strip().encode("utf-8", "surrogateescape")
        match scheme.lower():
            case "":
                return CREDENTIALS_MISSING
            case "bearer" if self._tokens is not None:
                return "" if is_one(self._tokens.value, given) else CREDENTIALS_WRONG
            case "basic" if self._passwords is not None:
                return await self._passwords.refusal(given, address)
            case _:
                return CREDENTIALS_WRONG


class _Passwords:
    """Judges names and passwords; what bcrypt said once is remembered until the users change.

    Passwords are remembered by a keyed hash alone, and the key dies with the process.
    """

    def __init__(self, users: Kept[Users], clock: Callable[[], float]) -> None:
        self._users = users
        self._attempts = Attempts(clock)
        self._worker = Worker("bcrypt")
        self._key = os.urandom(32)
        self._judged_by: Users = {}
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._wrong: OrderedDict[bytes, None] = OrderedDict()
        self._waiting: dict[bytes, asyncio.Task[bool]] = {}

    async def refusal(self, given: bytes, address: str) -> str:
        """Return why this is refused, empty where it is not."""
        if self._judged_by is not self._users.value:
            self._judged_by = self._users.value
            self._right.clear()
            self._wrong.clear()
            self._waiting.clear()
        digest = blake2b(given, key=self._key, digest_size=32).digest()
        if digest in self._right:
            return ""
        if digest in self._wrong:
            return CREDENTIALS_WRONG
        task = self._waiting.get(digest)
        if task is None:
            name, colon, password = _decoded(given).partition(b":")
            if not colon:
                return CREDENTIALS_WRONG
            if len(self._waiting) >= _MOST_WAITING or not self._attempts.take(address):
                return TOO_MANY_ATTEMPTS
            judge = partial(self._judge, self._judged_by, digest, name, password)
            task = self._waiting[digest] = asyncio.create_task(judge(), name="bcrypt")
        # A client that goes away ends its own wait, and not that of others with the same password.
        return "" if await asyncio.shield(task) else CREDENTIALS_WRONG

    async def _judge(self, users: Users, digest: bytes, name: bytes, password: bytes) -> bool:
        right = await self._worker.call(partial(is_right, users, name, password))
        if users is self._judged_by:  # else it was judged by what holds no more
            del self._waiting[digest]
            remembered = self._right if right else self._wrong
            remembered[digest] = None
            while len(remembered) > _MOST_REMEMBERED:
                remembered.popitem(last=False)
        return right


def _decoded(given: bytes) -> bytes:
    """Return what base64 says; what is none is nobody's name."""
    try:
        return b64decode(given, validate=True)
    except binascii.Error:
        return b""
