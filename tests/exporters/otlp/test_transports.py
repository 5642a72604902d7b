"""Both transports against receivers that accept, refuse, hang, break off and come back."""

import asyncio
import ssl
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceResponse,
)

import agent
from agent.catalogue import events, gpu
from agent.snapshot import Batch, Event, Reading, Snapshot
from exporters.otlp.delivery import Encoded, Receipt, Refused, Retryable, Transport, one_line
from exporters.otlp.grpc_transport import GrpcTransport
from exporters.otlp.http_transport import HttpTransport, retry_after
from exporters.otlp.identity import identity
from exporters.otlp.logs import event_request
from exporters.otlp.metrics import MetricEncoder, sliced
from exporters.otlp.response import retry_delay, status_words
from exporters.otlp.settings import (
    Destination,
    SettingsError,
    Target,
    otlp_settings,
    unusable_files,
)
from tests.otlp_sink import Answer, GrpcSink, HttpSink, Pem
from tests.real_parts.command import run

WHO = identity("node-1", "", {})
Sink = HttpSink | GrpcSink
SINKS: dict[str, type[HttpSink] | type[GrpcSink]] = {"http/protobuf": HttpSink, "grpc": GrpcSink}


def metrics() -> Encoded:
    """Return a request of one data point."""
    reading = Reading(gpu.DEVICES, (), 8)
    snapshot = Snapshot(1, 1.0, {"nvml": Batch(1.0, (reading,))})
    (part,) = sliced(snapshot)
    return MetricEncoder(WHO).request(part, {})


def target(url: str, protocol: str, signal: str = "metrics", **variables: str) -> Target:
    """Return where one signal goes."""
    (settings,) = otlp_settings([Destination(url, protocol)], variables)
    return next(each for each in settings.targets if each.signal == signal)


def transport(where: Target) -> Transport:
    """Return the transport of a target's protocol."""
    return GrpcTransport(where) if where.protocol == "grpc" else HttpTransport(where)


async def send(where: Target, encoded: Encoded) -> Receipt:
    """Deliver one request over a connection of its own."""
    one = transport(where)
    try:
        return await one.send(one.pack(encoded.body))
    finally:
        await one.close()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a developer's proxy out of it."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(params=SINKS)
def sink(request: pytest.FixtureRequest) -> Iterator[Sink]:
    """Yield a receiver of each protocol."""
    with SINKS[request.param]() as each:
        yield each


def protocol(sink: Sink) -> str:
    """Return the protocol that a sink speaks."""
    return "grpc" if isinstance(sink, GrpcSink) else "http/protobuf"


@pytest.mark.parametrize("compression", ["gzip", "none"])
async def test_both_signals_arrive(sink: Sink, compression: str) -> None:
    """Metrics and events arrive at their services, compressed or not, with headers and user agent."""
    options = {
        "OTEL_EXPORTER_OTLP_COMPRESSION": compression,
        "OTEL_EXPORTER_OTLP_HEADERS": "X-Scope-OrgID=tenant%201",
    }
    event = Event(events.GPU_LOST, 1.0, "GPU 7 cannot be reached")

    took = [
        await send(target(sink.url, protocol(sink), "metrics", **options), metrics()),
        await send(
            target(sink.url, protocol(sink), "logs", **options), event_request([event], 2.0, WHO)
        ),
    ]

    assert took == [Receipt(), Receipt()]
    assert [point.value for point in sink.points()] == [8.0]
    ((record, resource),) = sink.records()
    assert record.body.string_value == event.body
    assert resource["k8s.node.name"] == "node-1"
    for headers in sink.headers:
        assert headers["x-scope-orgid"] == "tenant 1"
        assert headers["user-agent"].startswith(f"warpwatch/{agent.__version__}")


async def test_http_paths_and_headers() -> None:
    """OTLP/HTTP posts protobuf to the path of the signal, with the encoding named."""
    with HttpSink() as sink:
        await send(target(f"{sink.url}/base", "http/protobuf"), metrics())

        assert sink.paths == ["/base/v1/metrics"]
        assert sink.headers[0]["content-type"] == "application/x-protobuf"
        assert sink.headers[0]["content-encoding"] == "gzip"


async def test_connection_is_kept(sink: Sink) -> None:
    """One transport delivers many requests and opens again after it was closed."""
    one = transport(target(sink.url, protocol(sink)))

    for _ in range(3):
        await one.send(one.pack(metrics().body))
    await one.close()
    await one.send(one.pack(metrics().body))
    await one.close()
    await one.close()

    assert len(sink.metrics) == 4


