"""What is declared of a model's features is checked before anything starts."""

from pathlib import Path

import pytest
import yaml

from agent.config import ConfigError, load
from agent.drift.rows import LATENCY, PREDICTION, SCORE
from agent.drift.schema import Schema
from agent.drift_app import selection


def written(tmp_path: Path, features: list[object], **more: object) -> Path:
    """Write a configuration with these features of a model."""
    path = tmp_path / "config.yaml"
    model = {"model": "churn", "features": features, **more}
    path.write_text(yaml.safe_dump({"drift": {"models": [model]}}))
    return path


def test_a_schema_is_read(tmp_path: Path) -> None:
    """Kinds, values and ranges reach the process; numbers and truth values are spelled as categories are."""
    features: list[object] = [
        {"name": "user.age", "kind": "numeric", "low": 0, "high": 130, "required": True},
        {"name": "code", "kind": "categorical", "values": [1, 2.5, True, "x"]},
        {"name": "note", "kind": "text", "high": 500},
        {"name": "e", "kind": "embedding"},
        {"name": "p", "kind": "score"},
        {"name": "y", "kind": "class", "values": ["yes", "no"]},
        {"name": "took", "kind": "latency"},
    ]

    config = load(written(tmp_path, features), {}, {})

    assert config.drift is not None
    chosen = selection(config.drift.models[0])
    schema = Schema(chosen.declared)
    assert dict(chosen.roles) == {SCORE: "p", PREDICTION: "y", LATENCY: "took"}
    assert set(schema.by_name) == {"user.age", "code", "note", "e", SCORE, PREDICTION, LATENCY}
    assert schema.by_name["code"].values == ("1", "2.5", "true", "x")
    assert schema.by_name["user.age"].required
    assert (schema.by_name[SCORE].low, schema.by_name[SCORE].high) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("features", "more", "path", "said"),
    [
        ([{"name": "a", "kind": "numerc"}], {}, "features[0].kind", "did you mean numeric?"),
        ([{"name": "a"}], {}, "features[0].kind", "is required"),
        ([{"kind": "text"}], {}, "features[0].name", "is required"),
        (
            [{"name": "a", "kind": "text", "requiredd": True}],
            {},
            "features[0].requiredd",
            "did you mean required?",
        ),
        (
            [{"name": "a", "kind": "numeric", "values": [1]}],
            {},
            "features[0].values",
            "of categorical features",
        ),
        (
            [{"name": "a", "kind": "categorical", "low": 1}],
            {},
            "features[0].low",
            "see values",
        ),
        (
            [{"name": "a", "kind": "numeric", "low": 2, "high": 1}],
            {},
            "features[0].low",
            "is above high, 1",
        ),
        (
            [{"name": "a", "kind": "numeric", "low": "x"}],
            {},
            "features[0].low",
            "must be a number",
        ),
        (
            [{"name": "a", "kind": "numeric", "high": float("inf")}],
            {},
            "features[0].high",
            "must be a number",
        ),
        (
            [{"name": "a", "kind": "categorical", "values": []}],
            {},
            "features[0].values",
            "must be a list",
        ),
        (
            [{"name": "a", "kind": "categorical", "values": [1, "1"]}],
            {},
            "features[0].values",
            "has '1' twice",
        ),
        (
            [{"name": "a", "kind": "categorical", "values": ["__other__"]}],
            {},
            "features[0].values",
            "must hold words",
        ),
        (
            [{"name": "a", "kind": "text"}, {"name": "a", "kind": "numeric"}],
            {},
            "features[1].name",
            "features[0] is 'a' as well",
        ),
        (
            [{"name": "a", "kind": "score"}, {"name": "b", "kind": "score"}],
            {},
            "features[1].kind",
            "a model has one",
        ),
        (
            [{"name": "a", "kind": "score"}],
            {"score": "b"},
            "features[0].kind",
            "`score` names 'b' already",
        ),
        (
            [{"name": "a", "kind": "numeric"}],
            {"exclude": ["a*"]},
            "features[0].name",
            "left out by `exclude`",
        ),
        (
            [{"name": "a", "kind": "numeric"}],
            {"include": ["b"]},
            "features[0].name",
            "left out by `include`",
        ),
        (
            [{"name": "a", "kind": "numeric"}],
            {"hashed": ["a"]},
            "features[0].kind",
            "must be categorical",
        ),
        (
            [{"name": "a", "kind": "class", "values": ["x"]}],
            {"hashed": ["a"]},
            "features[0].values",
            "compared with hashes",
        ),
        (
            [{"name": "a" * 200, "kind": "numeric"}],
            {},
            "features[0].name",
            "is longer than",
        ),
    ],
)
def test_bad_declarations_are_named(
    tmp_path: Path, features: list[object], more: dict[str, object], path: str, said: str
) -> None:
    """Each is told with its path, what is wrong and what was probably meant."""
    with pytest.raises(ConfigError) as refused:
        load(written(tmp_path, features, **more), {}, {})

    (problem,) = refused.value.problems
    assert problem.path == f"drift.models[0].{path}"
    assert said in problem.message


def test_all_that_is_wrong_is_listed(tmp_path: Path) -> None:
    """Three bad features are three problems, not the first one."""
    features: list[object] = [
        {"name": "a", "kind": "numeric", "values": [1]},
        {"name": "b", "kind": "categorical", "high": 1},
        {"name": "b", "kind": "text"},
    ]

    with pytest.raises(ConfigError) as refused:
        load(written(tmp_path, features), {}, {})

    assert len(refused.value.problems) == 3


def test_no_more_features_are_declared_than_there_may_be(tmp_path: Path) -> None:
    """What every model may have stands beside them."""
    features = [{"name": f"f{number}", "kind": "numeric"} for number in range(51)]
    own = [{"name": "p", "kind": "score"}, {"name": "y", "kind": "class"}]

    load(written(tmp_path, [*features[:50], *own]), {}, {})
    with pytest.raises(ConfigError) as refused:
        load(written(tmp_path, [*features, *own]), {}, {})

    (problem,) = refused.value.problems
    assert problem.path == "drift.models[0].features"
    assert "51, more than `drift.max_features`, 50" in problem.message
