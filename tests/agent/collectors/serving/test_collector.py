import asyncio
import gzip
import threading
import tracemalloc
from pathlib import Path

import pytest

from agent.catalogue import events, serving
from agent.collectors.exposition import Page, Parser
from agent.collectors.scrape import Access, Connections
from agent.collectors.serving.collector import ServingCollector
from agent.snapshot import Batch, Distribution
from agent.vetting import vet
from tests.agent.collectors.scrape.raw_server import Answer, flood, in_turn, page, raw_server
from tests.agent.collectors.serving.pages import captured, reasons, values

T0 = captured("vllm/vllm_0.33.0_dp1_t0.txt")
T1 = captured("vllm/vllm_0.33.0_dp1_t1.txt")
TRITON = captured("triton/triton_2.51.0_cpu_t0.txt")
LLAMA = ("meta-llama/Llama-3.1-8B-Instruct", "", "0")


def text(content: str) -> Answer:
    """Answer a page of text."""
    return page(content.encode(), "Content-Type: text/plain; version=0.0.4")


async def collected(*answers: Answer, profile: str | None = None, within: float = 5) -> list[Batch]:
    """Collect once per answer from a server that gives them in turn."""
    async with raw_server(in_turn(*answers)) as url:
        collector = ServingCollector(
            url, name="chat", profile=profile, timeout=within, clock=lambda: 1_000.0
        )
        batches = [await collector.collect() for _ in answers]
        await collector.close()
    return batches


def up(batch: Batch) -> tuple[str, float]:
    """Return the provider and the value of the server's up."""
    (found,) = (reading for reading in batch.readings if reading.metric is serving.SERVER_UP)
    assert isinstance(found.value, float)
    assert found.attributes[0] == "chat"
    return found.attributes[1], found.value


async def test_a_server_is_recognised_and_read() -> None:
    """Without a configured profile the page tells which one it is."""
    (batch,) = await collected(text(T1))

    assert up(batch) == ("vllm", 1)
    assert batch.problems == ()
    assert batch.taken_at == 1_000
    assert values(list(batch.readings), serving.TOKENS_PROMPT) == {LLAMA: 94665}
    (duration,) = values(list(batch.readings), serving.SCRAPE_DURATION).values()
    assert isinstance(duration, float)
    assert 0 < duration < 5


@pytest.mark.parametrize("content", [T1, TRITON], ids=["vllm", "triton"])
async def test_nothing_that_it_gives_is_refused_by_the_sampler(content: str) -> None:
    """Every reading of a captured page passes the vetting, and no series is there twice."""
    (batch,) = await collected(text(content))

    vetted, keys = vet(batch)

    assert vetted is batch
    assert len(keys) == len(batch.readings)
    assert all(len(r.attributes) == len(r.metric.attributes) for r in batch.readings)


async def test_two_scrapes_give_what_happened_between() -> None:
    """The pair of captured pages differs by what the server did."""
    early, late = await collected(text(T0), text(T1))

    counts = [
        values(list(batch.readings), serving.REQUEST_DURATION)[LLAMA] for batch in (early, late)
    ]
    assert all(isinstance(count, Distribution) for count in counts)
    assert [count.observations for count in counts if isinstance(count, Distribution)] == [85, 115]


async def test_a_restart_passes_through() -> None:
    """Counters that fall are given as they are."""
    before, after = await collected(text(T1), text(T0))

    assert values(list(before.readings), serving.TOKENS_PROMPT)[LLAMA] == 94665
    fallen = values(list(after.readings), serving.TOKENS_PROMPT)[LLAMA]
    assert isinstance(fallen, float)
    assert fallen < 94665
    assert after.problems == ()


