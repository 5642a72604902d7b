"""Reads a reference's file, which anybody may have written, edited or cut short.

What it says becomes labels, bounds and memory of a running process: so each part is checked here, by name,
before anything is counted against it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any, Final

from agent.drift.bins import CategoryBins, NumericBins
from agent.drift.column import LONGEST_CATEGORY
from agent.drift.embedding import Projection
from agent.drift.embedding import from_json as projection_from_json
from agent.drift.intake.names import MAX_NAME
from agent.drift.performance import Calibration
from agent.drift.reference import FORMAT, FeatureReference, InvalidReferenceError, Reference

_LONGEST_NAME: Final = 160
"""Characters: what a payload may call it, and the suffix of a text or an embedding."""
_MOST_FEATURES: Final = 90_000
"""As many as a model may be configured to have (`drift.max_features`), if each is an embedding."""
_MOST_BINS: Final = 100
_MOST_SAMPLES: Final = 2**53
_LAST: Final = 253_402_300_800.0
"""Unix seconds of the year 10000, from which on there is no date to show."""


def from_json(text: str) -> Reference:
    """Return the reference that a file has. Raises `InvalidReferenceError` with what is wrong with it."""
    content = _content(text)
    try:
        found = Reference(
            model=_named(content, "model", least=1),
            model_version=_named(content, "model_version"),
            features=_features(content["features"]),
            projections=_projections(content.get("projections", [])),
            calibration=_calibration(content.get("calibration")),
            origin=str(content.get("origin", "")),
            created=_time(content.get("created", 0.0)),
        )
    except KeyError as error:
        raise InvalidReferenceError(f"the key {error} is missing") from error
    except (TypeError, AttributeError, ValueError, OverflowError) as error:
        raise InvalidReferenceError(str(error)) from error
    if content.get("id", found.id) != found.id:
        raise InvalidReferenceError(
            f"the content was changed: it hashes to {found.id}, the file says {content['id']}"
        )
    return found


def _content(text: str) -> Mapping[str, Any]:
    try:
        content = json.loads(text)
        json.dumps(content, ensure_ascii=False).encode()  # half a character could be in no label
    except RecursionError as error:
        raise InvalidReferenceError("nested too deep to be a reference") from error
    except UnicodeEncodeError as error:
        raise InvalidReferenceError(str(error)) from error
    except ValueError as error:
        raise InvalidReferenceError(f"no JSON, or cut short: {error}") from error
    found = _object(content, "a reference")
    if found.get("format") != FORMAT:
        raise InvalidReferenceError(
            f"format {found.get('format')!r} is not known here; this version reads {FORMAT}"
        )
    return found


def _object(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidReferenceError(f"{what} is a JSON object, not {type(value).__name__}")
    return value


def _list(value: object, what: str) -> Sequence[Any]:
    if not isinstance(value, list):
        raise InvalidReferenceError(f"{what} must be a list, not {type(value).__name__}")
    return value


def _named(content: Mapping[str, Any], key: str, *, least: int = 0) -> str:
    """Return a name as payloads have it: they can have no other, so that nothing would ever be counted."""
    name = content[key]
    if not isinstance(name, str) or not least <= len(name) <= MAX_NAME:
        raise InvalidReferenceError(
            f"{key} must be text of {least} to {MAX_NAME} characters, not {str(name)[:60]!r}"
        )
    return name


def _time(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LAST:
        raise InvalidReferenceError(f"created must be Unix seconds, not {value!r}")
    return float(value)


def _features(content: object) -> tuple[FeatureReference, ...]:
    """Return the features; refuse what would harm whoever counts them."""
    told = _list(content, "features")
    if not 0 < len(told) <= _MOST_FEATURES:
        why = "there is no feature in it" if not told else f"{len(told)} features"
        raise InvalidReferenceError(f"{why}; a reference has 1 to {_MOST_FEATURES}")
    found: dict[str, FeatureReference] = {}
    for number, each in enumerate(told):
        feature = _feature(_object(each, f"features[{number}]"), number)
        if feature.name in found:
            raise InvalidReferenceError(f"feature {feature.name}: stands there twice")
        found[feature.name] = feature
    return tuple(found.values())


def _feature(content: Mapping[str, Any], number: int) -> FeatureReference:
    name = content.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
        raise InvalidReferenceError(
            f"features[{number}]: a name has 1 to {_LONGEST_NAME} characters, "
            f"which {str(name)[:60]!r} has not"
        )
    try:
        counts = _counts(content["counts"], "counts")
        bins = _bins(content)
        low, high = _bound(content, "low"), _bound(content, "high")
    except KeyError as error:
        raise InvalidReferenceError(f"feature {name}: the key {error} is missing") from error
    except (ValueError, OverflowError) as error:
        raise InvalidReferenceError(f"feature {name}: {error}") from error
    if low is not None and high is not None and low > high:
        raise InvalidReferenceError(f"feature {name}: low, {low:g}, is above high, {high:g}")
    if len(counts) > _MOST_BINS:
        raise InvalidReferenceError(
            f"feature {name}: {len(counts)} bins, each a series; at most {_MOST_BINS}"
        )
    feature = FeatureReference(name, bins, counts, low, high)
    if not 0 < feature.samples < _MOST_SAMPLES:
        raise InvalidReferenceError(f"feature {name}: the counts are of no sample, or of too many")
    return feature


def _counts(value: object, what: str) -> tuple[int, ...]:
    counts = tuple(_list(value, what))
    if any(type(count) is not int for count in counts):
        raise InvalidReferenceError(f"{what}: a count is no whole number")
    return counts


def _bins(content: Mapping[str, Any]) -> NumericBins | CategoryBins:
    match content["kind"]:
        case "numeric":
            return NumericBins(tuple(_numbers(_list(content["edges"], "edges"))))
        case "categorical":
            return CategoryBins(tuple(map(_category, _list(content["categories"], "categories"))))
        case kind:
            raise ValueError(f"the kind {kind!r} is not known")


def _numbers(values: Iterable[object]) -> Iterable[float]:
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidReferenceError(f"edges: {str(value)[:60]!r} is no number")
        yield float(value)


def _category(value: object) -> str:
    """Return a category; an empty one would be no label, and a long one is text."""
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_CATEGORY:
        raise InvalidReferenceError(
            f"categories are text of 1 to {LONGEST_CATEGORY} characters, "
            f"which {str(value)[:60]!r} is not"
        )
    return value


def _bound(content: Mapping[str, Any], key: str) -> float | None:
    value = content.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise InvalidReferenceError(f"{key}: {value!r} is no finite number")
    return float(value)


def _projections(content: object) -> tuple[Projection, ...]:
    told = _list(content, "projections")
    return tuple(
        projection_from_json(_object(each, f"projections[{number}]"))
        for number, each in enumerate(told)
    )


def _calibration(content: object) -> Calibration | None:
    if content is None:
        return None
    told = _object(content, "calibration")
    counts = {
        key: _counts(told.get(key, []), f"calibration: {key}")
        for key in ("labelled", "right", "positives")
    }
    return Calibration(**counts, positive=str(told.get("positive", "")))
