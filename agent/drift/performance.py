"""How right a model is, where nobody knows the truth yet: estimated from counts of its scores alone.

Confidence-based performance estimation (CBPE, as NannyML has it) on bins: a labelled reference tells for each
bin of the score how often the model was right there, and how often the label was the positive one. The
estimate for any traffic is the mean of that over the traffic's own counts, which is one sum in PromQL, over a
whole fleet. It holds as long as a score still means what it meant; that the world changed, it cannot see.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

SCORE_BINS: Final = 20
"""Bins of the score: with 20, estimates from counts are as near to the truth as those from every row."""


@dataclass(frozen=True)
class Calibration:
    """What labelled rows told of each bin of the score, in the order of the bins.

    ``labelled``, ``right`` and ``positives`` are counts of rows: all, those that were predicted right, and
    those whose label was ``positive``. ``right`` is empty where there were no predictions, ``positives``
    where the labels have no positive class or the score is not its probability.
    """

    labelled: tuple[int, ...]
    right: tuple[int, ...] = ()
    positives: tuple[int, ...] = ()
    positive: str = ""

    def __post_init__(self) -> None:
        """Refuse counts that contradict each other. Raises ValueError."""
        for name, counts in (("right", self.right), ("positives", self.positives)):
            if counts and len(counts) != len(self.labelled):
                raise ValueError(
                    f"calibration: {name} has {len(counts)} counts, labelled has others"
                )
            if any(
                not 0 <= part <= whole for part, whole in zip(counts, self.labelled, strict=False)
            ):
                raise ValueError(f"calibration: {name} exceeds labelled, or is negative")
        if sum(self.labelled) <= 0 or min(self.labelled) < 0:
            raise ValueError("calibration: labelled must count rows")

    @cached_property
    def correctness(self) -> tuple[float, ...]:
        """The probability, per bin, that a prediction is right; empty where it is not known."""
        return _shares(self.right, self.labelled)

    @cached_property
    def positive_rates(self) -> tuple[float, ...]:
        """The probability, per bin, that the label is positive: it never falls as the score rises."""
        return isotonic(_shares(self.positives, self.labelled), [n + 1 for n in self.labelled])


def _shares(part: Sequence[int], whole: Sequence[int]) -> tuple[float, ...]:
    """Return the share in each bin, with one row more in each that is like all: no bin is without one."""
    mean = sum(part) / sum(whole)
    return tuple((few + mean) / (many + 1) for few, many in zip(part, whole, strict=False))


def isotonic(values: Sequence[float], weights: Sequence[float]) -> tuple[float, ...]:
    """Return the nearest values that never fall (pool adjacent violators, Ayer et al. 1955)."""
    blocks: list[tuple[float, float, int]] = []  # mean, weight, how many values
    for value, weight in zip(values, weights, strict=False):
        blocks.append((value, weight, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (mean, heavy, size), (later, more, count) = blocks[-2:]
            together = (mean * heavy + later * more) / (heavy + more)
            blocks[-2:] = [(together, heavy + more, size + count)]
    return tuple(mean for mean, _, size in blocks for _ in range(size))


def estimated_accuracy(counts: Sequence[float], calibration: Calibration) -> float | None:
    """Return the share of right predictions that is to be expected of traffic with these scores.

    ``counts`` are of the score's ordered bins. `None` where it cannot be told.
    """
    expected = calibration.correctness
    if not expected or not sum(counts):
        return None
    return sum(n * right for n, right in zip(counts, expected, strict=True)) / sum(counts)


def estimated_roc_auc(counts: Sequence[float], calibration: Calibration) -> float | None:
    """Return the area under the ROC curve that is to be expected of traffic with these scores."""
    rates = calibration.positive_rates
    if not rates:
        return None
    positives = [n * rate for n, rate in zip(counts, rates, strict=True)]
    return roc_auc(positives, [n - hit for n, hit in zip(counts, positives, strict=True)])


def roc_auc(positives: Sequence[float], negatives: Sequence[float]) -> float | None:
    """Return the probability that a positive row has a higher bin than a negative one, ties counting half."""
    pairs = sum(positives) * sum(negatives)
    if not pairs:
        return None
    below, won = 0.0, 0.0
    for positive, negative in zip(positives, negatives, strict=True):
        won += positive * (below + negative / 2)
        below += negative
    return won / pairs
