"""Measures the agent against its budgets: ``make bench``, about nine minutes.

What is measured is the real agent in processes of their own, reading GPUs each second from the simulated
`libnvidia-ml.so.1` of the tests through the real binding, with a vLLM and a Triton server (captured answers
over HTTP) scraped each 5 s as by default, and OTLP/HTTP each 15 s. It reports and never fails: a machine
that is busy with something else must not break a build. What is missing for a part is said in its place.
"""

import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from subprocess import SubprocessError
from threading import Thread
from typing import Any, Final

from tests.bench.agent_process import (
    HANGING,
    Agent,
    Process,
    Watched,
    import_cost,
    running_agent,
    running_bare_calls,
)
from tests.bench.figures import Figure, Missing, Row
from tests.bench.library import FREE, costly, divided, tenants
from tests.bench.rival import PINNED, NoRivalError, running_rival
from tests.bench.scrapes import Scrapes, scrape
from tests.bench.xid_road import xid_latency
from tests.real_parts.payloads import serving_captures
from tests.real_parts.programs import NotReadyError, eventually, http_get
from tests.simulated_nvml.build import CannotBuildError
from tests.simulated_nvml.workshop import SimulatedNode, Workshop

RESULT: Final = Path(__file__).resolve().parents[2] / "build" / "bench.json"
WARM_UP: Final = 12.0
LONG: Final = 50.0
SHORT: Final = 40.0
SCRAPES: Final = 400
FEW_SCRAPES: Final = 150
PAUSE: Final = 0.025
"""Seconds between two scrapes, in which an idle machine goes to sleep and forgets: most of what they take."""
AWAKE: Final = 0.001
"""Seconds between two that find the machine awake."""
IMPORTS: Final = 9
STARTS: Final = 6
PODS: Final = 20
BUDGET: Final = 0.3
"""CPU seconds a minute above the bare cost of the same calls."""
_SERVED: Final = ", 2 servers"
_CANNOT: Final = (
    CannotBuildError,
    NoRivalError,
    NotReadyError,
    OSError,
    SubprocessError,
    RuntimeError,
)


class _Receiver(BaseHTTPRequestHandler):
    """Takes whatever is pushed: an empty body is a valid OTLP answer."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Read the request and accept it."""
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""


@contextmanager
def _receiver() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Receiver)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@dataclass(frozen=True)
class Bench:
    """What the parts share: a folder, who serves captures, who takes pushes, who makes nodes."""

    folder: Path
    captures: str
    receiver: str
    tenants: str

    def workshop(self) -> Workshop:
        """Return who makes nodes; built again each time, which takes a second."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        return Workshop(folder)

    def settings(self, servers_each: int = 5) -> dict[str, Any]:
        """Return a whole node: GPUs, OTLP, and the model servers that are on most."""
        servers = [
            {"name": name, "url": f"{self.captures}/{name}/metrics", "profile": name}
            for name in ("vllm", "triton")
        ]
        return {
            "node": "bench",
            "interval": 1,
            "servers": [each | {"interval": servers_each} for each in servers],
        } | self.gpus()

    def gpus(self) -> dict[str, Any]:
        """Return GPUs and OTLP, which the budget is for."""
        otlp = [{"endpoint": self.receiver, "interval": 15}]
        return {"node": "bench", "interval": 1, "otlp": otlp}


_ALONE: Final[dict[str, Any]] = {"node": "bench", "interval": 1}
"""GPUs and nothing else, as the other exporters have it."""


@dataclass(frozen=True)
class Use:
    """CPU seconds a minute of a process, and how much of it was the driver's; its calls a second."""

    total: float
    driver: float
    calls: float

    @property
    def own(self) -> float:
        """What is above the driver's."""
        return self.total - self.driver


def _uses(watched: Sequence[tuple[Process, SimulatedNode]], window: float) -> list[Use]:
    """Watch processes side by side for ``window`` seconds; those that serve are scraped every 15 s."""
    time.sleep(WARM_UP)
    before = [(each.cpu_seconds(), node.account()) for each, node in watched]
    began = time.monotonic()
    while (left := began + window - time.monotonic()) > 0:
        time.sleep(min(15.0, left))
        for each, _ in watched:
            if isinstance(each, Watched):
                http_get(f"{each.program.url}/metrics")
    seconds = time.monotonic() - began
    return [
        Use(
            total=(each.cpu_seconds() - cpu) / seconds * 60,
            driver=(spent := node.account() - account).cpu_seconds / seconds * 60,
            calls=spent.calls / seconds,
        )
        for (each, node), (cpu, account) in zip(watched, before, strict=True)
    ]


