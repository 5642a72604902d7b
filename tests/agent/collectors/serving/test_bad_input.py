"""What servers send that no server should: named, counted, and never a wrong number.

Each case goes over HTTP through the real collector. A case either gives exactly what the clean page gives,
or less of it and a problem that names the server and what is wrong.
"""

import asyncio
import gzip
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from agent.catalogue import Metric, serving
from agent.collectors.serving.collector import ServingCollector
from agent.snapshot import Batch, Distribution, Reading
from agent.vetting import vet
from tests.agent.collectors.scrape.raw_server import Answer, in_turn, page, raw_server
from tests.agent.collectors.serving.pages import captured, reasons, values

CLEAN = captured("vllm/vllm_0.33.0_dp1_t1.txt")
EARLIER = captured("vllm/vllm_0.33.0_dp1_t0.txt")
TRITON = captured("triton/triton_2.51.0_cpu_t1.txt")
LLAMA = ("meta-llama/Llama-3.1-8B-Instruct", "", "0")
QUEUE = "vllm:request_queue_time_seconds"
SMALL = (
    "# TYPE vllm:num_requests_running gauge\n"
    'vllm:num_requests_running{model_name="m",engine="0"} 3\n'
    "# TYPE vllm:prompt_tokens counter\n"
    'vllm:prompt_tokens_total{model_name="m",engine="0"} 40\n'
)


async def collected(*answers: Answer, within: float = 5) -> list[Batch]:
    """Collect once per answer from a server that gives them in turn; nothing may raise."""
    async with raw_server(in_turn(*answers)) as url:
        collector = ServingCollector(f"{url}/metrics", name="chat", timeout=within)
        batches = [await collector.collect() for _ in answers]
        await collector.close()
    for batch in batches:
        assert vet(batch)[0] is batch, "the sampler would refuse something"
        assert all("chat" in problem.subject for problem in batch.problems)
    return batches


def told(batch: Batch) -> dict[tuple[Metric, tuple[str, ...]], object]:
    """Return what a batch says of the server's models."""
    return {
        (reading.metric, reading.attributes): reading.value
        for reading in batch.readings
        if reading.metric.attributes != serving.SERVER_UP.attributes
    }


def one(batch: Batch, metric: Metric) -> object:
    """Return the only value of a metric."""
    (value,) = values(list(batch.readings), metric).values()
    return value


def text(content: str) -> Answer:
    """Answer a page of text."""
    return page(content.encode())


def raw(*parts: bytes, pause: float = 0.0) -> Answer:
    """Answer these bytes, head and all; with a pause (seconds) before each part but the first."""

    async def answer(writer: asyncio.StreamWriter, _: str) -> None:
        for number, part in enumerate(parts):
            await asyncio.sleep(pause if number else 0)
            writer.write(part)
            await writer.drain()

    return answer


