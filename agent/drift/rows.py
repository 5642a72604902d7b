"""What every road in ends in: rows of one model, column by column.

The roads (KServe, Seldon, Triton, BentoML, OTLP, plain rows, files) differ; what is counted does not.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from agent.catalogue import drift

Value = float | str | bool | Sequence[float] | None
"""One value: a number, a word, a vector, or nothing. Anything else is a type error, and is counted as one."""

PREDICTION = "prediction"
"""The column of what the model answered: a class or a number."""
SCORE = drift.SCORE
"""The column of how sure the model was, 0 to 1."""
LABEL = "label"
"""The column of what turned out to be true, where it is known."""
LATENCY = "latency"
"""The column of how long the answer took, seconds."""
ROW_ID = "row_id"
"""The column of what tells a row from all others, by which its label finds it later; it is no feature."""
LENGTH = ".length"
"""What the name of a text's length ends in."""
OWN = frozenset({PREDICTION, SCORE, LABEL, LATENCY, ROW_ID})


def is_own(name: str) -> bool:
    """Tell whether a column, or the feature that is made of it, is one that every model may have."""
    return name.removesuffix(LENGTH) in OWN


def id_of_row(event: str, number: int, rows: int) -> str:
    """Return the id of one row of an event of several ``rows``; of a single one, it is the event's."""
    return event if rows == 1 else f"{event}#{number}"


class Rows(NamedTuple):
    """Rows of one model. All columns are equally long; a missing value is `None`.

    ``columns`` are by feature, the reserved ones (`OWN`) included. ``time`` is Unix seconds, by the
    receiver's clock: a sender's clock may be wrong by hours. ``whole`` is false where only a request or
    only an answer is known: what the other side would have told is not missing then, but unknown.
    ``blank`` is how many rows there are where no column tells.
    """

    model: str
    model_version: str
    columns: Mapping[str, Sequence[object]]
    time: float
    whole: bool = True
    blank: int = 0

    @property
    def size(self) -> int:
        """How many rows there are."""
        return max(map(len, self.columns.values()), default=self.blank)

    @property
    def late(self) -> bool:
        """Whether these are labels of rows that came before, and nothing else."""
        return not self.whole and self.columns.keys() == {ROW_ID, LABEL}
