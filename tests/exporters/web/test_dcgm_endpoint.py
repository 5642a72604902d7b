import gzip

import aiohttp

from exporters.dcgm import DcgmExposition
from exporters.prometheus import CLASSIC
from tests.exporters import snapshots
from tests.exporters.source import Handed
from tests.exporters.web.conftest import Serve

OPENMETRICS_FIRST = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"


async def test_dcgm_names_are_served_beside_our_own(
    served: Serve, client: aiohttp.ClientSession
) -> None:
    """`/metrics/dcgm` answers in the classic format whatever is preferred: dcgm-exporter has no other."""
    url = await served(Handed(snapshots.full()))

    answer = await client.get(f"{url}/metrics/dcgm", headers={"Accept": OPENMETRICS_FIRST})

    assert answer.status == 200
    assert answer.headers["Content-Type"] == CLASSIC
    assert "Content-Encoding" not in answer.headers
    assert await answer.read() == DcgmExposition("node-a").text(snapshots.full())


async def test_dcgm_names_are_gzipped_where_welcome(
    served: Serve, client: aiohttp.ClientSession
) -> None:
    """Prometheus asks for gzip and gets it."""
    url = await served(Handed(snapshots.full()))

    answer = await client.get(f"{url}/metrics/dcgm", headers={"Accept-Encoding": "gzip"})

    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Vary"] == "Accept-Encoding"
    unpacked = gzip.decompress(await answer.read())
    assert unpacked == DcgmExposition("node-a").text(snapshots.full())


async def test_the_hosts_label_is_the_applications_choice(
    served: Serve, client: aiohttp.ClientSession
) -> None:
    """An exposition with another spelling of the host's label is the one that answers."""
    dcgm = DcgmExposition("node-a", hostname_label="hostname")
    url = await served(Handed(snapshots.full()), dcgm=dcgm)

    answer = await client.get(f"{url}/metrics/dcgm")

    assert ',hostname="node-a",' in await answer.text()


async def test_before_the_first_snapshot_there_is_nothing(
    served: Serve, client: aiohttp.ClientSession
) -> None:
    """The answer is 503 in plain words, never an empty success."""
    url = await served(Handed())

    answer = await client.get(f"{url}/metrics/dcgm")

    assert answer.status == 503
    assert await answer.text() == "no snapshot yet\n"