def chunked(body: bytes, *trailers: str) -> Answer:
    """Answer in chunks of 1,000 bytes, with trailers after the last one."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
    parts = [body[start : start + 1_000] for start in range(0, len(body), 1_000)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    end = b"0\r\n" + b"".join(f"{each}\r\n".encode() for each in trailers) + b"\r\n"
    return raw(head + chunks + end)


def with_time_stamps(content: str) -> str:
    """Return a page with a time stamp behind each sample."""
    return "".join(
        f"{line}\n" if line.startswith("#") or not line else f"{line} 1700000000123\n"
        for line in content.splitlines()
    )


SAME: dict[str, Answer] = {
    "http/1.0": raw(b"HTTP/1.0 200 OK\r\n\r\n" + CLEAN.encode()),
    "chunked": chunked(CLEAN.encode()),
    "chunked with trailers": chunked(CLEAN.encode(), "X-Sum: 1", "X-More: 2"),
    "byte order mark": page(b"\xef\xbb\xbf" + CLEAN.encode()),
    "gzip": page(gzip.compress(CLEAN.encode()), "Content-Encoding: gzip"),
    "windows lines": text(CLEAN.replace("\n", "\r\n")),
    "time stamps": text(with_time_stamps(CLEAN)),
    "types twice": text(
        "\n".join(f"{x}\n{x}" if x[:6] == "# TYPE" else x for x in CLEAN.split("\n"))
    ),
    "each sample twice": text(CLEAN + "\n".join(x for x in CLEAN.split("\n") if x[:1] != "#")),
    "content type of protobuf": page(
        CLEAN.encode(), "Content-Type: application/vnd.google.protobuf; encoding=delimited"
    ),
    "one byte after the other": raw(
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(CLEAN.encode()),
        *(CLEAN.encode()[start : start + 9_000] for start in range(0, len(CLEAN), 9_000)),
        pause=0.001,
    ),
    "end of file": text(CLEAN + "# EOF\n"),
}


@pytest.mark.parametrize("answer", SAME.values(), ids=SAME)
async def test_what_is_only_unusual_changes_nothing(answer: Answer) -> None:
    """Other framings, marks, stamps and repetitions give the values of the clean page."""
    clean, unusual = await collected(text(CLEAN), answer)

    assert told(unusual) == told(clean)
    assert reasons(unusual.problems) <= {"duplicate_series"}


REFUSED: dict[str, tuple[Answer, str]] = {
    "204": (raw(b"HTTP/1.1 204 No Content\r\n\r\n"), "http_status"),
    "206": (page(CLEAN.encode()[:5000], status="206 Partial Content"), "http_status"),
    "500 with metrics": (page(CLEAN.encode(), status="500 Internal Server Error"), "http_status"),
    "503 in html": (page(b"<html>busy</html>", status="503 Service Unavailable"), "http_status"),
    "longer than it is": (page(CLEAN.encode(), "Content-Length: 99999", length=False), "truncated"),
    "chunks without an end": (
        raw(chunk_start := b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nvllm:\r\n"),
        "truncated",
    ),
    "a chunk of nonsense": (raw(chunk_start + b"zz\r\nvllm\r\n"), "not_http"),
    "trailers that lie": (chunked(CLEAN.encode(), "Content-Length: 3"), "not_http"),
    "two lengths": (
        page(CLEAN.encode(), "Content-Length: 10", "Content-Length: 20", length=False),
        "not_http",
    ),
    "a negative length": (page(CLEAN.encode(), "Content-Length: -1", length=False), "not_http"),
    "slow loris": (
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", *[b"v"] * 50, pause=0.1),
        "timeout",
    ),
    "slow head": (raw(*[b"HTTP/1.1 200 OK\r\n"], *[b"X: y\r\n"] * 50, pause=0.1), "timeout"),
    "utf-16": (page(CLEAN.encode("utf-16-le")), "bad_encoding"),
    "utf-32": (page(CLEAN.encode("utf-32")), "bad_encoding"),
    "cut gzip": (page(gzip.compress(CLEAN.encode())[:-900], "Content-Encoding: gzip"), "truncated"),
    "brotli": (page(b"\x1b\x00\x00", "Content-Encoding: br"), "bad_encoding"),
    "html with metrics in it": (text(f"\n\n <!DOCTYPE html><pre>\n{CLEAN}</pre>"), "not_metrics"),
    "json": (text('{"vllm:num_requests_running": 3}'), "not_metrics"),
    "only comments": (text("# TYPE vllm:num_requests_running gauge\n"), "not_metrics"),
    "white space": (text(" \n\n\t\n"), "not_metrics"),
    "a redirect to another host": (
        page(b"", "Location: http://169.254.169.254/latest", status="302 Found"),
        "redirect",
    ),
    "a redirect to a file": (
        page(b"", "Location: file:///etc/passwd", status="301 Moved"),
        "redirect",
    ),
    "a header without an end": (
        raw(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n"),
        "not_http",
    ),
}


@pytest.mark.parametrize(("answer", "reason"), REFUSED.values(), ids=REFUSED)
async def test_what_is_no_page_is_a_server_that_is_down(answer: Answer, reason: str) -> None:
    """One problem with one word, and no value of a model is told, of this page or of the last one."""
    clean, bad, again = await collected(text(CLEAN), answer, text(CLEAN), within=1)

    assert one(bad, serving.SERVER_UP) == 0
    assert told(bad) == {}
    assert [problem.reason for problem in bad.problems] == [reason]
    assert told(again) == told(clean)


async def test_a_length_that_is_too_short_is_no_page() -> None:
    """Where there is more than the length says, nobody knows which of both is true."""
    body = SMALL.encode()
    short = body.index(b" 40\n") + 2  # 4 of 40

    (batch,) = await collected(page(body, f"Content-Length: {short}", length=False))

    assert told(batch) == {}
    assert reasons(batch.problems) == {"not_http"}


async def test_a_length_in_characters_cuts_no_number() -> None:
    """A server that counts characters, not bytes, loses the page's end: half a number is left out."""
    content = SMALL.replace('"m"', '"größe"')
    lost = len(content.encode()) - len(content)
    assert lost > 0

    for missing in (2, lost):  # 4 of 40, and as much as is really lost
        (batch,) = await collected(page(content.encode()[:-missing]))

        assert one(batch, serving.REQUESTS_RUNNING) == 3
        assert values(list(batch.readings), serving.TOKENS_PROMPT) == {}
        assert reasons(batch.problems) == {"truncated"}


