# ruff: noqa: TRY004 - as in agent.config.values
"""The drift process: the keys under ``drift``."""

from dataclasses import dataclass
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
        "Features of a model; each makes a dozen series a node.",
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