@pytest.mark.parametrize("code", [400, 401, 403, 404, 413, 500, 501, 505])
async def test_http_refusals_are_final(code: int) -> None:
    """Statuses that the specification does not list as retryable are not, and the words are kept."""
    body = Status(code=3, message="bad data:\n  point 7").SerializeToString()
    with HttpSink() as sink:
        sink.script.append(Answer(code, body))

        with pytest.raises(Refused) as caught:
            await send(target(sink.url, "http/protobuf"), metrics())

    assert str(caught.value) == f"HTTP {code}: bad data: point 7"


@pytest.mark.parametrize("code", [429, 502, 503, 504])
@pytest.mark.parametrize(
    ("header", "after"),
    [((), None), ((("retry-after", "7"),), 7.0), ((("retry-after", "x"),), None)],
)
async def test_http_throttling_is_retryable(
    code: int, header: tuple[tuple[str, str], ...], after: float | None
) -> None:
    """Statuses of overload are tried again, after what the receiver asks for."""
    with HttpSink() as sink:
        sink.script.append(Answer(code, b"<html>  busy </html>", header, "text/html"))

        with pytest.raises(Retryable, match=f"HTTP {code}: <html> busy </html>") as caught:
            await send(target(sink.url, "http/protobuf"), metrics())

    assert (caught.value.after, caught.value.answered) == (after, True)


async def test_http_redirect_is_not_followed() -> None:
    """A redirect would carry keys to another host, so it is refused, with where it points."""
    with HttpSink() as other, HttpSink() as sink:
        sink.script.append(Answer(307, headers=(("location", f"{other.url}/v1/metrics"),)))

        with pytest.raises(Refused, match=f"redirect to {other.url}"):
            await send(target(sink.url, "http/protobuf"), metrics())

        assert other.paths == []


@pytest.mark.parametrize(
    ("code", "retryable"),
    [
        ("UNAVAILABLE", True),
        ("DEADLINE_EXCEEDED", True),
        ("ABORTED", True),
        ("CANCELLED", True),
        ("OUT_OF_RANGE", True),
        ("DATA_LOSS", True),
        ("RESOURCE_EXHAUSTED", False),
        ("INVALID_ARGUMENT", False),
        ("UNAUTHENTICATED", False),
        ("UNIMPLEMENTED", False),
        ("INTERNAL", False),
    ],
)
async def test_grpc_codes(code: str, *, retryable: bool) -> None:
    """Each gRPC status is tried again or final as the specification's table has it."""
    with GrpcSink() as sink:
        sink.script.append(Answer(code, b"because"))

        with pytest.raises(Retryable if retryable else Refused, match=f"gRPC {code}: because"):
            await send(target(sink.url, "grpc"), metrics())


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED"])
async def test_grpc_retry_info_is_honoured(code: str) -> None:
    """RetryInfo makes an exhausted receiver retryable and says when to come back."""
    info = AnyMessage()
    delay = RetryInfo()
    delay.retry_delay.FromMilliseconds(2500)
    info.Pack(delay)
    status = Status(code=8, message="slow down", details=[info]).SerializeToString()
    with GrpcSink() as sink:
        sink.script.append(Answer(code, b"slow down", (("grpc-status-details-bin", status),)))

        with pytest.raises(Retryable) as caught:
            await send(target(sink.url, "grpc"), metrics())

    assert caught.value.after == 2.5


@pytest.mark.parametrize("signal", ["metrics", "logs"])
async def test_partial_success_is_read(sink: Sink, signal: str) -> None:
    """How many items a receiver rejected, and why, is in its answer."""
    why = "too\nold"
    if signal == "metrics":
        points = ExportMetricsPartialSuccess(rejected_data_points=3, error_message=why)
        body = ExportMetricsServiceResponse(partial_success=points).SerializeToString()
    else:
        records = ExportLogsPartialSuccess(rejected_log_records=3, error_message=why)
        body = ExportLogsServiceResponse(partial_success=records).SerializeToString()
    sink.script.append(Answer(body=body))
    event = Event(events.GPU_LOST, 1.0, "GPU 7 cannot be reached")
    encoded = metrics() if signal == "metrics" else event_request([event], 2.0, WHO)

    took = await send(target(sink.url, protocol(sink), signal), encoded)

    assert took == Receipt(3, "too old")


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body=b"\xff\xff\xff"),
        Answer(body=b"{}", content_type="application/json"),
        Answer(body=b"ok" * 100_000, content_type="text/plain"),
        Answer(body=b"\x0a\x20", announce=100),
        Answer(code=202),
    ],
    ids=["nonsense", "json", "long", "breaks off", "accepted"],
)
async def test_strange_answer_of_acceptance_is_acceptance(answer: Answer) -> None:
    """A receiver that said yes has the data, whatever else its answer holds or lacks."""
    with HttpSink() as sink:
        sink.script.append(answer)

        assert await send(target(sink.url, "http/protobuf"), metrics()) == Receipt()


