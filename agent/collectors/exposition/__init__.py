"""Reads Prometheus' classic text format, fast enough for hundreds of servers on one node.

The semantics of a line are those of `prometheus_client.parser`, which stays the oracle of the tests and
does the reading wherever a line is unusual. Ours differs from it in five points, each of them on purpose:

- a malformed line is counted and left out; the library raises, and the page is lost with it;
- a counter keeps the name that it was exposed under; the library adds ``_total`` where it is missing;
- a type holds for the whole page, wherever its ``# TYPE`` stands; the library forgets it at the first
  stray line, and calls the rest of the family untyped;
- a line of more than 64 KiB is malformed; the library takes seconds for one of megabytes;
- only the values of wanted samples are read; of the others, a line is judged once per name.
"""

from agent.collectors.exposition.faults import Faults
from agent.collectors.exposition.page import (
    CONFLICTING,
    NONE,
    UNKNOWN,
    Page,
    Sample,
    Samples,
    Series,
)
from agent.collectors.exposition.parser import INLINE_BYTES, Parser

__all__ = [
    "CONFLICTING",
    "INLINE_BYTES",
    "NONE",
    "UNKNOWN",
    "Faults",
    "Page",
    "Parser",
    "Sample",
    "Samples",
    "Series",
]
