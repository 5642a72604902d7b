"""The series that all servers have together stay within the budget, and only the exploding one is cut."""

from contextlib import AsyncExitStack
from dataclasses import replace
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.catalogue import serving
from agent.collectors.exposition import Faults
from agent.collectors.serving.budget import MAX_READINGS, SERVERS, SeriesBudget, within_budget
from agent.collectors.serving.collector import ServingCollector
from agent.snapshot import Batch, Reading
from tests.agent.collectors.scrape.raw_server import page, raw_server
from tests.agent.collectors.serving.pages import captured, reasons, values

VLLM = captured("vllm/vllm_0.33.0_dp1_t1.txt")
OWN = 3


def bomb(count: int) -> str:
    """Return a page with a label value per request in one of its families."""
    lines = (
        f'vllm:request_success_total{{model_name="m",finished_reason="{number}"}} 1\n'
        for number in range(count)
    )
    return VLLM + "".join(lines)


def triton(models: int) -> str:
    """Return the page of a Triton that serves many models."""
    families = (
        *("nv_inference_request_success", "nv_inference_count", "nv_inference_exec_count"),
        *("nv_inference_request_duration_us", "nv_inference_queue_duration_us"),
        "nv_inference_compute_infer_duration_us",
    )
    lines = []
    for family in families:
        lines.append(f"# TYPE {family} counter")
        lines += [f'{family}{{model="m{number}",version="1"}} 10' for number in range(models)]
    lines.append("# TYPE nv_inference_pending_request_count gauge")
    lines += [
        f'nv_inference_pending_request_count{{model="m{number}",version="1"}} 0'
        for number in range(models)
    ]
    return "\n".join(lines) + "\n"


def engines(count: int) -> str:
    """Return a page of a vLLM with data-parallel engines."""
    lines = []
    for line in VLLM.splitlines():
        lines.append(line)
        if 'engine="0"' in line:
            lines += [line.replace('engine="0"', f'engine="{n}"') for n in range(1, count)]
    return "\n".join(lines) + "\n"


async def collected(*pages: str, rounds: int = 2) -> list[list[Batch]]:
    """Collect from servers that share a budget, in order, a few times over."""
    budget = SeriesBudget()
    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(raw_server(page(p.encode()))) for p in pages]
        collectors = [
            ServingCollector(f"{url}/metrics", name=f"s{number}", series=budget)
            for number, url in enumerate(urls)
        ]
        told = [[await each.collect() for each in collectors] for _ in range(rounds)]
        for each in collectors:
            await each.close()
    return told


def dropped(batch: Batch) -> list[object]:
    """Return how many series a batch says were left out."""
    return [r.value for r in batch.readings if r.metric is serving.SERIES_DROPPED]


async def test_a_server_that_explodes_costs_none_of_its_neighbours_a_series() -> None:
    """Sixteen servers, the first with a label per request: the first alone is cut, from the start."""
    for batches in await collected(bomb(5_000), *[VLLM] * 15):
        first, *others = batches

        assert sum(len(each.readings) for each in batches) <= MAX_READINGS
        assert reasons(first.problems) == {"too_many_series"}
        (problem,) = first.problems
        assert problem.subject == "s0 inference.requests.finished"
        assert dropped(first) == [5_005]
        assert values(list(first.readings), serving.REQUESTS_FINISHED) == {}
        assert len(values(list(first.readings), serving.TOKENS_PROMPT)) == 1
        assert all(each.problems == () for each in others)
        assert all(dropped(each) == [] for each in others)
        assert {len(each.readings) for each in others} == {30 + OWN}


async def test_sixty_four_ordinary_servers_fit() -> None:
    """None of them is cut, and together they stay far below four times the budget."""
    batches = (await collected(*[VLLM] * 64))[-1]

    assert all(each.problems == () for each in batches)
    assert sum(len(each.readings) for each in batches) == 64 * (30 + OWN)


