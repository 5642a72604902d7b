"""How often a place is asked whether it is a model server: less and less, and never for ever in vain.

A model that loads for half an hour must be found soon after, and a web server with a tempting port must not
be asked each few seconds for the rest of its life.
"""

from typing import Final

FIRST: Final = 1.0
"""Seconds until the second try."""
SPARE: Final = 2.0
"""Seconds until the first try where another place of the same pod or process is the better guess."""
_LONGEST_SURE: Final = 30.0
"""Between tries where an image, a command, a label or an annotation says that it is a model server."""
_LONGEST: Final = 300.0
"""Between tries where only a port does."""


def pause(tries: int, *, sure: bool) -> float:
    """Return how many seconds to wait after so many tries in vain, one at least."""
    return min(_LONGEST_SURE if sure else _LONGEST, FIRST * 2.0 ** min(tries - 1, 16))
