"""Embeddings as nine ordinary features: their scores on the main directions, and how far out they lie.

A vector of hundreds of numbers cannot be binned; its principal components can, and see a change of topics
or of the encoder sooner than distances between all vectors do, at a hundredth of the cost. Counts of
them add up over a fleet like all others.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

COMPONENTS: Final = 8
"""Principal components: with eight, mixtures of topics and offsets of an encoder are both seen."""
SHORTEST: Final = 8
"""Numbers; a shorter vector is a row of features that lacks names."""
LONGEST: Final = 16_384
_LARGEST: Final = 1e30
"""A number beyond it is no direction's, and does not fit the four bytes that the sample has for it."""
RESERVOIR_BYTES: Final = 8 * 2**20
"""Of the sample that the directions are learned from: 5,461 vectors of 384 numbers, 512 of 4,096."""
DISTANCE: Final = ".distance"
_DIGITS: Final = 6
"""Significant ones of a direction: the file stays small, and what is projected changes by a millionth."""

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Projection:
    """Directions of one embedding. ``components`` are rows, each as long as ``mean``."""

    name: str
    mean: tuple[float, ...]
    components: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        """Refuse what is no projection. Raises ValueError."""
        numbers = [*self.mean, *(number for row in self.components for number in row)]
        if len(self.components) > COMPONENTS:
            raise ValueError(f"there are more than {COMPONENTS} directions, each a feature")
        if any(len(row) != len(self.mean) for row in self.components) or not self.mean:
            raise ValueError("a direction must be as long as the mean")
        if not all(map(isfinite, numbers)):
            raise ValueError("a number of a direction is not finite")

    @cached_property
    def _arrays(self) -> tuple[Matrix, Matrix]:
        return np.array(self.mean), np.array(self.components).reshape(-1, len(self.mean))

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features that it gives."""
        parts = (f"{self.name}.pc{number}" for number in range(len(self.components)))
        return (*parts, self.name + DISTANCE)

    def columns(self, values: Sequence[object]) -> dict[str, list[object]]:
        """Return a column for each feature; a value that is no such vector stays wrong in all of them."""
        rows = [vector(value, len(self.mean)) for value in values]
        good = [row for row in rows if row is not None]
        scores = self._scores(np.array(good)) if good else np.empty((0, len(self.features)))
        told: dict[str, list[object]] = {name: [] for name in self.features}
        place = 0
        for value, row in zip(values, rows, strict=True):
            for number, column in enumerate(told.values()):
                column.append(_wrong(value) if row is None else float(scores[place, number]))
            place += row is not None
        return told

    def _scores(self, vectors: Matrix) -> Matrix:
        mean, components = self._arrays
        centred = vectors - mean
        distance = np.sqrt((centred**2).sum(axis=1, keepdims=True))
        return np.hstack([centred @ components.T, distance])

    def to_json(self) -> dict[str, Any]:
        """Return it as a reference's file has it."""
        return {"name": self.name, "mean": self.mean, "components": self.components}


def from_json(content: Mapping[str, Any]) -> Projection:
    """Return what a file has. Raises KeyError, TypeError or ValueError where it is none."""
    return Projection(
        str(content["name"]),
        tuple(map(float, content["mean"])),
        tuple(tuple(map(float, row)) for row in content["components"]),
    )


class VectorReservoir:
    """A bounded sample of the vectors of one embedding, each seen one as likely as any other in it."""

    def __init__(self) -> None:
        self._vectors: list[NDArray[np.float32]] = []
        self._seen = 0
        self._length: int | None = None
        self._random = random.Random(0)  # noqa: S311 - a sample, not a secret

    def add(self, value: Sequence[float]) -> bool:
        """Take in a vector; False where it is none, or not as long as the first one."""
        row = vector(value, self._length)
        if row is None:
            return False
        self._length = len(row)
        self._seen += 1
        if len(self._vectors) < RESERVOIR_BYTES // (4 * self._length):
            self._vectors.append(row.astype(np.float32))
        elif (place := self._random.randrange(self._seen)) < len(self._vectors):
            self._vectors[place] = row.astype(np.float32)
        return True

    def learn(self, name: str) -> tuple[Projection, dict[str, list[object]]] | None:
        """Return the directions and the sample's own features; `None` for fewer than two vectors."""
        if len(self._vectors) < 2:
            return None
        sample = np.array(self._vectors, dtype=np.float64)
        mean = sample.mean(axis=0)
        projection = Projection(name, _rounded(mean), tuple(map(_rounded, _main(sample - mean))))
        return projection, projection.columns(list(sample.tolist()))


def vector(value: object, length: int | None = None) -> Matrix | None:
    """Return a list of numbers in proportion as an array, `None` where it is none, or not of this length."""
    if not isinstance(value, list) or not SHORTEST <= len(value) <= LONGEST:
        return None
    if length is not None and len(value) != length:
        return None
    if not set(map(type, value)) <= {int, float}:
        return None
    try:
        row = np.array(value, dtype=np.float64)
    except OverflowError:
        return None
    return row if (np.abs(row) <= _LARGEST).all() else None


def _main(centred: Matrix) -> list[Matrix]:
    """Return the main directions, largest first, by the smaller of the two Gram matrices.

    The sign of a direction means nothing; its largest number is made positive, so that the same sample
    gives the same directions everywhere.
    """
    count, length = centred.shape
    if length <= count:
        _, found = np.linalg.eigh(centred.T @ centred)
        directions = found[:, ::-1].T
    else:
        sizes, found = np.linalg.eigh(centred @ centred.T)
        kept = [place for place in range(count - 1, -1, -1) if sizes[place] > 1e-12 * sizes[-1]]
        if not kept:  # all alike: nothing but the distance can tell them from others
            return []
        directions = np.array([centred.T @ found[:, place] for place in kept])
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return [row * np.sign(row[np.abs(row).argmax()]) for row in directions[:COMPONENTS]]


def _rounded(row: Matrix) -> tuple[float, ...]:
    return tuple(float(f"{number:.{_DIGITS}g}") for number in row)


def _wrong(value: object) -> object:
    """Return what stands for a value that is no such vector: nothing, or something that is no number."""
    return None if value is None else ()
