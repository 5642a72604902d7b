"""Puts made-up names in the place of those that say whose machine a recording is from.

Within one recording the same name always becomes the same pseudonym, so that everything still belongs
together; the key is forgotten with the process, so that nobody can go back. Models, versions, PCI addresses
and names of executables stay: faults depend on them.
"""

import re
import secrets
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_CONTAINER: Final = re.compile(r"[0-9a-f]{64}")


class Pseudonyms:
    """Replaces names in data as JSON has it: UUIDs and ids of containers anywhere, and serial numbers."""

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key or secrets.token_bytes(16)
        self._serials: dict[str, str] = {}

    def replace(self, data: Any, key: str = "") -> Any:
        """Return ``data``, found under ``key``, without names."""
        if isinstance(data, dict):
            return {name: self.replace(each, name) for name, each in data.items()}
        if isinstance(data, list):
            return [self.replace(each, key) for each in data]
        if isinstance(data, str) and data:
            return self._text(data, key)
        return data

    def _text(self, text: str, key: str) -> str:
        if "serial" in key:
            return self._serials.setdefault(text, self._digits(text))
        if key == "container":
            return self._hexadecimal(text)
        replaced = _UUID.sub(lambda found: str(UUID(bytes=self._bytes(found[0].lower()))), text)
        replaced = _CONTAINER.sub(lambda found: self._hexadecimal(found[0]), replaced)
        if key == "uuid" and replaced == text:
            return f"GPU-{UUID(bytes=self._bytes(text))}"
        for serial, made_up in self._serials.items():
            replaced = replaced.replace(serial, made_up)
        return replaced

    def _bytes(self, name: str, size: int = 16) -> bytes:
        return blake2b(name.encode(), key=self._key, digest_size=size).digest()

    def _hexadecimal(self, name: str) -> str:
        return self._bytes(name, 32).hex()

    def _digits(self, name: str) -> str:
        length = max(10, min(len(name), 30))
        return str(int.from_bytes(self._bytes(name, 32), "big"))[-length:]
