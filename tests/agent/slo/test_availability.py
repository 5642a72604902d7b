"""Which requests count as good, by what different servers say of them."""

import pytest

from agent.catalogue import Metric, serving
from agent.slo.availability import availability
from agent.slo.growth import Growth

Amount = tuple[Metric, tuple[str, ...], float]


def finished(reason: str, amount: float, model: str = "m", engine: str = "") -> Amount:
    """Return requests that ended."""
    return serving.REQUESTS_FINISHED, ("s", "vllm", model, "", engine, reason), amount


def errors(word: str, amount: float, model: str = "m") -> Amount:
    """Return requests that failed."""
    return serving.REQUESTS_ERRORS, ("s", "vllm", model, "", "", word), amount


def rejected(word: str, amount: float, model: str = "m") -> Amount:
    """Return requests that were refused."""
    return serving.REQUESTS_REJECTED, ("s", "vllm", model, "", "", word), amount


@pytest.mark.parametrize(
    ("amounts", "expected"),
    [
        pytest.param([finished("stop", 8), finished("abort", 2)], Growth(10, 10), id="all ended"),
        pytest.param(
            [finished("stop", 8), finished("error", 2), errors("error", 2)],
            Growth(8, 10),
            id="errors among those that ended",
        ),
        pytest.param(
            [finished("success", 8), errors("generation", 2)],
            Growth(8, 10),
            id="errors beside those that ended",
        ),
        pytest.param(
            [finished("stop", 8), rejected("max_num_queued_reqs", 2)], Growth(8, 10), id="refused"
        ),
        pytest.param(
            [
                finished("success", 7),
                finished("rejected", 3),
                errors("REJECTED", 3),
                rejected("REJECTED", 3),
            ],
            Growth(7, 10),
            id="one refusal in all three counters",
        ),
        pytest.param(
            [finished("stop", 10), errors("404", 2), errors("4xx", 1)],
            Growth(10, 10),
            id="wrong requests",
        ),
        pytest.param(
            [finished("200", 10), errors("429", 2)], Growth(10, 12), id="too many requests"
        ),
        pytest.param(
            [finished("stop", 4, engine="0"), finished("stop", 6, engine="1")],
            Growth(10, 10),
            id="engines are summed",
        ),
        pytest.param(
            [finished("stop", 9), errors("error", 1), errors("5xx", 3, model="")],
            Growth(9, 12),
            id="the front end saw more errors than the engine",
        ),
        pytest.param(
            [finished("stop", 9), errors("error", 3), errors("5xx", 3, model="")],
            Growth(9, 12),
            id="the front end saw the same errors",
        ),
    ],
)
def test_good_is_what_ended_without_an_error(amounts: list[Amount], expected: Growth) -> None:
    """Each request counts once, in whichever of the server's counters it is."""
    assert availability(amounts) == {("s", "vllm", "m"): expected}


def test_errors_without_a_model_belong_to_nobody_where_there_are_two() -> None:
    """A front end's errors are not guessed to be one model's or the other's."""
    amounts = [finished("stop", 5, "a"), finished("stop", 5, "b"), errors("5xx", 3, model="")]

    assert availability(amounts) == {
        ("s", "vllm", "a"): Growth(5, 5),
        ("s", "vllm", "b"): Growth(5, 5),
    }


def test_a_server_that_names_no_model_keeps_its_own_errors() -> None:
    """BentoML counts by HTTP status: its 500s are among what ended, and count once."""
    amounts = [
        finished("200", 8, model=""),
        finished("500", 2, model=""),
        errors("500", 2, model=""),
    ]

    assert availability(amounts) == {("s", "vllm", ""): Growth(8, 10)}


def test_errors_alone_are_no_share_of_anything() -> None:
    """Without the number of requests that ended there is no availability."""
    assert availability([errors("error", 2)]) == {}
