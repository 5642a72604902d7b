from agent.catalogue import serving
from agent.collectors.exposition import Faults, Parser
from agent.collectors.serving.detection import detect
from agent.collectors.serving.mapping import Translation
from agent.collectors.serving.profiles import PROFILES
from agent.collectors.serving.profiles.ray_serve import RAY_SERVE
from agent.snapshot import Distribution
from tests.agent.collectors.serving.pages import captured, reasons, translate, values
from tests.agent.collectors.serving.tables import table

T0 = "ray/ray_serve_2.60.0_t0.txt"
PROXY = "ray_serve_num_http_requests"


def test_a_page_gives_what_the_table_says() -> None:
    """Proxies tell applications, replicas tell deployments; milliseconds become seconds."""
    assert detect(captured(T0)) == (RAY_SERVE,)
    assert table(RAY_SERVE, captured(T0)) == {
        ("inference.server.info", "Echo", "", "3c8xn0vc", *RELEASE): 1,
        ("inference.server.info", "Echo", "", "4d85oc9w", *RELEASE): 1,
        ("inference.requests.running", "Echo", "", "3c8xn0vc"): 0,
        ("inference.requests.running", "Echo", "", "4d85oc9w"): 0,
        ("inference.requests.waiting", "Echo", "", ""): 0,
        ("inference.requests.finished", "default", "", "", "200"): 54,
        ("inference.requests.finished", "default", "", "", "500"): 6,
        ("inference.requests.errors", "default", "", "", "500"): 6,
        ("gen_ai.server.request.duration", "default", "", ""): (60, 4.0375),
        ("inference.compute.duration", "Echo", "", "3c8xn0vc"): (32, 1.161),
        ("inference.compute.duration", "Echo", "", "4d85oc9w"): (28, 1.061),
        ("inference.queue.duration", "Echo", "", ""): (62, 0.122),
        ("inference.batch.size", "Echo", "", "3c8xn0vc"): (13, 23.5),
        ("inference.batch.size", "Echo", "", "4d85oc9w"): (11, 23.0),
    }


RELEASE = ("2.60.0", "", "")
DYING = ("ray/ray_serve_2.60.0_replica_dies_t0.txt", "ray/ray_serve_2.60.0_replica_dies_t1.txt")


def test_what_a_replica_did_stays_when_it_dies() -> None:
    """A real replica that died: its work stays counted, its gauge is gone, probes were never requests."""
    before, after = (table(RAY_SERVE, captured(name)) for name in DYING)
    nobody, default, echo = ("", "", ""), ("default", "", ""), ("Echo", "")

    assert before == {
        ("inference.server.info", *echo, "u4ximcjg", *RELEASE): 1,
        ("inference.server.info", *echo, "vm091d9c", *RELEASE): 1,
        ("inference.requests.running", *echo, "u4ximcjg"): 0,
        ("inference.requests.running", *echo, "vm091d9c"): 0,
        ("inference.requests.waiting", *echo, ""): 0,
        ("inference.requests.finished", *default, "200"): 10,
        ("inference.requests.finished", *default, "500"): 3,
        ("inference.requests.finished", *nobody, "404"): 1,
        ("inference.requests.errors", *default, "500"): 3,
        ("inference.requests.errors", *nobody, "404"): 1,
        ("gen_ai.server.request.duration", *default): (13, 0.635),
        ("gen_ai.server.request.duration", *nobody): (1, 0.0005),
        ("inference.compute.duration", *echo, "u4ximcjg"): (8, 0.221),
        ("inference.compute.duration", *echo, "vm091d9c"): (5, 0.235),
        ("inference.queue.duration", *echo, ""): (13, 0.0065),
    }
    gone = before.keys() - after.keys()
    new = {key: after[key] for key in after.keys() - before.keys()}
    changed = {key: after[key] for key in before.keys() & after.keys() if after[key] != before[key]}
    assert gone == {
        ("inference.server.info", *echo, "vm091d9c", *RELEASE),
        ("inference.requests.running", *echo, "vm091d9c"),
    }
    assert new == {
        ("inference.server.info", *echo, "oibob5fp", *RELEASE): 1,
        ("inference.requests.running", *echo, "oibob5fp"): 0,
        ("inference.compute.duration", *echo, "oibob5fp"): (4, 0.14),
    }
    assert changed == {
        ("inference.requests.finished", *default, "200"): 16,
        ("inference.requests.finished", *default, "500"): 4,
        ("inference.requests.errors", *default, "500"): 4,
        ("gen_ai.server.request.duration", *default): (20, 0.995),
        ("inference.compute.duration", *echo, "u4ximcjg"): (10, 0.291),
        ("inference.queue.duration", *echo, ""): (20, 0.0245),
    }


def test_bounds_are_the_servers_own_in_seconds() -> None:
    """19 bounds from 1 ms to 10 minutes."""
    readings, _ = translate(RAY_SERVE, captured(T0))

    (value,) = values(readings, serving.REQUEST_DURATION).values()

    assert isinstance(value, Distribution)
    assert value.bounds[:4] == (0.001, 0.002, 0.005, 0.01)
    assert value.bounds[-1] == 600.0
    assert len(value.bounds) == 19