def _imports(_: Bench) -> list[Row]:
    milliseconds, mebibytes = import_cost("agent.app", IMPORTS)
    method = f"of {IMPORTS} fresh interpreters, bytecode cached"
    return [
        Figure("import of agent.app", min(milliseconds), "ms", 250, f"fastest {method}"),
        Figure(
            "memory of agent.app's import", median(mebibytes), "MiB RSS", 42, f"median {method}"
        ),
    ]


def _scraped(title: str, scrapes: Scrapes, pause: float) -> list[Row]:
    method = (
        f"{SCRAPES} scrapes, one each {pause * 1000:.0f} ms, gzip, kept connection, bare socket"
    )
    return [
        Figure(f"scrape, median{title}", scrapes.median, "ms", 1, method),
        Figure(f"scrape, p99{title}", scrapes.p99, "ms", 5, method),
    ]


def _starts(bench: Bench, settings: dict[str, Any], node: SimulatedNode) -> Iterator[float]:
    for _ in range(STARTS):
        with running_agent(bench.folder, settings, environment=node.environment()) as agent:
            yield agent.first_metric_after


def _watch(bench: Bench, settings: dict[str, Any], title: str) -> tuple[Use, list[Row]]:
    """Watch one agent alone: what it uses and holds, and how soon it answers."""
    node = bench.workshop().node("node", f"{FREE}\n{bench.tenants}")
    with running_agent(bench.folder, settings, environment=node.environment()) as agent:
        (use,) = _uses([(agent, node)], LONG)
        memory = agent.pss_mib()
        scrapes = scrape(agent.port, SCRAPES, AWAKE)
        resting = scrape(agent.port, SCRAPES, PAUSE)
        floor = scrape(agent.port, SCRAPES, PAUSE, "/healthz").median
    gpus = sum(b"hw_id=" in line for line in scrapes.body.splitlines())
    each = f"{SCRAPES} scrapes, gzip, kept connection, bare socket, one each {PAUSE * 1000:.0f} ms"
    starts = [agent.first_metric_after, *_starts(bench, settings, node)]
    return use, [
        Figure(
            f"first metric after start{title}",
            median(starts),
            "s",
            0.5,
            f"spawn to /readyz, asked each 50 ms; median of {len(starts)}, the slowest {max(starts):.2f}",
        ),
        Figure(f"memory{title}", memory, "MiB PSS", 48, "smaps_rollup at the end of the window"),
        Figure(f"series{title}", scrapes.series, "", None, f"lines of one scrape; {gpus} of GPUs"),
        *_scraped(title, scrapes, AWAKE),
        Figure(f"scrape of an idle machine, median{title}", resting.median, "ms", None, each),
        Figure(f"empty answer of it, median{title}", floor, "ms", None, "/healthz, the same way"),
    ]


def _steady(bench: Bench) -> list[Row]:
    """Watch, one after the other, a loop that only makes calls, GPUs, and a whole node; drivers are free."""
    node = bench.workshop().node("bare", f"{FREE}\n{bench.tenants}")
    with running_bare_calls(node.environment()) as bare:
        (bare_use,) = _uses([(bare, node)], LONG)
    use, of_gpus = _watch(bench, bench.gpus(), "")
    use_served, of_whole = _watch(bench, bench.settings(), _SERVED)
    window = (
        f"/proc over {LONG:.0f} s after {WARM_UP:.0f} s, a scrape and a push each 15 s, {PODS} pods"
    )
    counted = f"{use.calls:.0f} calls/s, counted by the library itself"
    less = "all, less the bare calls, which hold the driver's and the binding's time"
    return [
        Figure("CPU, all", use.total, "s/min", None, window),
        Figure("CPU of the simulated driver", use.driver, "s/min", None, counted),
        Figure("CPU above the driver's, 8 GPUs", use.own, "s/min", None, "the difference"),
        Figure(
            "CPU of the same calls, bare",
            bare_use.total,
            "s/min",
            None,
            f"bare_calls.py: {bare_use.calls:.0f} calls/s, answers unread; "
            f"{bare_use.driver:.3f} of it the driver's",
        ),
        Figure(
            "CPU above the same calls, bare, 8 GPUs",
            use.total - bare_use.total,
            "s/min",
            BUDGET,
            less,
        ),
        *of_gpus,
        Figure(
            f"CPU above the same calls{_SERVED}",
            use_served.total - bare_use.total,
            "s/min",
            None,
            f"{less}; the servers' pages are 60 kB and 4 kB",
        ),
        *of_whole,
    ]


