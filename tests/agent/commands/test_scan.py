import io
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.cli import main
from agent.collectors.exposition import Faults
from agent.collectors.serving.mapping import Translation
from agent.collectors.serving.scan.inventory import everything
from agent.config import load
from agent.custom_profiles import known_profiles
from tests.agent.collectors.scrape.certificates import authority, server_context, signed

FIXTURES = Path(__file__).parents[2] / "fixtures"
TRITON = FIXTURES / "triton/triton_2.51.0_cpu_t1.txt"
PAGES = sorted(path for path in FIXTURES.glob("*/*.txt") if path.parent.name != "dcgm")
ACME = """\
# TYPE acme_requests_running gauge
acme_requests_running{model_name="m"} 2
# TYPE acme_time_to_first_token_ms histogram
acme_time_to_first_token_ms_bucket{model_name="m",le="5"} 3
acme_time_to_first_token_ms_bucket{model_name="m",le="+Inf"} 4
acme_time_to_first_token_ms_sum{model_name="m"} 50
acme_time_to_first_token_ms_count{model_name="m"} 4
# TYPE acme_request_errors_total counter
acme_request_errors_total{model_name="m",status_code="500"} 1
# TYPE acme_kv_cache_usage_percent gauge
acme_kv_cache_usage_percent{model_name="m"} 50
# TYPE acme_temper gauge
acme_temper 1
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 3
"""
Pages = Mapping[str, tuple[int, str]]
Serve = Callable[..., str]


@pytest.fixture(autouse=True)
def _no_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have a configuration of their own."""
    monkeypatch.delenv("WARPWATCH_CONFIG", raising=False)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that serves pages by path and gives the server's URL."""
    with ExitStack() as stack:

        def start(pages: Pages, tls: ssl.SSLContext | None = None, token: str = "") -> str:
            server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(pages, token))
            if tls:
                server.socket = tls.wrap_socket(server.socket, server_side=True)
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            return f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"

        yield start