async def hang(writer: asyncio.StreamWriter, _: str) -> None:
    """Send headers and a part, then nothing."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\nvllm:x 1\n")
    await writer.drain()
    await asyncio.sleep(60)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (hang, "timeout"),
        (page(b"<html><body>vllm:x 1</body></html>"), "not_metrics"),
        (page(b""), "not_metrics"),
        (page(b'{"object":"list"}'), "not_metrics"),
        (page(b"no", status="503 Service Unavailable"), "http_status"),
        (page(b"vllm:x 1\n", "Content-Length: 99", length=False), "truncated"),
        (page(b"", "Location: http://elsewhere.example/", status="302 Found"), "redirect"),
        (page(T1.encode("utf-16")), "bad_encoding"),
        (page(T1.encode(), "Content-Encoding: gzip"), "bad_encoding"),
        (page(gzip.compress(bytes(2**25)), "Content-Encoding: gzip"), "too_large"),
        (text("node_load1 0.5\n"), "unknown_server"),
        (text('vllm:num_requests_running{model_name="m"} 1\n' * 250_000), "too_many_series"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_server_without_metrics_is_down_and_says_why(answer: Answer, reason: str) -> None:
    """A bad server never raises: it is down, with one problem that names it and its URL."""
    (batch,) = await collected(answer, within=1)

    assert [(reading.metric, reading.value) for reading in batch.readings] == [
        (serving.SERVER_UP, 0)
    ]
    (problem,) = batch.problems
    assert (problem.reason, problem.subject) == (reason, "chat")
    assert "http://127.0.0.1:" in problem.detail
    assert [event.kind for event in batch.events] == [events.SERVER_DOWN]


async def test_nothing_listening_is_down() -> None:
    """A port that nobody has is a refused connection, from the first scrape on."""
    async with raw_server(text(T1)) as url:
        collector = ServingCollector(url)
    batch = await collector.collect()
    await collector.close()

    assert [problem.reason for problem in batch.problems] == ["connection_refused"]
    assert batch.readings[0].value == 0


async def test_only_changes_are_events() -> None:
    """Up, down and up again are three events, however often each was seen."""
    bad = page(b"no", status="500 Internal Server Error")

    batches = await collected(text(T1), text(T1), bad, bad, text(T1))

    assert [[event.kind for event in batch.events] for batch in batches] == [
        [events.SERVER_UP],
        [],
        [events.SERVER_DOWN],
        [],
        [events.SERVER_UP],
    ]
    (down,) = batches[2].events
    told = dict(down.attributes)
    assert told["inference.server.name"] == "chat"
    assert told["gen_ai.provider.name"] == "vllm"
    assert "answers 500" in str(told["error.message"])
    assert "answers 500" in down.body
    assert down.time == 1_000


async def test_up_stays_one_series_through_an_outage() -> None:
    """A provider once known is kept; until then there is none."""
    bad = page(b"no", status="500 Internal Server Error")

    unknown, known, down = await collected(bad, text(TRITON), bad)

    assert [up(batch) for batch in (unknown, known, down)] == [
        ("", 0),
        ("triton", 1),
        ("triton", 0),
    ]


async def test_a_configured_profile_is_the_provider_from_the_start() -> None:
    """Even while the server has never answered."""
    (batch,) = await collected(page(b"no", status="500 Internal Server Error"), profile="triton")

    assert up(batch) == ("triton", 0)


async def test_another_server_at_the_address_is_noticed() -> None:
    """Without a configured profile it is read as what it is now."""
    batches = await collected(text(T1), text(TRITON), text(T1))

    assert [up(batch) for batch in batches] == [("vllm", 1), ("triton", 1), ("vllm", 1)]


async def test_a_configured_profile_is_not_second_guessed() -> None:
    """A page of another server is a problem that names both."""
    wrong, unknown = await collected(text(TRITON), text("x 1\n"), profile="vllm")

    assert up(wrong) == ("vllm", 0)
    assert reasons(wrong.problems + unknown.problems) == {"unknown_server"}
    assert "configured as vllm and gives metrics of triton" in wrong.problems[0].detail
    assert "none of vllm" in unknown.problems[0].detail


async def test_what_is_wrong_with_a_page_is_counted_and_the_rest_is_read() -> None:
    """Doubled families, NaN, garbage, wrong bytes: few words, and every other value."""
    broken = T1.replace("vllm:num_requests_waiting{", "vllm:num_requests_waiting[")
    broken = broken.replace("0.44444472573460725", "NaN")
    doubled = "# TYPE vllm:num_preemptions_total gauge\n"
    body = (broken + doubled).encode() + b'vllm:prompt_tokens_total{model_name="\xff"} 1\n'

    (batch,) = await collected(page(body))

    assert up(batch) == ("vllm", 1)
    assert reasons(batch.problems) == {
        "malformed_line",
        "not_finite",
        "conflicting_type",
        "bad_encoding",
    }
    found = {reading.metric for reading in batch.readings}
    assert found.isdisjoint(
        {serving.REQUESTS_WAITING, serving.KV_CACHE_UTILIZATION, serving.PREEMPTIONS}
    )
    assert values(list(batch.readings), serving.TOKENS_PROMPT) == {LLAMA: 94665}


async def test_an_unfinished_last_line_is_not_believed() -> None:
    """Of a page that only the connection's end ended, half a number is left out, and counted."""
    cut = (
        b'vllm:num_requests_running{model_name="m"} 3\nvllm:num_requests_waiting{model_name="m"} 12'
    )

    (batch,) = await collected(page(cut, length=False))

    assert values(list(batch.readings), serving.REQUESTS_RUNNING) == {("m", "", ""): 3}
    assert values(list(batch.readings), serving.REQUESTS_WAITING) == {}
    assert reasons(batch.problems) == {"truncated"}


