"""What real servers make of ten requests, three of which fail: the oracle for their profiles.

Where a server counts a failure as a success, that is written down here and not corrected: nobody can
know from outside.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

GOOD: Final = 7
BAD: Final = 3
ALL: Final = GOOD + BAD


@dataclass(frozen=True, kw_only=True)
class Expected:
    """How counters grow: ``finished`` by reason, ``errors`` by type; ``durations`` are observed.

    ``timed``: a good request takes as long as it says. ``inflated``: by how much their sum may be too large.
    """

    finished: Mapping[str, int]
    errors: Mapping[str, int]
    durations: int = ALL
    timed: bool = True
    inflated: float = 1.0


EXPECTED: Final[Mapping[str, Expected]] = {
    # An error that a model of the Python back end answers is a success to Triton.
    "triton": Expected(finished={"success": ALL}, errors={}),
    "mlserver": Expected(finished={"success": GOOD, "error": BAD}, errors={"failure": BAD}),
    "bentoml": Expected(finished={"200": GOOD, "500": BAD}, errors={"500": BAD}),
    # The SDK counts how often it predicted, whatever came of it.
    "kserve": Expected(finished={"": ALL}, errors={}),
    # What fails here asks for another model, which has durations of its own.
    "dynamo": Expected(
        finished={"success": GOOD, "error": BAD},
        errors={"not_found": BAD},
        durations=GOOD,
        timed=False,
    ),
    # What is observed between 20 and 50 ms is 35 ms in the sum: Ray knows it by its bucket alone.
    "ray_serve": Expected(
        finished={"200": GOOD, "500": BAD}, errors={"500": BAD}, inflated=35 / 20
    ),
}