def _costly(bench: Bench) -> list[Row]:
    """Watch GPUs on a driver that costs what real ones are said to, beside the same calls alone."""
    shop = bench.workshop()
    rows: list[Row] = []
    for how, title in {"work": "using up CPU", "latency": "sleeping"}.items():
        driver = f"{costly(how)}\n{bench.tenants}"
        node, bare_node = shop.node(how, driver), shop.node(f"{how}-bare", driver)
        with (
            running_bare_calls(bare_node.environment()) as bare,
            running_agent(bench.folder, bench.gpus(), environment=node.environment()) as agent,
        ):
            use, bare_use = _uses([(agent, node), (bare, bare_node)], SHORT)
        counted = f"{use.calls:.0f} calls/s, counted by the library itself"
        rows += [
            Figure(f"CPU of a driver that costs, {title}", use.driver, "s/min", None, counted),
            Figure(
                f"CPU above the same calls, driver {title}",
                use.total - bare_use.total,
                "s/min",
                BUDGET,
                "40 us a call, 10 us a field, power 365 us, process lists 500 us (library.py)",
            ),
        ]
    return rows


def _side_by_side(bench: Bench) -> list[Row]:
    """Watch GPUs alone, ours and nvitop-exporter, each on a driver of its own that costs nothing."""
    shop = bench.workshop()
    ours_node, its_node = (shop.node(name, bench.tenants) for name in ("ours", "nvitop"))
    with (
        running_rival(bench.folder, its_node) as rival,
        running_agent(bench.folder, _ALONE, environment=ours_node.environment()) as agent,
    ):
        ours, its = _uses([(agent, ours_node), (rival, its_node)], SHORT)
        memory, its_memory = agent.pss_mib(), rival.pss_mib()
        scrapes, its_scrapes = (scrape(each.port, FEW_SCRAPES, PAUSE) for each in (agent, rival))
    both = f"both at once, 8 GPUs, {PODS} pods, 1 s, {SHORT:.0f} s; budget: {PINNED} has"
    return [
        Figure("beside nvitop-exporter: CPU, all", ours.total, "s/min", its.total, both),
        Figure("beside nvitop-exporter: CPU above driver's", ours.own, "s/min", its.own, both),
        Figure(
            "beside nvitop-exporter: series",
            scrapes.series,
            "",
            its_scrapes.series,
            both,
            at_least=True,
        ),
        Figure(
            "beside nvitop-exporter: scrape, median",
            scrapes.median,
            "ms",
            its_scrapes.median,
            f"{FEW_SCRAPES} scrapes each",
        ),
        Figure("beside nvitop-exporter: memory", memory, "MiB PSS", None, "of ours"),
        Figure("nvitop-exporter: memory", its_memory, "MiB PSS", None, "of the other"),
        Figure("nvitop-exporter: NVML calls", its.calls, "1/s", None, f"ours: {ours.calls:.0f}"),
    ]


