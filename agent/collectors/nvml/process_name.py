"""The name of a process's executable, and nothing of its command line."""

from typing import Final

_LONGEST: Final = 64


def executable(said: str | bytes) -> str:
    """Return the last part of the path in ``said``, at most 64 printable characters.

    NVML gives the path, but of a process that wrote its own title the whole title, arguments and their
    secrets included. So all from the first blank on is dropped, even at the price of half a name where a
    path has a blank.
    """
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    words = text.split(maxsplit=1)
    name = words[0].rsplit("/", 1)[-1] if words else ""
    return "".join(filter(str.isprintable, name))[:_LONGEST]