async def test_a_label_in_latin_1_costs_its_line() -> None:
    """What is not UTF-8 is counted, and all else is read."""
    body = SMALL.encode() + 'vllm:prompt_tokens_total{model_name="é"} 9\n'.encode("latin-1")

    (batch,) = await collected(page(body))

    assert one(batch, serving.TOKENS_PROMPT) == 40
    assert reasons(batch.problems) == {"bad_encoding", "not_finite"}


class _Families(Collector):
    def collect(self) -> list[CounterMetricFamily | HistogramMetricFamily]:
        """Give a counter and a histogram with an exemplar each, created at some time."""
        labels = ["model_name", "engine"]
        counter = CounterMetricFamily("vllm:prompt_tokens", "Tokens.", labels=labels)
        counter.add_metric(["m", "0"], 40, created=1_700_000_000.5)
        histogram = HistogramMetricFamily(QUEUE, "Queue.", labels=labels)
        exemplar = Exemplar({"trace_id": "ab c"}, 0.25, 1_700_000_000.25)
        buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = [
            *(("0.3", 3, exemplar), ("1.0", 5), ("+Inf", 6))
        ]
        histogram.add_metric(["m", "0"], buckets, 4.5)
        return [counter, histogram]


async def test_openmetrics_is_read_as_what_it_says() -> None:
    """Exemplars, `_created` and the end mark are no values; families without `_total` are counters."""
    registry = CollectorRegistry()
    registry.register(_Families())
    written: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]  # has no types
    content = written.replace(b"\nvllm_", b"\nvllm:")  # as vLLM itself writes them
    assert b"# {trace_id" in content
    assert content.endswith(b"# EOF\n")

    (batch,) = await collected(page(content, "Content-Type: application/openmetrics-text"))

    assert one(batch, serving.TOKENS_PROMPT) == 40
    assert one(batch, serving.QUEUE_DURATION) == Distribution((0.3, 1.0), (3, 2, 1), 4.5)
    assert batch.problems == ()


def delimited(*messages: bytes) -> bytes:
    """Return messages of protobuf with their lengths before them."""
    return b"".join(bytes([len(message)]) + message for message in messages)


async def test_protobuf_that_nobody_asked_for_is_no_page() -> None:
    """Binary families with names of ours in them give no value."""
    name = b"vllm:num_requests_running"
    value = b"\x22\x0d\x12\x0b\x12\x09\x09\x00\x00\x00\x00\x00\x00\x08\x40"
    family = b"\x0a" + bytes([len(name)]) + name + b"\x12\x01x\x18\x01" + value

    (batch,) = await collected(
        page(delimited(family), "Content-Type: application/vnd.google.protobuf")
    )

    assert one(batch, serving.SERVER_UP) == 0
    assert told(batch) == {}
    assert reasons(batch.problems) <= {"bad_encoding", "not_metrics", "unknown_server"}


@pytest.mark.parametrize(
    "line",
    [
        '{"vllm:num_requests_running",model_name="m",engine="0"} 3',
        '{"vllm:num_requests_running","model_name"="m","engine"="0"} 3',
        'vllm:num_requests_running{"model_name"="m","engine"="0"} 3',
        'vllm:num_requests_running { model_name = "m" , engine = "0" , } 3',
        'vllm:num_requests_running{model_name="m",engine="0"}3',
        'vllm:num_requests_running{engine="0",model_name="m"}\t3.0e0  ',
    ],
)
async def test_a_series_has_many_spellings(line: str) -> None:
    """Names in quotes, as Prometheus 3 writes them, and odd spaces are the same series, or counted."""
    other = 'vllm:prompt_tokens_total{model_name="m",engine="0"} 40\n'

    (batch,) = await collected(text(other + line + "\n"))

    found = values(list(batch.readings), serving.REQUESTS_RUNNING)
    assert found == {("m", "", "0"): 3} or (
        not found and reasons(batch.problems) == {"malformed_line"}
    )
    assert one(batch, serving.TOKENS_PROMPT) == 40