async def test_many_models_keep_the_metrics_that_matter_most() -> None:
    """A Triton with 200 models has what fits, whole metrics of all its models, the first ones first."""
    (batch,) = (await collected(triton(200)))[-1]

    kept = {r.metric for r in batch.readings if r.metric.attributes != serving.SERVER_UP.attributes}
    assert kept
    assert all(len(values(list(batch.readings), metric)) == 200 for metric in kept)
    assert MAX_READINGS - 200 <= len(batch.readings) <= MAX_READINGS
    (number,) = dropped(batch)
    assert isinstance(number, float)
    assert number >= 200
    assert reasons(batch.problems) == {"too_many_series"}


async def test_more_models_than_the_budget_leave_a_server_that_is_up() -> None:
    """With 5,000 models no metric of theirs fits; that it is up, and why there is no more, is told."""
    (batch,) = (await collected(triton(5_000)))[-1]

    assert [r.metric for r in batch.readings] == [
        *(serving.SERVER_UP, serving.SCRAPE_DURATION, serving.SCRAPE_AGE, serving.SERIES_DROPPED)
    ]
    assert reasons(batch.problems) == {"too_many_series"}
    assert all("fewer models" in problem.detail for problem in batch.problems)


async def test_what_the_others_leave_is_there_for_one_that_wants_more() -> None:
    """Sixteen data-parallel engines have all their metrics as long as the node has room for them."""
    alone = (await collected(engines(16), VLLM))[-1]
    crowded = (await collected(engines(16), engines(16), *[VLLM] * 14))[-1]

    assert [each.problems for each in alone] == [(), ()]
    assert [bool(each.problems) for each in crowded] == [True, True, *[False] * 14]
    assert sum(len(each.readings) for each in crowded) <= MAX_READINGS


async def test_what_whole_metrics_leave_is_there_for_the_others() -> None:
    """A server whose one metric can never fit keeps no room for it."""
    alone = (await collected(triton(130), rounds=3))[-1]
    beside = (await collected(bomb(5_000), triton(130), rounds=3))[-1]

    assert alone[0].problems == ()
    assert len(beside[1].readings) == len(alone[0].readings)
    assert beside[1].problems == ()


async def test_a_server_that_goes_gives_its_part_back() -> None:
    """The budget is for those that are collected from."""
    budget = SeriesBudget()
    shares = [budget.join() for _ in range(SERVERS + 1)]

    assert budget.total == 2 * MAX_READINGS
    shares[0].leave()
    shares[0].leave()
    assert budget.total == MAX_READINGS


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 1_500), min_size=1, max_size=40))
def test_the_budget_holds_whatever_is_wanted(wishes: list[int]) -> None:
    """Once each has asked twice, the sum holds, equal parts are met, and no room is left that one wants."""
    budget = SeriesBudget()
    shares = [budget.join() for _ in wishes]

    for _ in range(2):
        had = [
            len(share.within([_single(number) for number in range(wish)], 0, Faults("s")))
            for share, wish in zip(shares, wishes, strict=True)
        ]

    equal = budget.total // len(wishes)
    assert sum(had) <= budget.total
    assert all(got >= min(wish, equal) for got, wish in zip(had, wishes, strict=True))
    if sum(wishes) > budget.total:
        assert sum(had) > budget.total - len(wishes)


@cache
def _single(number: int) -> Reading:
    """Return a reading of a metric that has no other."""
    return Reading(replace(serving.REQUESTS_RUNNING, name=f"m{number}"), ("s",), 1.0)


def test_of_equally_large_metrics_the_last_goes_first() -> None:
    """Profiles begin with what matters most."""
    metrics = (serving.REQUEST_DURATION, serving.REQUESTS_RUNNING, serving.REQUESTS_WAITING)
    readings = [
        Reading(metric, ("s", "p", str(number), "", ""), 1.0)
        for metric in metrics
        for number in range(10)
    ]

    kept = within_budget(readings, 25, Faults("chat"))

    assert [reading.metric for reading in kept] == [metrics[0]] * 10 + [metrics[1]] * 10
