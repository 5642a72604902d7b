"""SGLang with several ranks, priorities and kinds of requests."""

from agent.catalogue import serving
from agent.collectors.serving.profiles.sglang import SGLANG
from agent.snapshot import Distribution
from tests.agent.collectors.serving.pages import captured, translate, values
from tests.agent.collectors.serving.tables import table

PAGE = captured("sglang/sglang_0.5.23_t0.txt")


def of_rank(rank: int, extra: str = "") -> str:
    """Return the schedulers' series of the page as another rank reports them."""
    lines = [line for line in PAGE.splitlines() if 'tp_rank="0"' in line]
    return "".join(f"{line}\n" for line in lines).replace('tp_rank="0"', f'tp_rank="{rank}"{extra}')


def test_tensor_parallel_ranks_say_the_same_thing() -> None:
    """Eight ranks work on the same requests: the lowest one counts, wherever it stands on the page."""
    others = "".join(map(of_rank, (10, 7, 3, 2)))

    assert table(SGLANG, others + PAGE) == table(SGLANG, PAGE)
    assert table(SGLANG, PAGE + others) == table(SGLANG, PAGE)


def test_the_lowest_rank_is_the_lowest_number() -> None:
    """Without rank 0 it is 2 that counts, not 10."""
    page = of_rank(10).replace("} 3.0", "} 8.0") + of_rank(2)

    readings, _ = translate(SGLANG, page)

    assert set(values(readings, serving.REQUESTS_RUNNING).values()) == {3}


def test_data_parallel_ranks_are_engines() -> None:
    """With data-parallel attention each rank has requests of its own."""
    page = of_rank(0, ',dp_rank="0"') + of_rank(1, ',dp_rank="1"')

    readings, problems = translate(SGLANG, page)

    assert problems == ()
    assert values(readings, serving.REQUESTS_RUNNING) == {
        ("Qwen/Qwen3-8B", "", "0"): 3,
        ("Qwen/Qwen3-8B", "", "1"): 3,
    }
    assert len(values(readings, serving.KV_CACHE_UTILIZATION)) == 2


def test_priorities_are_not_added_to_their_total() -> None:
    """The total is the series with an empty priority."""
    family = 'sglang:num_queue_reqs{model_name="m",tp_rank="0"'
    page = f'{family},priority=""}} 3\n{family},priority="1"}} 2\n{family},priority="5"}} 1\n'

    readings, _ = translate(SGLANG, page)

    assert values(readings, serving.REQUESTS_WAITING) == {("m", "", ""): 3}


def test_sources_of_cached_tokens_are_added_up() -> None:
    """A request is counted by its sources or as a total, never both."""
    page = "".join(
        f'sglang:cached_tokens_total{{model_name="m",cache_source="{source}"}} {tokens}\n'
        for source, tokens in (("device", 100), ("host", 20), ("storage_file", 3), ("total", 4))
    )

    readings, _ = translate(SGLANG, page)

    assert values(readings, serving.PREFIX_CACHE_HITS) == {("m", "", ""): 127}


def test_streamed_and_other_requests_are_one_histogram() -> None:
    """Their buckets are added one by one."""
    readings, _ = translate(SGLANG, PAGE)

    (found,) = values(readings, serving.REQUEST_DURATION).values()

    assert isinstance(found, Distribution)
    assert found.bounds[:3] == (0.1, 0.2, 0.4)
    assert sum(found.counts) == 48 + 12


def test_no_speculation_is_no_acceptance() -> None:
    """The gauge of the share accepted is 0 where nothing is proposed: that is absent, and no problem."""
    line = "sglang:spec_accept_rate{"
    assert f"\n{line}" in PAGE
    readings, problems = translate(SGLANG, PAGE)
    speculating = PAGE.replace(
        next(each for each in PAGE.splitlines() if each.startswith(line)),
        'sglang:spec_accept_rate{model_name="Qwen/Qwen3-8B",tp_rank="0"} 0.75',
    )

    assert values(readings, serving.SPECULATIVE_ACCEPTANCE) == {}
    assert problems == ()
    assert list(
        values(translate(SGLANG, speculating)[0], serving.SPECULATIVE_ACCEPTANCE).values()
    ) == [0.75]