async def test_names_of_utf_8_beside_ours_disturb_nothing() -> None:
    """Families and labels that only Prometheus 3 can have are not ours, and no fault."""
    other = '{"größe.der.schlange","an.der.tür"="ä"} 7\nother{"label.with.dots"="x"} 8\n'

    (batch,) = await collected(text(SMALL + other))

    assert one(batch, serving.REQUESTS_RUNNING) == 3
    assert one(batch, serving.TOKENS_PROMPT) == 40
    assert reasons(batch.problems) <= {"malformed_line"}


async def test_escaped_label_values_are_what_they_mean() -> None:
    r"""Quotes, backslashes and line ends in a model's name come out as they are, not as ``\n``."""
    line = r'vllm:num_requests_running{model_name="C:\\new\"one\"\nx, y={}# \\",engine="0"} 3'

    (batch,) = await collected(text(line + "\n"))

    found = values(list(batch.readings), serving.REQUESTS_RUNNING)
    assert found == {('C:\\new"one"\nx, y={}# \\', "", "0"): 3}


@pytest.mark.parametrize(
    "value",
    ["NaN", "-1", "+Inf", "-Inf", "-0.5", "1e400", "nan", "0x10", "1_0", "18446744073709551615"],
)
async def test_values_that_cannot_be_are_absent(value: str) -> None:
    """Sentinels, infinities and what Python alone takes for a number are counted, not told."""
    content = SMALL + f'vllm:kv_cache_usage_perc{{model_name="m",engine="0"}} {value}\n'
    content += f'vllm:generation_tokens_total{{model_name="m",engine="0"}} {value}\n'

    (batch,) = await collected(text(content))

    assert values(list(batch.readings), serving.KV_CACHE_UTILIZATION) == {}
    assert values(list(batch.readings), serving.TOKENS_GENERATED) == {}
    assert one(batch, serving.REQUESTS_RUNNING) == 3
    assert batch.problems


def buckets(*pairs: tuple[str, float], count: float | None = None, total: str = "4.5") -> str:
    """Return a histogram of queue times."""
    lines = [f"# TYPE {QUEUE} histogram"]
    lines += [f'{QUEUE}_bucket{{model_name="m",engine="0",le="{le}"}} {n}' for le, n in pairs]
    last = pairs[-1][1] if count is None else count
    lines += [f'{QUEUE}_sum{{model_name="m",engine="0"}} {total}']
    lines += [f'{QUEUE}_count{{model_name="m",engine="0"}} {last}']
    return SMALL + "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    "content",
    [
        buckets(("1.0", 5), ("0.3", 3), ("+Inf", 6)),
        buckets(("0.3", 5), ("1.0", 3), ("+Inf", 6)),
        buckets(("0.3", 3), ("1.0", 5)),
        buckets(("0.3", 3), ("0.3", 4), ("+Inf", 6)),
        buckets(("0.3", 3.5), ("+Inf", 6)),
        buckets(("0.3", -3), ("+Inf", 6)),
        buckets(("0.3", 3), ("+Inf", 6), count=7),
        buckets(("NaN", 3), ("+Inf", 6)),
        buckets(("x", 3), ("+Inf", 6)),
        buckets(("0.3", 3), ("+Inf", 6), total="NaN"),
        buckets(("0.3", 3), ("+Inf", float("nan"))),
        buckets(("0.3", 3), ("+Inf", 1e300)),
        buckets(("0.3", 3), ("+Inf", 6)).replace(
            f"# TYPE {QUEUE} histogram", f"# TYPE {QUEUE} gauge"
        ),
    ],
)
async def test_a_histogram_that_contradicts_itself_is_absent_as_a_whole(content: str) -> None:
    """No part of it is told; the rest of the page is, and what is wrong is counted."""
    batch, again = await collected(text(content), text(buckets(("0.3", 3), ("+Inf", 6))))

    assert values(list(batch.readings), serving.QUEUE_DURATION) == {}
    assert batch.problems
    assert one(batch, serving.TOKENS_PROMPT) == 40
    assert one(again, serving.QUEUE_DURATION) == Distribution((0.3,), (3, 3), 4.5)
    assert again.problems == ()


