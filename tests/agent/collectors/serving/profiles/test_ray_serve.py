from agent.catalogue import serving
from agent.collectors.exposition import Faults, Parser
from agent.collectors.serving.detection import detect
from agent.collectors.serving.mapping import Translation
from agent.collectors.serving.profiles import PROFILES
from agent.collectors.serving.profiles.ray_serve import RAY_SERVE
from agent.snapshot import Distribution
from tests.agent.collectors.serving.pages import captured, translate, values
from tests.agent.collectors.serving.tables import table

T0 = "ray/ray_serve_2.60.0_t0.txt"
PROXY = "ray_serve_num_http_requests"


def test_a_page_gives_what_the_table_says() -> None:
    """Proxies tell applications, replicas tell deployments; milliseconds become seconds."""
    assert detect(captured(T0)) == (RAY_SERVE,)
    assert table(RAY_SERVE, captured(T0)) == {
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
