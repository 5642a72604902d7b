"""A process that follows another one and has soon counted further: nothing that it counted is lost."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import pytest

from agent.catalogue import Metric, serving
from agent.collectors.scrape import Body
from agent.collectors.serving.interpretation import Interpreter
from agent.collectors.serving.profiles import PROFILES
from agent.snapshot import Distribution, Reading
from tests.agent.collectors.serving.pages import captured, values

OF = 'model_name="m",engine="0"'
TOKENS = "vllm:prompt_tokens_total"
QUEUE = "vllm:request_queue_time_seconds"
TRITON = (
    "# TYPE nv_inference_request_success counter\n"
    'nv_inference_request_success{model="m",version="1"} 3'
)
ERRORS = 'http_requests_total{method="POST",status="4xx",handler='


def page(
    tokens: float, *, started: float | None = 100.0, queued: int | None = None, extra: str = ""
) -> str:
    """Return a page of a vLLM that has read so many tokens, and of requests that waited 1 s each."""
    lines = [f"{TOKENS}{{{OF}}} {tokens}"]
    lines += [] if started is None else [f"process_start_time_seconds {started}"]
    if queued is not None:
        lines += [f'{QUEUE}_bucket{{{OF},le="{le}"}} {queued}' for le in ("2", "+Inf")]
        lines += [f"{QUEUE}_sum{{{OF}}} {queued}", f"{QUEUE}_count{{{OF}}} {queued}"]
    return "\n".join([*lines, extra]) + "\n"


def read(pages: Iterable[str]) -> list[list[Reading]]:
    """Return the readings of pages, one after the other, as an agent meets them."""
    interpreter = Interpreter("s", PROFILES)
    bodies = [Body(each.encode(), complete=True) for each in pages]
    return [interpreter.read(body, "http://s/metrics")[0] for body in bodies]


def told(pages: Iterable[str], metric: Metric = serving.TOKENS_PROMPT) -> list[object]:
    """Return the one value of a metric on each page; None where there is none."""
    found = [values(readings, metric) for readings in read(pages)]
    return [next(iter(each.values()), None) for each in found]


def grown(seen: Sequence[object]) -> float:
    """Return the growth as Prometheus reckons it: a fall is a beginning at 0."""
    known = [each for each in seen if isinstance(each, int | float)]
    return sum(after - before if after >= before else after for before, after in pairwise(known))


def test_a_process_that_has_counted_further_is_seen_by_its_start() -> None:
    """Of 40 and then 60 by another process, all 60 are new; so is what it counts after that."""
    seen = told([page(40), page(60, started=200), page(75, started=200)])

    assert seen == [40, 100, 115]
    assert grown(seen) == 75


def test_a_fall_ends_what_was_added() -> None:
    """A third process that begins lower is told as it is: everybody sees that it is another one."""
    seen = told(
        [page(40), page(60, started=200), page(5, started=300), page(9, started=300), page(10)]
    )

    assert seen == [40, 100, 5, 9, 10]


def test_each_process_adds_what_it_had_counted() -> None:
    """Two restarts in a row, each of which overtakes the one before."""
    seen = told([page(40), page(60, started=200), page(90, started=300)])

    assert seen == [40, 100, 190]
    assert grown(seen) == 60 + 90


def test_a_server_that_was_down_in_between_is_no_other_case() -> None:
    """What counts is the last page that there was."""
    interpreter = Interpreter("s", PROFILES)
    first, second = (
        Body(each.encode(), complete=True) for each in (page(40), page(60, started=900))
    )

    interpreter.read(first, "http://s/metrics")
    readings, _ = interpreter.read(second, "http://s/metrics")

    assert set(values(readings, serving.TOKENS_PROMPT).values()) == {100}


def test_histograms_are_added_bucket_by_bucket() -> None:
    """By their count alone; with other buckets there is no sum, and the new one is told as it is."""
    same = told([page(1, queued=4), page(1, started=200, queued=6)], serving.QUEUE_DURATION)
    other = page(1, started=300, queued=9).replace('le="2"', 'le="3"')
    different = told([page(1, queued=4), other], serving.QUEUE_DURATION)

    assert same[1] == Distribution((2.0,), (10, 0), 10.0)
    assert different[1] == Distribution((3.0,), (9, 0), 9.0)


def test_a_series_that_comes_late_after_the_restart_is_still_another_one() -> None:
    """A family that the new process has only after its first request goes on where the old one's ended."""
    seen = told(
        [page(1, queued=4), page(1, started=200), page(1, started=200, queued=7)],
        serving.QUEUE_DURATION,
    )

    assert seen[1] is None
    assert seen[2] == Distribution((2.0,), (11, 0), 11.0)


def test_a_sum_begins_again_as_a_whole() -> None:
    """One of its parts fell and one did not: by the start, both are of another process."""
    before = page(1, extra=f'{ERRORS}"/a"}} 100\n{ERRORS}"/b"}} 10')
    after = page(1, started=200, extra=f'{ERRORS}"/a"}} 5\n{ERRORS}"/b"}} 20')

    seen = told([before, after], serving.REQUESTS_ERRORS)

    assert seen == [110, 25]


@pytest.mark.parametrize(
    "second",
    [
        page(60, started=100),
        page(60, started=101.5),
        page(60, started=None),
        page(60, started=None, extra='process_start_time_seconds{pod="b"} 200'),
        page(60, started=200, extra='process_start_time_seconds{pod="b"} 200'),
        page(60, started=200, extra="process_start_time_seconds 300"),
        page(60, started=None, extra="process_start_time_seconds NaN"),
        page(60, started=None, extra="process_start_time_seconds x"),
        page(60, started=200, extra=TRITON),
    ],
)
def test_without_a_clear_sign_nothing_is_concluded(second: str) -> None:
    """The same start, almost the same, none, several, somebody's on a page of several servers."""
    seen = [
        values(readings, serving.TOKENS_PROMPT)[("m", "", "0")]
        for readings in read([page(40), second])
    ]

    assert seen == [40, 60]


def test_of_processes_that_answer_in_turns_nothing_is_concluded() -> None:
    """Behind one address there are two: their starts go back and forth, and so do their counters."""
    turns = [
        page(40),
        page(60, started=200),
        page(41),
        page(61, started=200),
        page(62, started=300),
    ]

    assert told(turns)[2:] == [41, 61, 62]


def test_under_ray_the_start_is_that_of_its_agent() -> None:
    """Its page has families of replicas that live on when the agent of the node begins anew."""
    pages = [
        page(40).replace("vllm:", "ray_vllm:"),
        page(60, started=200).replace("vllm:", "ray_vllm:"),
    ]

    assert told(pages) == [40, 60]


def test_an_uptime_that_falls_is_a_restart() -> None:
    """Dynamo tells how long it has run, and not since when."""

    def worker(requests: int, uptime: float) -> str:
        of = 'dynamo_endpoint="generate",model="m"'
        return (
            f"dynamo_component_requests_total{{{of}}} {requests}\n"
            f'dynamo_component_uptime_seconds{{dynamo_namespace="n"}} {uptime}\n'
        )

    seen = told([worker(40, 500), worker(60, 30), worker(65, 35)], serving.REQUESTS_FINISHED)

    assert seen == [40, 100, 105]


def test_two_captured_pages_of_one_process_are_told_as_they_are() -> None:
    """Real pages of a process that goes on: nothing is added to anything."""
    names = ("vllm/vllm_0.33.0_dp1_t0.txt", "vllm/vllm_0.33.0_dp1_t1.txt")
    alone = [read([captured(name)])[0] for name in names]

    assert read([captured(name) for name in names]) == alone
