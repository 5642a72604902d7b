import asyncio
import gzip
import json
import socket

import aiohttp
import pytest

from exporters.prometheus import CLASSIC, OPENMETRICS, Exposition
from exporters.web import make_app, serve
from tests.exporters import snapshots
from tests.exporters.source import Handed
from tests.exporters.web.conftest import Serve

PATHS = ("/", "/metrics", "/healthz", "/readyz", "/api/v1/status", "/stream")


async def test_metrics_are_classic_text_by_default(
    served: Serve, client: aiohttp.ClientSession
) -> None:
    """A client that asks for nothing in particular gets the classic format, uncompressed."""
    url = await served(Handed(snapshots.full()))

    answer = await client.get(f"{url}/metrics")

    assert answer.headers["Content-Type"] == CLASSIC
    assert "Content-Encoding" not in answer.headers
    assert await answer.read() == Exposition("node-a", "prod").text(snapshots.full())


async def test_metrics_are_openmetrics_where_asked_for(
    served: Serve, client: aiohttp.ClientSession
) -> None:
    """A client that prefers OpenMetrics gets it, gzipped where it likes."""
    url = await served(Handed(snapshots.full()))
    headers = {"Accept": "application/openmetrics-text;version=1.0.0", "Accept-Encoding": "gzip"}

    answer = await client.get(f"{url}/metrics", headers=headers)

    assert answer.headers["Content-Type"] == OPENMETRICS
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Vary"] == "Accept, Accept-Encoding"
    unpacked = gzip.decompress(await answer.read())
    assert unpacked == Exposition("node-a", "prod").openmetrics(snapshots.full())


@pytest.mark.parametrize("path", ["/", "/metrics", "/readyz", "/api/v1/status"])
async def test_nothing_is_told_before_the_first_snapshot(
    served: Serve, client: aiohttp.ClientSession, path: str
) -> None:
    """Before the first snapshot the answer is 503 in plain words, never an empty success."""
    url = await served(Handed())

    answer = await client.get(f"{url}{path}")

    assert answer.status == 503
    assert answer.content_type == "text/plain"
    assert await answer.text() == "no snapshot yet\n"


async def test_ready_after_the_first_snapshot(served: Serve, client: aiohttp.ClientSession) -> None:
    """The first snapshot makes the agent ready."""
    source = Handed()
    url = await served(source)
    source.hand(snapshots.empty())

    answer = await client.get(f"{url}/readyz")

    assert answer.status == 200


async def test_health_is_the_pulse_of_the_loop(
    served: Serve, client: aiohttp.ClientSession
) -> None:
    """A loop that stands still is unhealthy, with the reason; before that, all is well."""
    source = Handed()
    url = await served(source, health_limit=5.0)

    source.idle_seconds = 4.9
    well = await client.get(f"{url}/healthz")
    source.idle_seconds = 42.0
    ill = await client.get(f"{url}/healthz")

    assert well.status == 200
    assert ill.status == 503
    assert "last turned 42 s ago (limit 5 s)" in await ill.text()


async def test_health_does_not_depend_on_the_gpus(
    served: Serve, client: aiohttp.ClientSession
) -> None:
    """A lost GPU and a stalled collector leave the agent healthy: a restart mends neither."""
    url = await served(Handed(snapshots.full()))

    answer = await client.get(f"{url}/healthz")

    assert answer.status == 200


async def test_status_is_json_of_the_view(served: Serve, client: aiohttp.ClientSession) -> None:
    """The status endpoint gives the node as JSON."""
    url = await served(Handed(snapshots.full()))

    answer = await client.get(f"{url}/api/v1/status")

    status = json.loads(await answer.read())
    assert answer.content_type == "application/json"
    assert status["schema"] == 1
    assert status["counts"] == {"ok": 4, "attention": 3, "lost": 1}
    assert status["age"] == 0.5
    assert [gpu["index"] for gpu in status["gpus"]] == [str(index) for index in range(8)]


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_has_the_security_headers(
    served: Serve, client: aiohttp.ClientSession, path: str
) -> None:
    """HEAD works everywhere, says the same as GET would, and forbids sniffing, framing, caching."""
    url = await served(Handed(snapshots.full()))

    answer = await client.head(f"{url}{path}")

    assert answer.status == 200
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert answer.headers["Server"] == "warpwatch"
    assert await answer.read() == b""


