"""V2 bodies with binary tensors: a JSON head, and behind it the bytes of the tensors, one after the other.

The length of the head is in the header ``Inference-Header-Content-Length``. KServe's logger does not pass
that on; then the head is what is JSON, if the sizes that it tells are those of the bytes behind it.
"""

import json
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from agent.drift.intake.json_body import parse
from agent.drift.intake.refusal import RefusedError

HEAD_LENGTH: Final = "Inference-Header-Content-Length"
GZIP: Final = b"\x1f\x8b"
"""What a compressed body begins with."""
_MOST: Final = 8 * 2**20
"""Bytes that a compressed body may become, as many as one that came uncompressed."""
_KINDS: Final = {
    **dict(zip(("INT8", "INT16", "INT32", "INT64"), "bhiq", strict=True)),
    **dict(zip(("UINT8", "UINT16", "UINT32", "UINT64"), "BHIQ", strict=True)),
    **dict(zip(("FP16", "FP32", "FP64"), "efd", strict=True)),
    "BOOL": "?",
}
"""The letters of the module `struct`."""
_LENGTH_BYTES: Final = 4
"""Before each text of a tensor of BYTES."""


def document(body: bytes, head: int | None = None) -> tuple[object, bytes]:
    """Return what the JSON of a body holds, and the bytes behind it, none for most bodies.

    ``head`` is the length of the JSON, where it is known. Loggers pass on what clients compressed, and do
    not say so. Raises `RefusedError`.
    """
    if body.startswith(GZIP):
        body = _inflated(body)
    if head is not None:
        if not 0 <= head <= len(body):
            raise RefusedError(400, "malformed", f"{HEAD_LENGTH} is not within the body")
        return parse(body[:head]), body[head:]
    try:
        return parse(body), b""
    except RefusedError as error:
        found = _with_tail(body) if error.reason == "malformed" else None
        if found is None:
            raise
        return found


def _inflated(body: bytes) -> bytes:
    inflater = zlib.decompressobj(wbits=31)
    try:
        data = inflater.decompress(body, _MOST)
    except zlib.error as error:
        raise RefusedError(400, "malformed", "the body is compressed wrongly") from error
    if inflater.unconsumed_tail:
        raise RefusedError(413, "too_large", f"the body inflates to more than {_MOST >> 20} MiB")
    if not inflater.eof:
        raise RefusedError(400, "malformed", "the compressed body ends early")
    return data


def _with_tail(body: bytes) -> tuple[object, bytes] | None:
    """Return head and tensors of a body, `None` where it is no JSON with the bytes that it speaks of."""
    try:
        # Latin-1 has a character for each byte, so that places in the text are places in the body.
        _, end = json.JSONDecoder().raw_decode(body.decode("latin-1"))
        content = parse(body[:end])
    except (ValueError, RecursionError, RefusedError):
        return None
    if not isinstance(content, Mapping):
        return None
    tensors = [*_listed(content, "inputs"), *_listed(content, "outputs")]
    sizes = [size for each in tensors if (size := binary_size(each)) is not None]
    return (content, body[end:]) if sizes and sum(sizes) == len(body) - end else None


def _listed(content: Mapping[str, Any], key: str) -> Sequence[object]:
    found = content.get(key)
    return found if isinstance(found, list) else ()


def binary_size(tensor: object) -> int | None:
    """Return how many bytes of a tensor stand behind the JSON; `None` where its data stands in it."""
    parameters = tensor.get("parameters") if isinstance(tensor, Mapping) else None
    size = parameters.get("binary_data_size") if isinstance(parameters, Mapping) else None
    return size if type(size) is int and size >= 0 else None


class TensorBytes:
    """The bytes behind the JSON, taken tensor by tensor, in the order in which they are told."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def take(self, datatype: object, size: int) -> list[object]:
        """Return the values of the next tensor. Raises `RefusedError` where they are none of that type."""
        end = self._place + size
        if end > len(self._data):
            raise RefusedError(400, "malformed", "the body has fewer bytes than its tensors")
        part, self._place = self._data[self._place : end], end
        read = _READERS.get(str(datatype))
        try:
            if read is not None:
                return read(part)
            return _unpacked(part, _KINDS[str(datatype)])
        except KeyError:
            raise RefusedError(415, "wrong_type", "a tensor has an unknown datatype") from None
        except (ValueError, struct.error) as error:
            raise RefusedError(
                400, "malformed", "a tensor's bytes are no values of its datatype"
            ) from error


def _unpacked(part: bytes, kind: str) -> list[object]:
    count = len(part) // struct.calcsize(f"<{kind}")
    return list(struct.unpack(f"<{count}{kind}", part))


def _bfloat16(part: bytes) -> list[object]:
    """Return numbers of which only the upper half of the bits of FP32 is there."""
    whole = bytearray(2 * len(part))
    whole[2::4], whole[3::4] = part[::2], part[1::2]
    return _unpacked(bytes(whole), "f")


def _texts(part: bytes) -> list[object]:
    """Return texts, each after its length; what is no UTF-8 is no text, and a type error later."""
    found: list[object] = []
    place = 0
    while place < len(part):
        begin = place + _LENGTH_BYTES
        place = begin + int.from_bytes(part[place:begin], "little")
        if begin > len(part) or place > len(part):
            raise ValueError("the last text is cut off")
        found.append(_text(part[begin:place]))
    return found


def _text(part: bytes) -> object:
    try:
        return part.decode()
    except UnicodeDecodeError:
        return part


_READERS: Final[Mapping[str, Callable[[bytes], list[object]]]] = {
    "BF16": _bfloat16,
    "BYTES": _texts,
}
