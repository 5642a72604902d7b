# ruff: noqa: TRY004 - as in agent.config.values
"""The drift process: the keys under ``drift``."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import isfinite
from typing import Final

from agent.config.fields import option, required, sections
from agent.config.profile_values import STRINGS
from agent.config.values import (
    ADDRESS,
    SWITCH,
    TEXT,
    Address,
    Form,
    choice_form,
    duration_form,
    whole_form,
)

_LISTEN: Final = Address("127.0.0.1", 9411)


def share(value: object) -> float:
    """Take a share above 0 and up to 1, such as 0.1."""
    wrong = f"must be a share above 0 and up to 1, such as 0.1, not {value!r}"
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(wrong)
    try:
        number = float(value)
    except ValueError:
        raise ValueError(wrong) from None
    if not isfinite(number) or not 0 < number <= 1:
        raise ValueError(wrong)
    return number


_SHARE: Final = Form(share, {"type": "number", "exclusiveMinimum": 0, "maximum": 1})


KINDS: Final = ("numeric", "categorical", "text", "embedding", "score", "class", "latency")
_OF_A_MODEL: Final = {"score": "score", "class": "prediction"}
"""Kinds that one feature of a model has, and the key that names the same feature."""
_OF_ANY_MODEL: Final = frozenset({"score", "class", "latency"})
_WITH_VALUES: Final = frozenset({"categorical", "class"})
_WITH_RANGE: Final = frozenset({"numeric", "text", "score", "latency"})
_MOST_VALUES: Final = 1_000
_LONGEST_VALUE: Final = 64
_LONGEST_NAME: Final = 128


def categories(value: object) -> tuple[str, ...]:
    """Take a list of categories; numbers and truth values are spelled as payloads' are."""
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= _MOST_VALUES:
        raise ValueError(f"must be a list such as [free, pro], of 1 to {_MOST_VALUES} values")
    found = tuple(map(_category, value))
    if len(set(found)) < len(found):
        twice = next(name for name in found if found.count(name) > 1)
        raise ValueError(f"has {twice!r} twice; leave one of them out")
    return found