def _handler(pages: Pages, token: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, text = pages.get(self.path, (404, "not here"))
            if token and self.headers.get("Authorization") != f"Bearer {token}":
                status, text = 401, "who are you?"
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


def scanned(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """Return a scan's exit code, and what it printed."""
    code = main(["scan", *map(str, arguments)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, Any]:
    """Return a scan as JSON."""
    found: dict[str, Any] = json.loads(scanned(capsys, *arguments, "--json")[1])
    return found


def test_a_known_server_is_explained(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    """What it is and why, what became of each family, values now, and the profile that does it."""
    url = serve({"/metrics": (200, TRITON.read_text())})

    code, out, _ = scanned(capsys, url)

    assert code == 0
    assert "triton: it has nv_inference_" in out
    assert re.search(r"gen_ai.server.request.duration +nv_inference_request_duration_us", out)
    assert "105 observations, mean 0.0126726 s, no buckets" in out
    assert re.search(r"nv_pinned_memory_pool_used_bytes +gauge +1 +not mapped", out)
    assert re.search(r"Series +33 of the 1000", out)
    assert "profiles:\n  - name: triton\n" in out


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_profile_it_prints_reads_the_same(
    path: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Pasted into the configuration, the printed profile is accepted and gives the readings it had."""
    before = as_json(capsys, path)
    file = tmp_path / "agent.yaml"
    file.write_text(scanned(capsys, path, "--yaml")[1])

    after = as_json(capsys, path, "--config", file)

    assert after["signals"] == before["signals"]
    assert after["problems"] == before["problems"]
    assert main(["config", "check", "--config", str(file)]) == 0


def test_an_unknown_server_gets_a_draft_in_which_all_guesses_are_comments(
    serve: Serve, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Nothing is guessed silently: the draft as it stands maps nothing, uncommented it is a profile."""
    url = serve({"/metrics": (200, ACME)})
    draft = tmp_path / "draft.yaml"
    judged = tmp_path / "judged.yaml"

    code, out, _ = scanned(capsys, url)
    draft.write_text(scanned(capsys, url, "--yaml")[1])
    judged.write_text(re.sub(r"(?m)^    #(?! \w)", "    ", draft.read_text()))

    assert code == 3
    assert "unknown" in out
    assert re.search(r"process_cpu_seconds_total +counter +1 +not mapped: of a client library", out)
    assert yaml.safe_load(draft.read_text()) == {"profiles": [{"name": "my-server"}]}
    assert load(draft, {}, {}).profiles[0].signals == ()
    report = as_json(capsys, url, "--config", judged)
    assert [each["profile"] for each in report["servers"]] == ["my-server"]
    values = {each["metric"]: each["series"][0]["value"] for each in report["signals"]}
    assert values["inference.requests.running"] == 2
    assert values["gen_ai.server.time_to_first_token"]["bounds"] == [0.005]
    assert values["inference.requests.errors"] == 1
    assert values["inference.kv_cache.utilization"] == 0.5
    assert "acme_temper" not in judged.read_text()


def test_the_path_is_found(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    """A server that answers JSON at /metrics is asked at the paths of the others."""
    page = (FIXTURES / "synthetic/trtllm_serve_main_synthetic.txt").read_text()
    url = serve({"/metrics": (200, "[]"), "/prometheus/metrics": (200, page)})

    report = as_json(capsys, url)

    assert report["source"] == f"{url}/prometheus/metrics"
    assert [each["profile"] for each in report["servers"]] == ["trtllm_serve"]


def test_a_draft_names_the_path(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the page is elsewhere than usual, the draft says so."""
    url = serve({"/stats/prometheus": (200, ACME)})

    _, out, _ = scanned(capsys, f"{url}/stats/prometheus", "--yaml")

    assert yaml.safe_load(out)["profiles"] == [
        {"name": "my-server", "paths": ["/stats/prometheus"]}
    ]


@pytest.mark.parametrize(
    ("pages", "complaint"),
    [
        ({}, "answers 404: the path is wrong"),
        ({"/metrics": (200, "<!DOCTYPE html><html></html>")}, "answers a web page"),
        ({"/metrics": (200, "hello")}, "answers something else than metrics"),
        ({"/metrics": (200, "")}, "answers an empty page"),
        ({"/metrics": (401, "")}, "answers 401: it wants credentials; set bearer_token_file"),
        ({"/metrics": (403, "")}, "answers 403: it wants credentials"),
        ({"/metrics": (500, "")}, "answers 500: see the server's own log"),
    ],
)
def test_what_is_no_page_is_said_in_one_line(
    pages: Pages, complaint: str, serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence on stderr that says what to do, and exit code 1."""
    code, out, err = scanned(capsys, serve(pages))

    assert (code, out) == (1, "")
    assert complaint in err
    assert err.count("\n") == 1


def test_nobody_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """A refused connection is asked for once, and named."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"

        code, _, err = scanned(capsys, url)

    assert code == 1
    assert "nothing listens at" in err
    assert "tried as well" not in err


def test_tls_is_checked_and_can_be_satisfied(
    serve: Serve, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """An unknown authority is an error that says so; with --ca-file it is none."""
    ca = authority(tmp_path)
    context = server_context(signed(tmp_path, ca, "server", "IP:127.0.0.1"))
    url = serve({"/metrics": (200, TRITON.read_text())}, tls=context)

    refused, _, err = scanned(capsys, url)
    accepted, _, _ = scanned(capsys, url, "--ca-file", ca.cert)

    assert refused == 1
    assert "is not trusted" in err
    assert accepted == 0


def test_a_token_lets_in(serve: Serve, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Secrets come from files, and are never shown."""
    url = serve({"/metrics": (200, TRITON.read_text())}, token="s3cret")  # noqa: S106 - of this test
    file = tmp_path / "token"
    file.write_text("s3cret\n")

    code, out, err = scanned(capsys, url, "--bearer-token-file", file)

    assert code == 0
    assert "s3cret" not in out + err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--username", "me"), "--username and --password-file belong together"),
        (("--key-file", "k"), "--key-file needs --cert-file"),
        (("--profile", "vlm"), "there is no profile 'vlm'"),
        (("--config", "missing.yaml"), "cannot be read"),
    ],
)
def test_wrong_usage_exits_with_2(
    arguments: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be meant is said before anything is asked."""
    code, _, err = scanned(capsys, TRITON, *arguments)

    assert code == 2
    assert complaint in err


def test_a_saved_page_may_come_from_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`curl ... | warpwatch scan -` looks at what curl got."""
    page = io.TextIOWrapper(io.BytesIO(TRITON.read_bytes()))
    monkeypatch.setattr("sys.stdin", page)

    code, out, _ = scanned(capsys, "-")

    assert code == 0
    assert "standard input" in out


def test_a_file_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """A name without a scheme is a file."""
    code, _, err = scanned(capsys, "no-such-page.txt")

    assert code == 1
    assert "no-such-page.txt cannot be read" in err


def test_problems_are_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Doubled series, impossible histograms, NaN and -1 are told, mapped or not."""
    file = tmp_path / "page.txt"
    file.write_text(
        "# TYPE acme_wait_seconds histogram\n"
        'acme_wait_seconds_bucket{le="1"} 5\nacme_wait_seconds_bucket{le="+Inf"} 4\n'
        "acme_wait_seconds_sum 1\nacme_wait_seconds_count 4\n"
        "# TYPE acme_load gauge\nacme_load NaN\n"
        "# TYPE acme_hit_rate gauge\nacme_hit_rate -1\n"
        "# TYPE acme_twice gauge\nacme_twice 1\nacme_twice 2\n"
        "# TYPE acme_both gauge\n# TYPE acme_both counter\nacme_both 1\n"
        'vllm:num_requests_running{model_name="m"} -1\n'
        "this is no line of metrics\n"
    )

    report = as_json(capsys, file)

    assert {
        (each["reason"], each["subject"].rpartition(" ")[2]) for each in report["problems"]
    } == {
        ("malformed_histogram", "acme_wait_seconds"),
        ("not_finite", "acme_load"),
        ("negative", "acme_hit_rate"),
        ("duplicate_series", "acme_twice"),
        ("conflicting_type", "acme_both"),
        ("negative", "vllm:num_requests_running"),
        ("malformed_line", str(file)),
    }


def test_a_named_profile_is_used_whatever_the_page_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Who names a profile sees what it makes of the page, and of what else the page would be."""
    report = as_json(capsys, TRITON, "--profile", "vllm")

    assert report["servers"] == [{"profile": "vllm", "recognised_by": ""}]
    assert report["others"] == ["triton"]
    assert report["signals"] == []


def test_a_named_profile_that_knows_nothing_of_the_page_exits_with_3(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A script can tell that the profile is the wrong one."""
    assert scanned(capsys, TRITON, "--profile", "vllm")[0] == 3
    assert scanned(capsys, TRITON, "--profile", "triton")[0] == 0


def test_a_configured_server_is_known_by_its_name(
    serve: Serve, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Its URL, its profile and its credentials come from the configuration."""
    url = serve({"/metrics": (200, TRITON.read_text())}, token="s3cret")  # noqa: S106 - of this test
    (tmp_path / "token").write_text("s3cret")
    file = tmp_path / "agent.yaml"
    file.write_text(
        f"servers: [{{url: '{url}', name: chat, profile: triton, "
        f"bearer_token_file: {tmp_path / 'token'}}}]"
    )

    report = as_json(capsys, "chat", "--config", file)

    assert report["source"] == f"{url}/metrics"
    assert [each["profile"] for each in report["servers"]] == ["triton"]


def test_it_counts_as_the_collector_does(capsys: pytest.CaptureFixture[str]) -> None:
    """What is shown as mapped is what the collector reads, series by series."""
    report = as_json(capsys, TRITON)
    (profile,) = (each for each in known_profiles(()) if each.name == "triton")

    readings = Translation(profile, "s").readings(everything(TRITON.read_text()), Faults("s"))

    shown = [
        (signal["metric"], series["attributes"].get("gen_ai.request.model"))
        for signal in report["signals"]
        for series in signal["series"]
    ]
    assert shown == [(reading.metric.name, reading.attributes[2]) for reading in readings]
    assert report["series"] == len(readings) + 3
