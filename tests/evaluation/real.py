"""The detectors on real series: how often each fires where nothing changed, and where something did."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from tests.evaluation.data import Annotated, Split
from tests.evaluation.detectors import Column, cut, detectors

CENSUS_CHUNK: Final = 5_000
LOAN_CHUNK: Final = 5_000
LOAN_DRIFTED: Final = frozenset(
    {"car_value", "salary_range", "loan_length", "repaid_loan_on_prev_car"}
)
"""What NannyML's documents say drifted from the second half on; nothing else did."""
LOAN_FEATURES: Final = (
    *sorted(LOAN_DRIFTED),
    "debt_to_income_ratio",
    "driver_tenure",
    "size_of_downpayment",
)
NOT_FEATURES: Final = frozenset({"year", "employed", "prediction", "predicted_probability"})
MARGIN: Final = 5
"""Points by which a found change may miss an annotated one, as in the benchmark of the data set."""


class Share(NamedTuple):
    """How many of so many windows fired."""

    fired: int
    of: int

    @property
    def percent(self) -> float:
        """The share in percent."""
        return 100 * self.fired / self.of if self.of else 0.0


def shuffled(columns: Mapping[str, Column], seed: int) -> dict[str, Column]:
    """Return the rows in another order, the same in each column."""
    order = list(range(len(next(iter(columns.values())))))
    random.Random(seed).shuffle(order)
    return {name: [values[place] for place in order] for name, values in columns.items()}


def census(split: Split, features: Sequence[str] = ()) -> dict[str, dict[str, Share]]:
    """Return the shares of feature-chunks that fire, in the order of the file and shuffled.

    People do not come to a survey in an order: what fires in the file's order alone is how it was stored.
    """
    names = features or [name for name in split.reference if name not in NOT_FEATURES]
    found: dict[str, dict[str, Share]] = {}
    mixed = Split(shuffled(split.reference, 1), shuffled(split.later, 2))
    for order, each in (("shuffled", mixed), ("in the file's order", split)):
        fired: Counter[str] = Counter()
        chunks = 0
        for name in names:
            reference = mixed.reference[name]
            taught = detectors(name, reference, cut(reference, CENSUS_CHUNK))
            parts = cut(each.later[name], CENSUS_CHUNK)
            chunks += len(parts)
            for said, fires in taught.items():
                fired[said] += sum(map(fires, parts))
            known = list(taught)
        found[order] = {said: Share(fired[said], chunks) for said in known}
    return found


def weeks(columns: Mapping[str, Column], name: str) -> list[list[Any]]:
    """Return a column by week, whole weeks alone."""
    found: dict[int, list[Any]] = {}
    for week, value in zip(columns["week"], columns[name], strict=True):
        found.setdefault(int(week), []).append(value)
    return [values for _, values in sorted(found.items()) if len(values) > 1_500]


def flights(split: Split) -> dict[str, dict[str, Share]]:
    """Return by feature the shares of the second half's weeks that fire."""
    found = {}
    for name in split.reference:
        if name == "week":
            continue
        taught = detectors(name, split.reference[name], weeks(split.reference, name))
        later = weeks(split.later, name)
        found[name] = {
            said: Share(sum(map(fires, later)), len(later)) for said, fires in taught.items()
        }
    return found


MADE: Final[Mapping[tuple[str, str], Callable[[float], float]]] = {
    ("DEPARTURE_DELAY", "+ 5 min"): lambda value: value + 5,
    ("DISTANCE", "x 1.1"): lambda value: value * 1.1,
    ("TAXI_OUT", "+ 2 min"): lambda value: value + 2,
    ("AIR_TIME", "x 1.1"): lambda value: value * 1.1,
}
"""Changes put into the real flights: what a detector is for."""


def flights_changed(split: Split) -> dict[str, dict[str, Share]]:
    """Return by made change the shares of the second half's weeks that fire."""
    found = {}
    for (name, change), make in MADE.items():
        taught = detectors(name, split.reference[name], weeks(split.reference, name))
        later = [[make(value) for value in week] for week in weeks(split.later, name)]
        found[f"{name} {change}"] = {
            said: Share(sum(map(fires, later)), len(later)) for said, fires in taught.items()
        }
    return found


def car_loan(split: Split) -> dict[str, dict[str, Share]]:
    """Return the shares of feature-chunks that fire: where nothing changed, and where something did."""
    quiet: dict[str, list[int]] = {}
    changed: dict[str, list[int]] = {}
    for name in LOAN_FEATURES:
        taught = detectors(name, split.reference[name], cut(split.reference[name], LOAN_CHUNK))
        parts = cut(split.later[name], LOAN_CHUNK)
        for said, fires in taught.items():
            for number, part in enumerate(parts):
                is_changed = number >= 5 and name in LOAN_DRIFTED
                target = changed if is_changed else quiet
                target.setdefault(said, []).append(int(fires(part)))
    return {
        "where nothing changed": {
            said: Share(sum(each), len(each)) for said, each in quiet.items()
        },
        "where something did": {
            said: Share(sum(each), len(each)) for said, each in changed.items()
        },
    }


def change_points(series: Annotated) -> dict[str, float]:
    """Return the F1 of river's detectors against the annotators (van den Burg and Williams 2020).

    Ours are not among them: a series of a few hundred single values never has the hundred values a bin
    that we ask for, so it is not measured.
    """
    from river import drift  # noqa: PLC0415 - of the evaluation's environment

    found = {}
    for name, make in (
        ("ADWIN", drift.ADWIN),
        ("Page-Hinkley", drift.PageHinkley),
        ("KSWIN", lambda: drift.KSWIN(seed=1)),
    ):
        detector, said = make(), []
        for place, value in enumerate(series.values):
            detector.update(value)
            if detector.drift_detected:
                said.append(place)
        found[name] = f1(said, series.changes)
    return found


def f1(said: Sequence[int], annotators: Mapping[str, Sequence[int]]) -> float:
    """Return the harmonic mean of precision (against anybody) and recall (mean over annotators)."""
    points = {0, *said}
    sides = [{0, *changes} for changes in annotators.values()]
    anybody = set().union(*sides)
    precision = len(_found(anybody, points)) / len(points)
    recall = sum(len(_found(side, points)) / len(side) for side in sides) / len(sides)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _found(truth: set[int], points: set[int]) -> set[int]:
    left, hit = set(points), set()
    for true in sorted(truth):
        near = [point for point in left if abs(point - true) <= MARGIN]
        if near:
            left.discard(min(near, key=lambda point: abs(point - true)))
            hit.add(true)
    return hit