def _divided(bench: Bench) -> list[Row]:
    """Watch GPUs alone: 8 undivided, and 16 of 7 instances each."""
    shop = bench.workshop()
    plain = shop.node("plain", bench.tenants)
    parts = shop.node("parts", f"devices 16\n{bench.tenants}", mig=divided(16))
    with (
        running_agent(bench.folder, _ALONE, environment=plain.environment()) as of_plain,
        running_agent(bench.folder, _ALONE, environment=parts.environment()) as of_parts,
    ):
        few, many = _uses([(of_plain, plain), (of_parts, parts)], SHORT)
        memory = of_parts.pss_mib()
        series, few_series = (scrape(each.port, 2, PAUSE).series for each in (of_parts, of_plain))
        scrapes = scrape(of_parts.port, FEW_SCRAPES, PAUSE)
    entities = 16 + 16 * 7
    ratio = (many.own / entities) / (few.own / 8)
    return [
        Figure(
            "CPU above the driver's, 8 GPUs alone", few.own, "s/min", None, "no servers, no OTLP"
        ),
        Figure(
            "CPU above the driver's, 16 GPUs x 7 MIG",
            many.own,
            "s/min",
            None,
            f"the same; {many.calls:.0f} calls/s, driver {many.driver:.2f} s/min",
        ),
        Figure(
            "CPU per entity, 16 x 7 MIG : 8 plain", ratio, "times", 1, f"{entities} to 8 entities"
        ),
        Figure(
            "CPU per series, 16 x 7 MIG : 8 plain",
            (many.own / series) / (few.own / few_series),
            "times",
            None,
            f"{series} to {few_series} series",
        ),
        Figure("memory, 16 GPUs x 7 MIG", memory, "MiB PSS", None, f"{series} series"),
        Figure(
            "scrape, median, 16 GPUs x 7 MIG", scrapes.median, "ms", None, f"{FEW_SCRAPES} scrapes"
        ),
    ]


def _events(bench: Bench) -> list[Row]:
    node = bench.workshop().node("events", FREE)
    return list(xid_latency(bench.folder, node))


def _stalled(agent: Agent) -> bool:
    page = http_get(f"{agent.program.url}/metrics").decode()
    return any(
        'warpwatch_collector="nvml"' in line and '"stalled"' in line and line.endswith(" 1")
        for line in page.splitlines()
    )


def _hanging(bench: Bench) -> list[Row]:
    """Scrape while a call never returns; of the Python simulation, which needs no compiler."""
    settings = {"simulate": "8xH100", **bench.settings()}
    with running_agent(bench.folder, settings, [str(HANGING)]) as agent:
        eventually("the driver hangs", lambda: _stalled(agent), timeout=60)
        scrapes = scrape(agent.port, SCRAPES, AWAKE)
        return _scraped(" while a driver call hangs", scrapes, AWAKE)


_PARTS: Final[dict[str, Callable[[Bench], list[Row]]]] = {
    "import": _imports,
    "a node": _steady,
    "a driver that costs": _costly,
    "side by side with nvitop-exporter": _side_by_side,
    "16 GPUs x 7 MIG": _divided,
    "XID line to event": _events,
    "a hanging driver": _hanging,
}


def measure(bench: Bench, parts: Sequence[str]) -> Iterator[Row]:
    """Yield the rows of the parts; of one that cannot be measured, what is missing."""
    for title in parts:
        try:
            yield from _PARTS[title](bench)
        except _CANNOT as error:
            yield Missing(title, f"{type(error).__name__}: {error}")


def _chosen(words: Sequence[str]) -> list[str]:
    """Return the parts whose title holds one of ``words``; all of them without words."""
    return [title for title in _PARTS if not words or any(word in title for word in words)]


def main() -> int:
    """Print the rows as they come, and write them to build/bench.json."""
    rows: list[Row] = []
    with (
        tempfile.TemporaryDirectory() as scratch,
        serving_captures() as captures,
        _receiver() as receiver,
        tenants(8, PODS) as seats,
    ):
        for row in measure(Bench(Path(scratch), captures, receiver, seats), _chosen(sys.argv[1:])):
            rows.append(row)
            sys.stdout.write(f"{row}\n")
            sys.stdout.flush()
    RESULT.parent.mkdir(exist_ok=True)
    machine = {"python": platform.python_version(), "machine": platform.platform()}
    told = {
        **machine,
        "figures": [asdict(each) for each in rows if isinstance(each, Figure)],
        "missing": [asdict(each) for each in rows if isinstance(each, Missing)],
    }
    RESULT.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write("written to build/bench.json\n")
    return 0


if __name__ == "__main__":
    if "serving" in sys.argv[1:]:
        from tests.bench import serving_bench

        sys.exit(serving_bench.main())
    sys.exit(main())
