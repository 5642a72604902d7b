"""How right a model was: counts labels against predictions, by bin of the score, when the labels come.

Labels come with their rows, or days later with the rows' ids. What waits for its label is a score and a
prediction under a hash of the id, bounded in number and in time.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

from agent.catalogue.drift import MISSING, OTHER
from agent.drift.bins import NumericBins
from agent.drift.column import finite, spelled
from agent.drift.reference import Reference
from agent.drift.rows import LABEL, PREDICTION, ROW_ID, SCORE

TIME_TO_LIVE: Final = 7 * 86_400.0
"""Seconds for which a row waits for its label at most; for half of that at least, if there is room."""
MOST_WAITING: Final = 100_000
"""Rows of all models that wait, some 20 MiB."""
BINARY: Final = ("true_positive", "false_positive", "true_negative", "false_negative")
OTHERWISE: Final = ("right", "wrong")
"""Where there is no positive class."""


class Said(NamedTuple):
    """What a model said of a row, as short as it can be compared: a text is its hash."""

    score: float | None
    prediction: str | None


class Awaited:
    """Rows that wait for their labels, in two generations: the older one goes as a whole."""

    def __init__(self, most: int = MOST_WAITING, time_to_live: float = TIME_TO_LIVE) -> None:
        self._half = max(1, most // 2)
        self._lifetime = time_to_live / 2
        self._young: dict[int, Said] = {}
        self._old: dict[int, Said] = {}
        self._began = float("-inf")

    def put(self, model: tuple[str, str], row: object, said: Said, now: float) -> None:
        """Keep what was said of a row until its label comes. ``now`` is Unix seconds."""
        if said == (None, None):
            return
        if not 0 <= now - self._began < self._lifetime or len(self._young) >= self._half:
            within = 0 <= now - self._began < 2 * self._lifetime
            self._old, self._young = (self._young if within else {}), {}
            self._began = now
        self._young[_key(model, row)] = said

    def take(self, model: tuple[str, str], row: object) -> Said | None:
        """Return what was said of a row, once; `None` where nothing is known of it (any more)."""
        key = _key(model, row)
        young = self._young.pop(key, None)
        old = self._old.pop(key, None)
        return young if young is not None else old

    def knows(self, model: tuple[str, str], row: object) -> bool:
        """Tell whether a row waits."""
        key = _key(model, row)
        return key in self._young or key in self._old

    def __len__(self) -> int:
        """Tell how many wait."""
        return len(self._young) + len(self._old)


def _key(model: tuple[str, str], row: object) -> int:
    told = "\0".join((*model, str(row))).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(told, digest_size=8).digest(), "big")


def joined(
    model: tuple[str, str], columns: Mapping[str, Sequence[object]], awaited: Awaited, now: float
) -> tuple[dict[str, list[object]], int]:
    """Return the rows of a batch that have a label, and how many labels have no row that is known.

    What the model says of rows without a label waits for it in ``awaited``.
    """
    found: dict[str, list[object]] = {SCORE: [], PREDICTION: [], LABEL: []}
    if not columns.keys() & found.keys():
        return found, 0
    size = max(map(len, columns.values()), default=0)
    blank: Sequence[object] = [None] * size
    told = [columns.get(name, blank) for name in (ROW_ID, SCORE, PREDICTION, LABEL)]
    unmatched = 0
    for row, *answer, label in zip(*told, strict=False):
        said: Sequence[object] | None = answer
        if answer == [None, None]:
            said = awaited.take(model, row) if row is not None and label is not None else None
            unmatched += said is None and label is not None
        elif label is None and row is not None:
            awaited.put(model, row, Said(finite(answer[0]), spelled(answer[1])), now)
        if said is not None and label is not None:
            for name, value in zip((SCORE, PREDICTION, LABEL), (*said, label), strict=True):
                found[name].append(value)
    return found, unmatched


class LabelCounter:
    """Counts of labels by bin of the score and by outcome; every pair is there from the start."""

    def __init__(self, reference: Reference) -> None:
        score = reference.by_name.get(SCORE)
        bins = score.bins if score and isinstance(score.bins, NumericBins) else NumericBins(())
        calibration = reference.calibration
        self._edges = bins.edges
        self._labels = bins.labels
        self._positive = calibration.positive if calibration else ""
        outcomes = BINARY if self._positive else OTHERWISE
        self.counts = {(label, each): 0 for label in bins.labels for each in outcomes}

    def add(self, judged: Mapping[str, Sequence[object]]) -> None:
        """Count rows of which all is known, as `joined` returns them; without a prediction there is none."""
        columns = judged[SCORE], judged[PREDICTION], judged[LABEL]
        for score, prediction, label in zip(*columns, strict=True):
            said, truth = spelled(prediction), spelled(label)
            if said is not None and truth is not None:
                self.counts[self._bin(score), self._outcome(said, truth)] += 1

    def _bin(self, score: object) -> str:
        if score is None:
            return MISSING
        number = finite(score)
        return OTHER if number is None else self._labels[bisect_left(self._edges, number)]

    def _outcome(self, said: str, truth: str) -> str:
        if not self._positive:
            return "right" if said == truth else "wrong"
        verdict = "true" if said == truth else "false"
        return f"{verdict}_{'positive' if said == self._positive else 'negative'}"

    def __iter__(self) -> Iterator[tuple[tuple[str, str], int]]:
        """Return each bin and outcome with its count."""
        return iter(self.counts.items())