def test_old_names_are_counters_though_declared_as_gauges() -> None:
    """Before OpenTelemetry's back end there was no _total, and the type was wrong."""
    text = (
        f"# TYPE {PROXY} gauge\n"
        f'{PROXY}{{route="/echo",application="default",status_code="200"}} 7.0\n'
        "# TYPE ray_serve_num_http_error_requests gauge\n"
        'ray_serve_num_http_error_requests{application="default",error_code="500"} 2.0\n'
    )

    assert table(RAY_SERVE, text) == {
        ("inference.requests.finished", "default", "", "", "200"): 7,
        ("inference.requests.errors", "default", "", "", "500"): 2,
    }


def test_both_spellings_on_a_page_are_counted_once() -> None:
    """For some releases a counter stood there as a gauge and with _total."""
    series = '{application="default",status_code="200"}'
    text = (
        f"# TYPE {PROXY} gauge\n{PROXY}{series} 7.0\n"
        f"# TYPE {PROXY}_total counter\n{PROXY}_total{series} 7.0\n"
    )

    assert list(table(RAY_SERVE, text).values()) == [7]


def test_two_proxies_are_added_up_and_their_probes_left_out() -> None:
    """Proxies of two processes and of two protocols serve one application; health checks are no requests."""
    of_app = 'application="default",status_code="200"'
    text = (
        f"# TYPE {PROXY}_total counter\n"
        f'{PROXY}_total{{WorkerId="a",route="/echo",{of_app}}} 7.0\n'
        f'{PROXY}_total{{WorkerId="b",route="/echo",{of_app}}} 5.0\n'
        f'{PROXY}_total{{WorkerId="b",route="/-/healthz",application="",status_code="200"}} 99.0\n'
        "# TYPE ray_serve_num_grpc_requests_total counter\n"
        'ray_serve_num_grpc_requests_total{application="default",status_code="OK"} 3.0\n'
    )

    assert table(RAY_SERVE, text) == {
        ("inference.requests.finished", "default", "", "", "200"): 12,
        ("inference.requests.finished", "default", "", "", "OK"): 3,
    }


def proxy_histogram(protocol: str, bounds: tuple[str, str], count: int) -> str:
    """Write a proxy's histogram with all observations in its first bucket."""
    family = f"ray_serve_{protocol}_request_latency_ms"
    lines = [f"# TYPE {family} histogram"]
    lines += [
        f'{family}_bucket{{application="a",route="/r",le="{le}"}} {count}'
        for le in (*bounds, "+Inf")
    ]
    lines += [
        f'{family}_sum{{application="a",route="/r"}} {10 * count}',
        f'{family}_count{{application="a",route="/r"}} {count}',
    ]
    return "\n".join(lines) + "\n"


def test_requests_of_both_protocols_are_in_one_distribution() -> None:
    """An application that is served by HTTP and by gRPC has one request duration."""
    text = proxy_histogram("http", ("20", "50"), 3) + proxy_histogram("grpc", ("20", "50"), 2)

    readings, problems = translate(RAY_SERVE, text)

    assert problems == ()
    assert values(readings, serving.REQUEST_DURATION) == {
        ("a", "", ""): Distribution((0.02, 0.05), (5, 0, 0), 0.05)
    }


def test_distributions_that_do_not_fit_have_no_sum() -> None:
    """With other buckets there is no sum, and half of one would be wrong."""
    text = proxy_histogram("http", ("20", "50"), 3) + proxy_histogram("grpc", ("20", "60"), 2)

    readings, problems = translate(RAY_SERVE, text)

    assert values(readings, serving.REQUEST_DURATION) == {}
    assert reasons(problems) == {"ambiguous_series"}


def test_a_replica_that_dies_takes_nothing_back() -> None:
    """What a dead replica counted stays true, whether its series stays on the page or goes."""
    family = "ray_serve_deployment_processing_latency_ms"

    def page(**replicas: int) -> str:
        lines = [f"# TYPE {family} histogram"]
        for replica, count in replicas.items():
            labels = f'application="a",deployment="d",replica="{replica}"'
            lines += [
                f'{family}_bucket{{{labels},le="1"}} {count}',
                f'{family}_bucket{{{labels},le="+Inf"}} {count}',
                f"{family}_sum{{{labels}}} {count}",
                f"{family}_count{{{labels}}} {count}",
            ]
        return "\n".join(lines) + "\n"

    parser, translation = Parser(RAY_SERVE.samples), Translation(RAY_SERVE, "ray")
    counts = []
    for text in (page(old=5), page(old=5, new=1), page(new=4)):
        readings = translation.readings(parser.parse(text), Faults("ray"))
        counts.append(
            {
                key[2]: value.observations
                for key, value in values(readings, serving.COMPUTE_DURATION).items()
                if isinstance(value, Distribution)
            }
        )

    assert counts == [{"old": 5}, {"old": 5, "new": 1}, {"new": 4}]


def test_ray_without_serve_is_no_model_server() -> None:
    """A Ray node that serves nothing gives metrics of the node alone."""
    text = captured(T0)
    without = "\n".join(line for line in text.splitlines() if "ray_serve_" not in line)

    assert detect(without, PROFILES) == ()


def test_a_client_that_leaves_is_no_error() -> None:
    """Ray counts it as one, by the status that it would have answered."""
    errors = "ray_serve_num_{}_error_requests_total"
    page = "".join(
        f'{errors.format(protocol)}{{application="a",route="/",error_code="{code}"}} {count}\n'
        for protocol, code, count in (
            ("http", "499", 1),
            ("grpc", "CANCELLED", 2),
            ("grpc", "StatusCode.CANCELLED", 4),
            ("http", "503", 8),
        )
    )

    assert table(RAY_SERVE, page) == {("inference.requests.errors", "a", "", "", "503"): 8}