async def test_a_label_that_explodes_stays_within_the_budget() -> None:
    """A reason per request is dropped as a whole and counted; the other metrics stay."""
    bomb = "".join(
        f'vllm:request_success_total{{model_name="m",finished_reason="{number}"}} 1\n'
        for number in range(3_000)
    )

    (batch,) = await collected(text(T1 + bomb))

    assert len(batch.readings) < 100
    assert values(list(batch.readings), serving.REQUESTS_FINISHED) == {}
    assert values(list(batch.readings), serving.TOKENS_PROMPT) == {LLAMA: 94665}
    assert reasons(batch.problems) == {"too_many_series"}


@pytest.mark.parametrize(("lines", "beside"), [(1_000, False), (400_000, True)])
async def test_a_huge_page_is_parsed_beside_the_event_loop(
    lines: int, beside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten megabytes hold up nobody; a usual page is not worth a thread."""
    filler = "".join(f'other_metric{{id="{number}"}} 1\n' for number in range(lines))
    threads = []
    parse = Parser.parse

    def noting(parser: Parser, content: str) -> Page:
        threads.append(threading.current_thread())
        return parse(parser, content)

    monkeypatch.setattr(Parser, "parse", noting)

    (batch,) = await collected(text(T1 + filler), within=30)

    assert up(batch) == ("vllm", 1)
    assert values(list(batch.readings), serving.TOKENS_PROMPT) == {LLAMA: 94665}
    assert [thread is not threading.main_thread() for thread in threads] == [beside]


async def test_a_hundred_megabytes_end_at_the_limit() -> None:
    """Memory stays near the limit of 16 MiB while the server sends without end."""
    line = b'vllm:num_requests_running{model_name="m"} 1\n'
    tracemalloc.start()

    (batch,) = await collected(flood(line * 20_000), within=60)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reasons(batch.problems) == {"too_large"}
    assert peak < 64 * 2**20


def test_its_name_is_the_servers() -> None:
    """The configured name, else host:port; never credentials."""
    assert ServingCollector("http://h:8000", name="chat").name == "serving/chat"
    assert ServingCollector("http://me:secret@h:8000/x?k=secret").name == "serving/h:8000"
    assert ServingCollector("http://h", timeout=3).deadline > 3


@pytest.mark.parametrize(
    ("url", "profile", "message"),
    [
        ("h:8000", None, "needs a scheme"),
        ("http://h:8000", "vlm", "known: .*triton.*vllm"),
    ],
)
def test_what_cannot_work_is_said_at_once(url: str, profile: str | None, message: str) -> None:
    """A URL without a scheme and a profile that there is not are errors when it is made."""
    with pytest.raises(ValueError, match=message):
        ServingCollector(url, profile=profile)


async def test_secrets_stay_inside(tmp_path: Path) -> None:
    """Credentials are sent to the server, and stand in no reading, problem or event."""
    heads = []
    password = tmp_path / "password"
    password.write_text("s3cret")

    async def answer(writer: asyncio.StreamWriter, head: str) -> None:
        heads.append(head)
        await page(b"no", status="500 Internal Server Error")(writer, head)

    async with raw_server(answer) as url:
        access = Access(username="me", password_file=str(password))
        collector = ServingCollector(f"{url}/metrics?key=s3cret", access=access)
        batch = await collector.collect()
        await collector.close()

    assert "Authorization: Basic" in heads[0]
    assert "GET /metrics?key=s3cret" in heads[0]
    assert "s3cret" not in repr((batch, collector.name))


async def test_shared_connections_are_left_open() -> None:
    """Closing is safe twice, before the first collect, and spares what others still use."""
    shared = Connections()
    shared.join()
    async with raw_server(text(T1)) as url:
        collector = ServingCollector(url, connections=shared)
        await collector.collect()
        await collector.close()
        await collector.close()

        assert not shared.session().closed
    await shared.leave()
    await ServingCollector("http://h:1").close()