def _category(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() if isfinite(value):
            return f"{value:g}"
        case str() if 0 < len(value) <= _LONGEST_VALUE and not value.startswith("__"):
            return value
    raise ValueError(
        f"must hold words of up to {_LONGEST_VALUE} characters, numbers or truth values, not {value!r}"
    )


def bound(value: object) -> float:
    """Take a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ValueError(f"must be a number, not {value!r}")
    return float(value)


_VALUES: Final = Form(
    categories,
    {
        "type": "array",
        "minItems": 1,
        "maxItems": _MOST_VALUES,
        "items": {"type": ["string", "number", "boolean"]},
    },
    structured=True,
)
_BOUND: Final = Form(bound, {"type": "number"}, structured=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftFeature:
    """What one feature of a model is."""

    name: str = required(TEXT, "The feature, by path.", example="user.plan")
    kind: str = required(
        choice_form(*KINDS),
        "What it is: numeric, categorical (numbers may be codes), text (its length counts), embedding; "
        "score (0 to 1), class (what the model answers) or latency (seconds), one of each.",
        example="categorical",
    )
    values: tuple[str, ...] = option(
        _VALUES,
        "The categories there may be; of categorical and class. Default: all.",
        example="[free, team, pro]",
        default=(),
    )
    low: float | None = option(
        _BOUND,
        "The least it may be; of a text, its characters. Default: any, 0 for score and latency.",
        example="0",
        aside=True,
    )
    high: float | None = option(
        _BOUND,
        "The greatest it may be. Default: any, 1 for a score.",
        example="130",
        aside=True,
    )
    required: bool = option(
        SWITCH, "Whether each row must have it.", example="false", default=False
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftModel:
    """What is looked at of the payloads of some models."""

    model: str = required(TEXT, "The model's name; * stands for anything.", example="churn")
    include: tuple[str, ...] = option(
        STRINGS,
        "Features by path, * stands for anything. Default: all.",
        example="[user.age, user.plan]",
        default=(),
    )
    exclude: tuple[str, ...] = option(
        STRINGS,
        "Features that are never looked at, such as those that name a person.",
        example="['*.email', user.id]",
        default=(),
    )
    hashed: tuple[str, ...] = option(
        STRINGS,
        "Features whose values are only seen as a hash: their bins have no readable names.",
        example="[user.postcode]",
        default=(),
    )
    hash_key_file: str | None = option(
        TEXT,
        "File with a secret for these hashes, the same on all nodes; without one, whoever guesses a value "
        "can check it.",
        example="/etc/warpwatch/drift-hash-key",
        aside=True,
    )
    prediction: str | None = option(
        TEXT, "The feature that is the model's answer, where it has another name.", example="y"
    )
    score: str | None = option(
        TEXT, "The feature that is how sure the model was, 0 to 1.", example="probability"
    )
    label: str | None = option(
        TEXT, "The feature that is what turned out to be true.", example="churned"
    )
    features: tuple[DriftFeature, ...] = sections(
        DriftFeature,
        "What features are, where that is known: it wins over what is learned, and what breaks it is counted "
        "as schema violations. Default: learned.",
    )
    sample: float = option(
        _SHARE,
        "Share of the rows that are looked at, chosen at random.",
        example="1.0",
        default=1.0,
    )
    reservoir: int = option(
        whole_form(0, 5_000),
        "Rows kept in memory for `warpwatch drift report`, with the values themselves. 0: none.",
        example="0",
        default=0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """The drift process, `warpwatch drift run`; the agent itself reads nothing of it."""

    listen: Address = option(
        ADDRESS,
        "Where payloads are taken and /metrics is served. Loopback, as for the agent.",
        example="127.0.0.1:9411",
        default=_LISTEN,
    )
    learn_rows: int = option(
        whole_form(100, 10**9),
        "Rows that a reference is learned from at least; with fewer, its own noise looks like drift.",
        example="20000",
        default=20_000,
    )
    learn_for: float = option(
        duration_form(1, 90 * 86_400),
        "How long a reference is learned at least: a day, so that it knows noon and night.",
        example="24h",
        default=86_400.0,
    )
    max_features: int = option(
        whole_form(1, 10_000),
        "Features of a model, beside its prediction, score, label and latency; each makes a dozen series a "
        "node. More are not learned, and a reference that has more is not used: that is told.",
        example="50",
        default=50,
    )
    max_models: int = option(
        whole_form(1, 10_000), "Models and versions on this node.", example="40", default=40
    )
    embeddings: bool = option(
        SWITCH,
        "Count vectors as well, by their main directions. While a reference is learned, a sample of them "
        "is kept in memory (8 MiB a vector column); they never leave it.",
        example="false",
        default=False,
    )
    thresholds: str | None = option(
        TEXT,
        "File that `warpwatch drift calibrate` wrote; read again when it changes. Default: "
        "thresholds.json in `state_dir`.",
        example="/etc/warpwatch/drift-thresholds.json",
    )
    models: tuple[DriftModel, ...] = sections(
        DriftModel,
        "What of which model is looked at; the first entry that fits a model is for it. Default: all "
        "fields of all models.",
    )


def contradictions(drift: Drift) -> Iterator[tuple[str, str]]:
    """Give the path of each key that cannot be meant so, and why."""
    for position, model in enumerate(drift.models):
        for key, message in _of_model(model):
            yield f"drift.models[{position}].{key}", message
        plain = sum(feature.kind not in _OF_ANY_MODEL for feature in model.features)
        if plain > drift.max_features:
            yield (
                f"drift.models[{position}].features",
                f"are {plain}, more than `drift.max_features`, {drift.max_features}; raise that",
            )


def _of_model(model: DriftModel) -> Iterator[tuple[str, str]]:
    seen: dict[str, int] = {}
    for position, feature in enumerate(model.features):
        path = f"features[{position}]"
        for key, message in _of_feature(feature):
            yield f"{path}.{key}", message
        for key, message in _of_selection(model, feature):
            yield f"{path}.{key}", message
        if feature.name in seen:
            yield f"{path}.name", f"features[{seen[feature.name]}] is {feature.name!r} as well"
        seen.setdefault(feature.name, position)
    for kind in ("score", "class", "latency"):
        named = [n for n, feature in enumerate(model.features) if feature.kind == kind]
        for position in named[1:]:
            yield (
                f"features[{position}].kind",
                f"features[{named[0]}] is the {kind} already; a model has one",
            )


def _of_feature(feature: DriftFeature) -> Iterator[tuple[str, str]]:
    if len(feature.name) > _LONGEST_NAME:
        yield "name", f"is longer than the {_LONGEST_NAME} characters that a feature's name has"
    if feature.values and feature.kind not in _WITH_VALUES:
        yield "values", f"is of categorical features and of the class, not of a {feature.kind} one"
    for key, number in (("low", feature.low), ("high", feature.high)):
        if number is not None and feature.kind not in _WITH_RANGE:
            yield key, f"is of numbers and of texts, not of a {feature.kind} feature; see values"
    if feature.low is not None and feature.high is not None and feature.low > feature.high:
        yield "low", f"is above high, {feature.high:g}"


def _of_selection(model: DriftModel, feature: DriftFeature) -> Iterator[tuple[str, str]]:
    key = _OF_A_MODEL.get(feature.kind, "")
    other = getattr(model, key) if key else None
    if other and other != feature.name:
        yield "kind", f"`{key}` names {other!r} already; leave one of them out"
    roles = (model.prediction, model.score, model.label)
    if any(fnmatchcase(feature.name, pattern) for pattern in model.hashed):
        if feature.kind not in _WITH_VALUES:
            yield "kind", "must be categorical: `hashed` leaves nothing but a word of it"
        elif feature.values:
            yield "values", "cannot be compared with hashes; take it out of `hashed`"
    if key or feature.kind == "latency" or feature.name in roles:
        return  # what has a role is never left out
    if any(fnmatchcase(feature.name, pattern) for pattern in model.exclude):
        yield "name", "is left out by `exclude`"
    elif model.include and not any(fnmatchcase(feature.name, each) for each in model.include):
        yield "name", "is left out by `include`; add it there"
