"""What traffic is compared with: frozen, versioned by its content, carried as a label in every series.

Two references never mix: whoever changes an edge or a count has another one, with another id.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from hashlib import sha256
from math import isfinite
from typing import Any, Final

from agent.drift.bins import CategoryBins, NumericBins, midranks, smoothed
from agent.drift.embedding import Projection
from agent.drift.embedding import from_json as projection_from_json
from agent.drift.performance import Calibration
from agent.drift.rows import SCORE, is_own

FORMAT: Final = 1
"""Of the file; a reader refuses a newer one."""
_ID_LENGTH: Final = 12
"""Hexadecimal digits of the id: 48 bits, so that a fleet's few thousand references never collide."""


_LONGEST_NAME: Final = 160
"""Characters: what a payload may call it, and the suffix of a text or an embedding."""
_MOST_BINS: Final = 100
_MOST_SAMPLES: Final = 2**53


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
        """Refuse a calibration that does not fit the score's bins. Raises InvalidReferenceError."""
        if self.calibration is not None:
            score = self.by_name.get(SCORE)
            if score is None or score.bins.ordered != len(self.calibration.labelled):
                raise InvalidReferenceError("the calibration does not fit the bins of the score")

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


def from_json(text: str) -> Reference:
    """Return the reference that a file has. Raises `InvalidReferenceError` with what is wrong with it."""
    try:
        content = json.loads(text)
        if not isinstance(content, dict):
            raise InvalidReferenceError("a reference is a JSON object")
        json.dumps(content, ensure_ascii=False).encode()  # half a character could be in no label
        if content.get("format") != FORMAT:
            raise InvalidReferenceError(
                f"format {content.get('format')!r} is not known here; this version reads {FORMAT}"
            )
        found = Reference(
            model=str(content["model"]),
            model_version=str(content["model_version"]),
            features=tuple(map(_feature, content["features"])),
            projections=tuple(map(projection_from_json, content.get("projections", ()))),
            calibration=_calibration(content.get("calibration")),
            origin=str(content.get("origin", "")),
            created=float(content.get("created", 0.0)),
        )
    except RecursionError as error:
        raise InvalidReferenceError("nested too deep to be a reference") from error
    except KeyError as error:
        raise InvalidReferenceError(f"the key {error} is missing") from error
    except (TypeError, AttributeError, ValueError, OverflowError) as error:
        raise InvalidReferenceError(str(error)) from error
    _check_features(found.features)
    if content.get("id", found.id) != found.id:
        raise InvalidReferenceError(
            f"the content was changed: it hashes to {found.id}, the file says {content['id']}"
        )
    return found


def _check_features(features: Sequence[FeatureReference]) -> None:
    """Refuse features of a file that would harm whoever counts them. Raises `InvalidReferenceError`."""
    if not features:
        raise InvalidReferenceError("there is no feature in it")
    seen = set()
    for feature in features:
        if not 0 < len(feature.name) <= _LONGEST_NAME:
            raise InvalidReferenceError(
                f"a feature's name has 1 to {_LONGEST_NAME} characters, not {len(feature.name)}"
            )
        if feature.name in seen:
            raise InvalidReferenceError(f"feature {feature.name}: stands there twice")
        if len(feature.counts) > _MOST_BINS:
            raise InvalidReferenceError(
                f"feature {feature.name}: {len(feature.counts)} bins, each a series; at most {_MOST_BINS}"
            )
        if not 0 < feature.samples < _MOST_SAMPLES:
            raise InvalidReferenceError(
                f"feature {feature.name}: the counts are of no sample, or of too many"
            )
        seen.add(feature.name)


def _told(feature: FeatureReference) -> dict[str, Any]:
    kind = "numeric" if isinstance(feature.bins, NumericBins) else "categorical"
    told = {"name": feature.name, "kind": kind, **asdict(feature.bins), "counts": feature.counts}
    if feature.low is not None and feature.high is not None:
        told |= {"low": feature.low, "high": feature.high}
    return told


def _feature(content: Mapping[str, Any]) -> FeatureReference:
    name = str(content["name"])
    counts = tuple(content["counts"])
    if any(not isinstance(count, int) or isinstance(count, bool) for count in counts):
        raise InvalidReferenceError(f"feature {name}: a count is no whole number")
    try:
        bins = _bins(content)
    except ValueError as error:
        raise InvalidReferenceError(f"feature {name}: {error}") from error
    low, high = (_finite(name, content.get(key)) for key in ("low", "high"))
    return FeatureReference(name, bins, counts, low, high)


def _bins(content: Mapping[str, Any]) -> NumericBins | CategoryBins:
    match content["kind"]:
        case "numeric":
            return NumericBins(tuple(map(float, content["edges"])))
        case "categorical":
            return CategoryBins(tuple(map(str, content["categories"])))
        case kind:
            raise ValueError(f"the kind {kind!r} is not known")


def _calibration(content: Mapping[str, Any] | None) -> Calibration | None:
    if content is None:
        return None
    counts = {key: tuple(content.get(key, ())) for key in ("labelled", "right", "positives")}
    if any(type(count) is not int for each in counts.values() for count in each):
        raise InvalidReferenceError("calibration: a count is no whole number")
    return Calibration(**counts, positive=str(content.get("positive", "")))


def _finite(name: str, value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or not isfinite(value):
        raise InvalidReferenceError(f"feature {name}: {value!r} is no finite number")
    return float(value)