async def test_buckets_may_change_between_scrapes() -> None:
    """A server that was started anew with other buckets has those, and nothing of the ones before."""
    batches = await collected(
        text(buckets(("0.3", 3), ("1.0", 5), ("+Inf", 6))),
        text(buckets(("0.5", 4), ("+Inf", 7))),
        text(buckets(("0.3", 3), ("1.0", 5), ("+Inf", 8))),
    )

    assert [one(batch, serving.QUEUE_DURATION) for batch in batches] == [
        Distribution((0.3, 1.0), (3, 2, 1), 4.5),
        Distribution((0.5,), (4, 3), 4.5),
        Distribution((0.3, 1.0), (3, 2, 3), 4.5),
    ]
    assert all(batch.problems == () for batch in batches)


async def test_counters_that_run_backwards_and_on_are_told_as_they_are() -> None:
    """Whoever reads them sees a restart, which is what happened; nothing is held back or made up."""

    def tokens(count: int) -> Answer:
        return text(f'vllm:prompt_tokens_total{{model_name="m",engine="0"}} {count}\n')

    batches = await collected(tokens(100), tokens(5), tokens(101), tokens(101))

    assert [one(batch, serving.TOKENS_PROMPT) for batch in batches] == [100, 5, 101, 101]


CONFLICTS: dict[str, Callable[[str], str]] = {
    "gauge and counter": lambda c: c + "# TYPE vllm:num_requests_running counter\n",
    "before and after": lambda c: f"# TYPE vllm:num_requests_running histogram\n{c}",
}


@pytest.mark.parametrize("damage", CONFLICTS.values(), ids=CONFLICTS)
async def test_a_family_of_two_types_is_absent(damage: Callable[[str], str]) -> None:
    """Nobody can say what its value means; the others are read."""
    (batch,) = await collected(text(damage(SMALL)))

    assert values(list(batch.readings), serving.REQUESTS_RUNNING) == {}
    assert one(batch, serving.TOKENS_PROMPT) == 40
    assert reasons(batch.problems) == {"conflicting_type"}


async def test_the_kind_of_server_changes_between_scrapes() -> None:
    """A page of Triton after one of vLLM is Triton's alone, and the other way round."""
    batches = await collected(text(CLEAN), text(TRITON), text(SMALL), text(CLEAN))

    kinds = [{reading.attributes[1] for reading in batch.readings} for batch in batches]
    assert kinds == [{"vllm"}, {"triton"}, {"vllm"}, {"vllm"}]
    assert told(batches[3]) == told(batches[0])


async def test_series_that_contradict_each_other_are_absent() -> None:
    """The same series with two values has none."""
    line = 'vllm:num_requests_running{engine="0",model_name="m"} 4\n'

    (batch,) = await collected(text(SMALL + line))

    assert values(list(batch.readings), serving.REQUESTS_RUNNING) == {}
    assert one(batch, serving.TOKENS_PROMPT) == 40
    assert reasons(batch.problems) == {"duplicate_series"}


async def test_a_bomb_of_labels_goes_off_in_its_own_family() -> None:
    """Twenty thousand request ids in a label: that family goes, by name, and the rest is read."""
    bomb = "".join(
        f'vllm:num_requests_waiting{{model_name="m",engine="{number}"}} 1\n'
        for number in range(20_000)
    )

    batch, after = await collected(text(SMALL + bomb), text(SMALL))

    assert values(list(batch.readings), serving.REQUESTS_WAITING) == {}
    assert one(batch, serving.REQUESTS_RUNNING) == 3
    assert reasons(batch.problems) == {"too_many_series"}
    assert any("num_requests_waiting" in problem.subject for problem in batch.problems)
    assert after.problems == ()


def test_a_reading_is_what_these_tests_compare() -> None:
    """The values of two batches can be compared by metric and attributes."""
    reading = Reading(serving.TOKENS_PROMPT, ("s", "p", *LLAMA), 1.0)

    assert told(Batch(0.0, (reading,))) == {(serving.TOKENS_PROMPT, ("s", "p", *LLAMA)): 1.0}
