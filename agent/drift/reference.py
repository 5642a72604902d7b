"""What traffic is compared with: frozen, versioned by its content, carried as a label in every series.

Two references never mix: whoever changes an edge or a count has another one, with another id.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any, Final

from agent.drift.bins import CategoryBins, NumericBins, midranks, smoothed
from agent.drift.embedding import Projection
from agent.drift.performance import Calibration
from agent.drift.rows import LENGTH, SCORE, is_own

FORMAT: Final = 1
"""Of the file; a reader refuses a newer one."""
_ID_LENGTH: Final = 12
"""Hexadecimal digits of the id: 48 bits, so that a fleet's few thousand references never collide."""


class InvalidReferenceError(ValueError):
    """A reference that cannot be one; the words say what is wrong and with which feature."""


@dataclass(frozen=True)
class FeatureReference:
    """What one feature looked like: ``counts`` are per bin, in the order of the bins' labels.

    ``low`` and ``high`` are the least and the greatest value seen, of numeric features: beyond them a value
    is out of range, which is not drift but often a broken sensor or unit.
    """

    name: str
    bins: NumericBins | CategoryBins
    counts: tuple[int, ...]
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        """Refuse counts that do not fit the bins. Raises InvalidReferenceError."""
        if len(self.counts) != len(self.bins.labels):
            raise InvalidReferenceError(
                f"feature {self.name}: {len(self.counts)} counts for {len(self.bins.labels)} bins"
            )
        if any(count < 0 for count in self.counts):
            raise InvalidReferenceError(f"feature {self.name}: a count is negative")

    @property
    def samples(self) -> int:
        """How many values it was made of, missing ones included."""
        return sum(self.counts)

    @cached_property
    def proportions(self) -> tuple[float, ...]:
        """The smoothed share of each bin."""
        return smoothed(self.counts)

    @cached_property
    def midranks(self) -> tuple[float, ...]:
        """The mean rank of each ordered bin among the ordered ones; empty for categories."""
        return midranks(self.counts[: self.bins.ordered])


@dataclass(frozen=True)
class Reference:
    """What a version of a model saw. ``origin`` says in words where it comes from; it is not in the id."""

    model: str
    model_version: str
    features: tuple[FeatureReference, ...]
    projections: tuple[Projection, ...] = ()
    """Of embeddings, by which some of the features are made."""
    calibration: Calibration | None = None
    """What labelled rows told of the score, where there were enough of them."""
    origin: str = field(default="", compare=False)
    created: float = field(default=0.0, compare=False)
    """Unix seconds."""

    def __post_init__(self) -> None:
        """Refuse what does not fit its features. Raises InvalidReferenceError."""
        if self.calibration is not None:
            score = self.by_name.get(SCORE)
            if score is None or score.bins.ordered != len(self.calibration.labelled):
                raise InvalidReferenceError("the calibration does not fit the bins of the score")
        numeric = {each.name for each in self.features if isinstance(each.bins, NumericBins)}
        made = [name for each in self.projections for name in each.features]
        for name in made:  # whoever counts a vector counts each of them
            if name not in numeric or made.count(name) > 1:
                raise InvalidReferenceError(
                    f"feature {name}: a projection makes it, and it is not there as one numeric feature"
                )

    @cached_property
    def id(self) -> str:
        """The content's hash: the same content has the same id on every node."""
        told = json.dumps(self._content(), sort_keys=True, separators=(",", ":"))
        return sha256(told.encode()).hexdigest()[:_ID_LENGTH]

    @cached_property
    def by_name(self) -> Mapping[str, FeatureReference]:
        """The features by name."""
        return {feature.name: feature for feature in self.features}

    @cached_property
    def columns(self) -> int:
        """How many columns it is made of; an embedding is one, and what every model may have is none."""
        made = {feature for each in self.projections for feature in each.features}
        named = [each.name for each in self.projections] + [
            name for name in self.by_name if name not in made
        ]
        return sum(not is_own(name) for name in named)

    def excess(self, most: int) -> str:
        """Return why it has more features than the ``most`` that a model may have; "" if it has not."""
        if self.columns <= most:
            return ""
        return (
            f"the reference {self.id} has {self.columns} features, and a model may have {most}: raise "
            "drift.max_features (a dozen series each, on every node), or give one with fewer features"
        )

    def knows(self, column: str) -> bool:
        """Tell whether a column of rows is one of the features, or some are made of it."""
        vectors = (each.name for each in self.projections)
        return bool({column, column + LENGTH} & self.by_name.keys()) or column in vectors

    def _content(self) -> dict[str, Any]:
        features = sorted(self.features, key=lambda feature: feature.name)
        return {
            "model": self.model,
            "model_version": self.model_version,
            "features": [_told(feature) for feature in features],
            **(
                {"projections": [each.to_json() for each in self.projections]}
                if self.projections
                else {}
            ),
            **({"calibration": asdict(self.calibration)} if self.calibration else {}),
        }

    def to_json(self) -> str:
        """Return it as a file has it."""
        content = {
            "format": FORMAT,
            "id": self.id,
            "origin": self.origin,
            "created": self.created,
            **self._content(),
        }
        return json.dumps(content, indent=1, sort_keys=True) + "\n"


def _told(feature: FeatureReference) -> dict[str, Any]:
    kind = "numeric" if isinstance(feature.bins, NumericBins) else "categorical"
    told = {"name": feature.name, "kind": kind, **asdict(feature.bins), "counts": feature.counts}
    bounds = {"low": feature.low, "high": feature.high}
    return told | {key: bound for key, bound in bounds.items() if bound is not None}