async def test_unknown_paths_are_not_found_in_plain_text(
    served: Serve, client: aiohttp.ClientSession
) -> None:
    """An unknown path answers 404 in plain text, and repeats nothing of the request."""
    url = await served(Handed(snapshots.full()))

    answer = await client.get(f"{url}/%3Cscript%3E", headers={"Accept": "text/html"})

    assert answer.status == 404
    assert answer.content_type == "text/plain"
    assert "script" not in await answer.text()
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_other_methods_are_refused(served: Serve, client: aiohttp.ClientSession) -> None:
    """Nothing can be changed through the endpoint."""
    url = await served(Handed(snapshots.full()))

    answer = await client.delete(f"{url}/metrics")

    assert answer.status == 405


async def test_bodies_are_refused_unread(served: Serve, client: aiohttp.ClientSession) -> None:
    """A request with a body is refused before the body is read."""
    url = await served(Handed(snapshots.full()))

    answer = await client.get(f"{url}/metrics", data=b"x" * 1000)

    assert answer.status == 413


async def test_long_headers_are_refused(served: Serve, client: aiohttp.ClientSession) -> None:
    """Header lines, and the number of them, are bounded."""
    url = await served(Handed(snapshots.full()))

    long = await client.get(f"{url}/metrics", headers={"X-Long": "x" * 20_000})
    many = await client.get(f"{url}/metrics", headers={f"X-{n}": "x" for n in range(200)})

    assert (long.status, many.status) == (400, 400)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:9410", 200),
        ("LOCALHOST", 200),
        ("127.0.0.1", 200),
        ("10.1.2.3:9410", 200),
        ("[::1]:9410", 200),
        ("gpu.localhost", 200),
        ("proxy.example", 200),
        ("evil.example", 421),
        ("localhost.evil.example:9410", 421),
        ("127.0.0.1.evil.example", 421),
        ("[::1", 421),
    ],
)
async def test_foreign_names_are_refused_on_loopback(
    served: Serve, client: aiohttp.ClientSession, host: str, status: int
) -> None:
    """On loopback only names that cannot be rebound are answered, and those that were allowed."""
    url = await served(Handed(snapshots.full()), hosts=["proxy.example"])

    answer = await client.get(f"{url}/api/v1/status", headers={"Host": host})

    assert answer.status == status


@pytest.mark.parametrize(
    ("site", "mode", "status"),
    [
        ("none", "navigate", 200),
        ("cross-site", "navigate", 200),
        ("same-origin", "cors", 200),
        ("cross-site", "no-cors", 403),
        ("same-site", "cors", 403),
    ],
)
async def test_scripts_of_other_sites_are_refused(
    served: Serve, client: aiohttp.ClientSession, site: str, mode: str, status: int
) -> None:
    """A link from elsewhere opens the page; a script from elsewhere gets nothing."""
    url = await served(Handed(snapshots.full()))

    answer = await client.get(url, headers={"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode})

    assert answer.status == status


async def test_probes_answer_under_any_name(served: Serve, client: aiohttp.ClientSession) -> None:
    """Probes tell nothing of the node, and must work however they come."""
    url = await served(Handed(snapshots.full()))

    answer = await client.get(f"{url}/healthz", headers={"Host": "anything.example"})

    assert answer.status == 200


async def test_taken_port_is_named_with_the_way_out() -> None:
    """A busy port raises one error that names the port, how to find who has it, and the setting."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        app = make_app(Handed(), Exposition("n", ""))

        with pytest.raises(OSError, match=f"127.0.0.1:{port}: port {port} is taken") as caught:
            await serve(app, "127.0.0.1", port)

    assert "`listen`" in str(caught.value)


async def test_foreign_address_is_named() -> None:
    """An address that this machine does not have is named as such."""
    app = make_app(Handed(), Exposition("n", ""))

    with pytest.raises(OSError, match=r"192\.0\.2\.1 is no address of this machine"):
        await serve(app, "192.0.2.1", 9410)


async def test_app_follows_snapshots_from_the_start(
    served: Serve, client: aiohttp.ClientSession
) -> None:
    """The history is fed before anybody looks, so that the first visit already shows trends."""
    source = Handed()
    url = await served(source)
    for sequence, elapsed in ((1, 0.0), (2, 4.0), (3, 8.0)):
        source.hand(snapshots.full(sequence, elapsed))
        await asyncio.sleep(0)

    status = json.loads(await (await client.get(f"{url}/api/v1/status")).read())

    assert [age for age, _ in status["gpus"][0]["trends"]["power"]] == [8.4, 4.4, 0.4]
    assert status["servers"][0]["models"][0]["requests_per_second"] == 12.0