async def test_hung_receiver_ends_in_the_time_out(sink: Sink) -> None:
    """A receiver that never answers costs the configured time-out and no more."""
    sink.script.append(Answer(hang=True))
    where = target(sink.url, protocol(sink), OTEL_EXPORTER_OTLP_TIMEOUT="150")
    one = transport(where)

    with pytest.raises(Retryable) as caught:
        await one.send(one.pack(metrics().body))
    again = await one.send(one.pack(metrics().body))

    assert not caught.value.answered
    assert again == Receipt()
    await one.close()


@pytest.mark.parametrize("speaks", SINKS)
async def test_receiver_that_comes_late_and_restarts(speaks: str, free_port: int) -> None:
    """A receiver that is not up yet, or goes away between requests, is retryable and then found."""
    one = transport(target(f"http://127.0.0.1:{free_port}", speaks))
    packed = one.pack(metrics().body)

    with pytest.raises(Retryable) as before:
        await one.send(packed)
    for _ in range(2):
        with SINKS[speaks](free_port) as sink:
            await _until_taken(one, packed)
            assert len(sink.points()) >= 1
    with pytest.raises(Retryable):
        await one.send(packed)

    assert not before.value.answered
    assert str(before.value)
    await one.close()


async def _until_taken(one: Transport, packed: bytes) -> None:
    """Send until it works: gRPC waits by itself before it connects anew."""
    for _ in range(600):
        try:
            await one.send(packed)
        except Retryable:
            await asyncio.sleep(0.05)
        else:
            return
    pytest.fail("the receiver is up, and nothing gets through")


@pytest.mark.parametrize("speaks", SINKS)
async def test_unknown_host_is_retryable(speaks: str) -> None:
    """A name that does not resolve may resolve later: a service that is not there yet."""
    where = target("http://no-such-host.invalid:1", speaks, OTEL_EXPORTER_OTLP_TIMEOUT="3000")

    with pytest.raises(Retryable):
        await send(where, metrics())


def certificate(folder: Path) -> Pem:
    """Make a certificate for 127.0.0.1 that signs itself, so that it is its own authority."""
    folder.mkdir()
    pem = Pem(folder / "certificate.pem", folder / "key.pem")
    words = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=sink"
    )
    extension = ("-addext", "subjectAltName=IP:127.0.0.1")
    run("openssl", *words.split(), *extension, "-keyout", pem.key, "-out", pem.certificate)
    return pem


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Pem:
    """Make the certificate that most tests share."""
    return certificate(tmp_path_factory.mktemp("tls") / "shared")


@pytest.mark.parametrize("speaks", SINKS)
async def test_rotated_certificates_are_picked_up(
    speaks: str, pem: Pem, free_port: int, tmp_path: Path
) -> None:
    """When both sides get new certificates the push goes on, without a restart of the agent."""
    mine = Pem(tmp_path / "certificate", tmp_path / "key")
    for old, new in zip(pem, mine, strict=True):
        new.write_bytes(old.read_bytes())
    options = {
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(mine.certificate),
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(mine.key),
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": str(mine.certificate),
    }
    one = transport(target(f"https://127.0.0.1:{free_port}", speaks, **options))
    with SINKS[speaks](free_port, tls=pem):
        await one.send(one.pack(metrics().body))
    fresh = certificate(tmp_path / "fresh")

    with SINKS[speaks](free_port, tls=fresh) as sink:
        with pytest.raises(Retryable):
            await one.send(one.pack(metrics().body))
        for old, new in zip(fresh, mine, strict=True):
            new.write_bytes(old.read_bytes())
        await _until_taken(one, one.pack(metrics().body))
        await one.close()

        assert len(sink.points()) == 1


@pytest.mark.parametrize("speaks", SINKS)
async def test_both_sides_prove_who_they_are(speaks: str, pem: Pem) -> None:
    """With certificates of both sides requests arrive; with one missing they wait, and say why."""
    trusted = {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(pem.certificate)}
    client = {
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(pem.key),
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": str(pem.certificate),
    }
    with SINKS[speaks](tls=pem) as sink:
        await send(target(sink.url, speaks, **trusted, **client), metrics())
        for options in (trusted, client):
            with pytest.raises(Retryable) as caught:
                await send(target(sink.url, speaks, **options), metrics())
            assert str(caught.value)

        assert len(sink.metrics) == 1


async def test_tls_files_that_are_no_pem_are_refused_at_once(tmp_path: Path) -> None:
    """A certificate that cannot be used is told when the agent starts, with its path."""
    file = tmp_path / "ca.pem"
    file.write_text("not a certificate")
    where = target("https://127.0.0.1:1", "http/protobuf", OTEL_EXPORTER_OTLP_CERTIFICATE=str(file))

    with pytest.raises(SettingsError, match=f"{file}.*must be PEM"):
        HttpTransport(where)


