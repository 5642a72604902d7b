from hypothesis import given
from hypothesis import strategies as st

from agent.collectors.probe.budget import Budget
from tests.agent.collectors.probe.asking import Watch


def test_requests_of_a_minute_are_limited() -> None:
    """The third request within a minute has to wait until the first is a minute old."""
    watch = Watch()
    budget = Budget(requests=2, tokens=100, clock=watch)
    budget.send()
    watch.now += 30
    budget.send()

    assert budget.refusal(1) == "requests"
    watch.now += 30
    assert budget.refusal(1) == ""


def test_tokens_of_a_day_are_limited() -> None:
    """What was spent is forgotten a day later."""
    watch = Watch()
    budget = Budget(requests=2, tokens=100, clock=watch)
    budget.spend(95)

    assert budget.refusal(5) == ""
    assert budget.refusal(6) == "tokens"
    watch.now += 86_400
    assert budget.refusal(100) == ""


@given(st.lists(st.tuples(st.floats(0, 20_000), st.integers(0, 50)), max_size=60))
def test_no_day_costs_more_than_its_budget(steps: list[tuple[float, int]]) -> None:
    """Whatever the pace, no 24 hours cost more than was allowed, but for a quarter of an hour."""
    watch, spent = Watch(), []
    budget = Budget(requests=1000, tokens=100, clock=watch)

    for pause, tokens in steps:
        watch.now += pause
        if not budget.refusal(tokens):
            budget.spend(tokens)
            spent.append((watch.now, tokens))

    for end, _ in spent:
        day = [tokens for when, tokens in spent if end - 86_400 + 900 <= when <= end]
        assert sum(day) <= 100
