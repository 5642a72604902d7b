"""Unpacks gzip no further than there is room for, so that a bomb ends at the limit."""

import zlib

from agent.collectors.scrape.reasons import ScrapeError, too_large

_GZIP = 16 + zlib.MAX_WBITS
"""zlib's way of saying: a gzip header, any window."""


class Gunzip:
    """Unpacks one body, which may come in chunks and consist of several members."""

    def __init__(self, shown: str, limit: int) -> None:
        self._shown = shown
        self._limit = limit
        self._stream = zlib.decompressobj(_GZIP)

    @property
    def finished(self) -> bool:
        """Whether the body ended where gzip says that it ends."""
        return self._stream.eof

    def unpack(self, chunk: bytes, size: int) -> bytes:
        """Return what ``chunk`` adds to the ``size`` bytes that there are.

        Raises `ScrapeError` where that is beyond the limit, or the chunk is not gzip.
        """
        out = bytearray()
        while chunk:
            if self._stream.eof:
                self._stream = zlib.decompressobj(_GZIP)
            try:
                out += self._stream.decompress(chunk, self._limit + 1 - size - len(out))
            except zlib.error:
                detail = f"{self._shown} says that it answers in gzip, and does not"
                raise ScrapeError("bad_encoding", detail) from None
            if size + len(out) > self._limit:
                raise too_large(self._shown, self._limit)
            chunk = self._stream.unused_data
        return bytes(out)
