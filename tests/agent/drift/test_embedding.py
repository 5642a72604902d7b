import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.drift.embedding import Projection, VectorReservoir, from_json, vector

RANDOM = np.random.default_rng(3)


def topics(count: int, share: float, *, length: int = 64) -> list[list[float]]:
    """Return embeddings of two topics; ``share`` of them are of the second."""
    centres = np.random.default_rng(1).normal(size=(2, length)) * 3
    chosen = (RANDOM.random(count) < share).astype(int)
    found: list[list[float]] = (centres[chosen] + RANDOM.normal(size=(count, length))).tolist()
    return found


def learned(vectors: list[list[float]]) -> tuple[Projection, dict[str, list[object]]]:
    """Return what a reservoir learns."""
    reservoir = VectorReservoir()
    assert all(map(reservoir.add, vectors))
    found = reservoir.learn("emb")
    assert found is not None
    return found


@pytest.mark.parametrize(("count", "length"), [(300, 16), (40, 128)])
def test_directions_are_those_of_numpy(count: int, length: int) -> None:
    """They are the right singular vectors of the centred sample, whichever side is longer."""
    sample = RANDOM.normal(size=(count, length)) * np.linspace(5, 0.5, length)

    projection, _ = learned(sample.tolist())

    centred = sample.astype(np.float32).astype(float)
    centred -= centred.mean(axis=0)
    expected = np.linalg.svd(centred, full_matrices=False)[2][:8]
    agreement = np.abs((np.array(projection.components) * expected).sum(axis=1))
    assert agreement == pytest.approx(np.ones(8), abs=1e-3)


def test_a_change_of_topics_moves_the_first_component() -> None:
    """The mixture of topics is what differs most in the sample, so it is the first direction."""
    projection, told = learned(topics(1_000, 0.1))

    now = projection.columns(list(topics(1_000, 0.6)))

    before = np.median(np.array(told["emb.pc0"], dtype=float))
    after = np.median(np.array(now["emb.pc0"], dtype=float))
    assert abs(after - before) > 3
    assert list(told) == [*(f"emb.pc{number}" for number in range(8)), "emb.distance"]


def test_what_is_no_vector_of_this_length_is_wrong_in_every_feature() -> None:
    """Missing stays missing, anything else is no number; the others keep their places."""
    projection, _ = learned(topics(50, 0.5))
    good = topics(1, 0.5)[0]

    told = projection.columns([None, good, [1.0] * 63, "x", [float("nan")] * 64])

    for column in told.values():
        assert column[0] is None
        assert isinstance(column[1], float)
        assert column[2:] == [(), (), ()]


def test_the_sample_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many vectors come, few stay, early and late ones alike."""
    monkeypatch.setattr("agent.drift.embedding.RESERVOIR_BYTES", 100 * 4 * 8)
    reservoir = VectorReservoir()

    for number in range(2_000):
        reservoir.add([float(number)] * 8)

    kept = [vector[0] for vector in reservoir._vectors]
    assert len(kept) == 100
    assert 600 < np.mean(kept) < 1_400


def test_vectors_that_are_all_alike_are_told_by_their_distance() -> None:
    """A constant embedding has no direction, and still shows what is not like it."""
    reservoir = VectorReservoir()
    for _ in range(3):
        assert reservoir.add([1.0] * 8)

    found = reservoir.learn("e")

    assert found is not None
    assert found[0].features == ("e.distance",)
    assert found[0].columns([[1.0] * 8, [2.0] + [1.0] * 7]) == {"e.distance": [0.0, 1.0]}
    assert vector([1e31] * 8) is None


def test_a_projection_survives_its_file() -> None:
    """Its numbers are rounded when it is learned, so that what is written is what was used."""
    projection, _ = learned(topics(50, 0.5))

    assert from_json(projection.to_json()) == projection


@pytest.mark.parametrize(
    ("mean", "components"), [((), ()), ((1.0,), ((1.0, 2.0),)), ((float("nan"),), ((1.0,),))]
)
def test_what_is_no_projection_is_refused(
    mean: tuple[float, ...], components: tuple[tuple[float, ...], ...]
) -> None:
    """Lengths must agree and numbers be finite."""
    with pytest.raises(ValueError, match=r"direction"):
        Projection("emb", mean, components)


@given(st.lists(st.one_of(st.floats(), st.integers(), st.text(max_size=1), st.none()), max_size=12))
def test_a_vector_is_finite_numbers(values: list[object]) -> None:
    """Whatever a list holds, it is an array of finite numbers or nothing."""
    found = vector(values)

    assert found is None or (len(found) == len(values) and bool(np.isfinite(found).all()))