async def test_tls_to_a_receiver_without_it_is_retryable() -> None:
    """HTTPS to a plain port says what is wrong instead of ending the push."""
    with HttpSink() as sink:
        where = target(sink.url.replace("http:", "https:"), "http/protobuf")

        with pytest.raises(Retryable) as caught:
            await send(where, metrics())

    assert isinstance(caught.value.__cause__, ssl.SSLError | OSError)
    assert str(caught.value)


@pytest.mark.parametrize(("no_proxy", "through"), [("", True), ("127.0.0.1,other", False)])
async def test_proxy_of_the_environment_is_used(
    monkeypatch: pytest.MonkeyPatch, no_proxy: str, *, through: bool
) -> None:
    """HTTP goes through HTTP_PROXY unless NO_PROXY names the host, and no .netrc is ever sent."""
    with HttpSink() as proxy, HttpSink() as sink:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", no_proxy)

        await send(target(sink.url, "http/protobuf"), metrics())

        assert (len(proxy.paths), len(sink.paths)) == ((1, 0) if through else (0, 1))


async def test_netrc_is_never_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Credentials that a .netrc file holds for the host stay there, beside a header of ours too."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password sesame")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with HttpSink() as sink:
        await send(target(sink.url, "http/protobuf"), metrics())
        key = {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20mine"}
        await send(target(sink.url, "http/protobuf", **key), metrics())

        assert [headers.get("authorization") for headers in sink.headers] == [None, "Bearer mine"]


def test_proxy_that_is_no_url_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that the client cannot use is told when the agent starts."""
    monkeypatch.setenv("https_proxy", "me:sesame@proxy:3128")

    with pytest.raises(SettingsError, match="HTTPS_PROXY is no http:// URL") as caught:
        HttpTransport(target("https://h:1", "http/protobuf"))

    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("header", ["x!y=sesame", "x=a%09sesame"])
def test_headers_that_grpc_does_not_take_are_named(header: str) -> None:
    """Over gRPC stricter rules hold for headers than over HTTP; that is told when the agent starts."""
    where = target("http://h:1", "grpc", OTEL_EXPORTER_OTLP_HEADERS=header)

    with pytest.raises(SettingsError, match=r"header x.* cannot go by gRPC") as caught:
        GrpcTransport(where)

    assert "sesame" not in str(caught.value)


async def test_binary_headers_go_by_grpc() -> None:
    """Names that end in -bin carry bytes."""
    with GrpcSink() as sink:
        key = {"OTEL_EXPORTER_OTLP_HEADERS": "x-key-bin=abc"}
        await send(target(sink.url, "grpc", **key), metrics())

        assert sink.headers[0]["x-key-bin"] == str(b"abc")


@pytest.mark.parametrize("bad", ["x!y: sesame", "x-y: a\tsesame"])
async def test_headers_that_go_bad_keep_the_data(tmp_path: Path, bad: str) -> None:
    """A rotated file with a header that gRPC does not take stops the push, not the agent."""
    file = tmp_path / "headers"
    file.write_text("x-y: good")
    with GrpcSink() as sink:
        (settings,) = otlp_settings([Destination(sink.url, "grpc", str(file))], {})
        assert unusable_files(settings) == ()
        one = GrpcTransport(settings.targets[0])
        await one.send(metrics().body)
        file.write_text(bad + " and longer")

        with pytest.raises(Retryable, match="cannot go by gRPC") as caught:
            await one.send(metrics().body)
        await one.close()

    assert "sesame" not in str(caught.value)


def test_missing_grpcio_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, protocol grpc says what to install."""
    monkeypatch.setitem(sys.modules, "grpc", None)

    with pytest.raises(SettingsError, match=r"pip install 'warpwatch\[grpc\]'"):
        GrpcTransport(target("http://h:1", "grpc"))


@pytest.mark.parametrize("body", [b"\xff\xff", b"", b"\x1a\x03\x0a\x01x"])
def test_details_that_make_no_sense_are_no_advice(body: bytes) -> None:
    """What a receiver adds to an error may be anything; it never becomes an error of its own."""
    assert retry_delay(body) is None
    assert status_words(body) == ""


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Sat, 21 Nov 2026 12:00:30 GMT", 30.0),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, seconds: float | None) -> None:
    """Both forms of Retry-After are read; others are no advice."""
    assert retry_after(header, datetime(2026, 11, 21, 12, tzinfo=UTC)) == seconds


def test_words_of_a_receiver_become_one_short_line() -> None:
    """What goes to log and status page cannot break lines, move cursors or fill disks."""
    said = one_line("a\x1b[2Jb\r\n\tc" + "d" * 1000)

    assert said.startswith("a [2Jb cddd")
    assert len(said) < 320
