"""A reference out of a real MLflow tracking server, asked over plain HTTP."""

import base64
import json
import urllib.request
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from agent.cli import main
from agent.drift import mlflow
from agent.drift.bins import NumericBins
from agent.drift.reference import FeatureReference, InvalidReferenceError, Reference
from agent.drift.store import ReferenceStore
from tests.real_parts.programs import Programs, free_port
from tests.real_servers.install import environment_of

pytestmark = pytest.mark.timeout(400)  # the environment may have to be made first

REFERENCE: Final = Reference(
    "churn", "3", (FeatureReference("age", NumericBins((18.0,)), (10, 90, 0, 0), 0.0, 90.0),)
)
API: Final = "/api/2.0/mlflow"


def send(url: str, body: object, method: str = "POST") -> Any:
    """Return what a server answers to a body: text as it is, all else as JSON."""
    data = (body if isinstance(body, str) else json.dumps(body)).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - loopback
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - as above
        return json.loads(answer.read() or b"{}")


def register(url: str) -> None:
    """Make a model with one version that has artifacts, as MLflow's client does."""
    run = send(f"{url}{API}/runs/create", {"experiment_id": "0"})["run"]["info"]
    folder = run["artifact_uri"].removeprefix("mlflow-artifacts:/")
    for name, text in (("drift-reference.json", REFERENCE.to_json()), ("other.json", "nonsense")):
        send(f"{url}{API}-artifacts/artifacts/{folder}/model/{name}", text, "PUT")
    send(f"{url}{API}/registered-models/create", {"name": "shop churn"})
    version = {
        "name": "shop churn",
        "source": f"{run['artifact_uri']}/model",
        "run_id": run["run_id"],
    }
    send(f"{url}{API}/model-versions/create", version)
    alias = {"name": "shop churn", "alias": "live", "version": "1"}
    send(f"{url}{API}/registered-models/alias", alias)


@pytest.fixture
def server(programs: Programs, tmp_path: Path) -> str:
    """Give the address of a tracking server with one version of a model."""
    environment, port = environment_of("mlflow"), free_port()
    python = environment / "bin/python"
    url = f"http://127.0.0.1:{port}"
    options = {
        "backend-store-uri": f"sqlite:///{tmp_path / 'mlflow.db'}",
        "artifacts-destination": str(tmp_path / "artifacts"),
        "host": "127.0.0.1",
        "port": str(port),
        "workers": "1",
    }
    words = [word for key, value in options.items() for word in (f"--{key}", value)]
    program = programs.start("mlflow", [python, "-m", "mlflow", "server", *words], url=url)
    program.wait_until_ready("/health", timeout=180)  # it makes a database first
    register(url)
    return url


def test_a_reference_comes_with_its_model_version(
    server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By version and by alias it is put in use; what is not there, or no reference, is named."""
    monkeypatch.setenv("WARPWATCH_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv(mlflow.TRACKING_URI, server)
    store = ReferenceStore(tmp_path / "state/references")

    for uri in ("models:/shop churn/1", "models:/shop churn@live"):
        assert main(["drift", "reference", "use", uri]) == 0
        assert store.history("churn", "3")[-1] == REFERENCE.id
    for uri, artifact, words in (
        ("models:/shop churn/7", "", "models:/shop churn/7, drift-reference.json"),
        ("models:/shop churn@none", "", "HTTP 400"),
        ("models:/shop churn/1", "no.json", "no.json"),
        ("models:/shop churn/1", "other.json", "Expecting value"),
    ):
        capsys.readouterr()
        assert main(["drift", "reference", "use", uri, "--artifact", artifact]) == 1
        assert words in capsys.readouterr().err
    assert set(store.history("churn", "3")) == {REFERENCE.id}


@pytest.mark.parametrize(
    ("uri", "environment", "words"),
    [
        ("models:/m/1", {}, "MLFLOW_TRACKING_URI must be"),
        ("models:/m/1", {mlflow.TRACKING_URI: "file:///x"}, "MLFLOW_TRACKING_URI must be"),
        ("models:/m", {mlflow.TRACKING_URI: "http://127.0.0.1:9"}, "neither"),
        ("models:/m/latest", {mlflow.TRACKING_URI: "http://127.0.0.1:9"}, "neither"),
        ("models:/m/1", {mlflow.TRACKING_URI: "http://127.0.0.1:9"}, "127.0.0.1:9"),
    ],
)
async def test_what_is_wrong_is_said(uri: str, environment: dict[str, str], words: str) -> None:
    """No address, an address that is none, a name that is none, nobody there."""
    with pytest.raises(InvalidReferenceError, match=words):
        await mlflow.fetch(uri, mlflow.ARTIFACT, environment)


async def test_a_server_that_wants_a_login_gets_it() -> None:
    """User and password go as MLflow's own client sends them; brackets alone are no answer."""

    async def page(request: web.Request) -> web.Response:
        login = request.headers.get("Authorization", "")
        return web.Response(text=login if "get-artifact" in request.path else "[" * 100_000)

    app = web.Application()
    app.router.add_get("/{path:.*}", page)
    async with TestServer(app) as other:
        environment = {
            mlflow.TRACKING_URI: str(other.make_url("/")),
            mlflow.TRACKING_USERNAME: "ada",
            mlflow.TRACKING_PASSWORD: "é:1",
        }
        text = await mlflow.fetch("models:/m/1", "a.json", environment)
        with pytest.raises(InvalidReferenceError, match="recursion"):
            await mlflow.fetch("models:/m@live", "a.json", environment)

    assert base64.b64decode(text.removeprefix("Basic ")).decode() == "ada:é:1"


async def test_a_server_that_wants_a_token_gets_it() -> None:
    """The token goes as MLflow's own client sends it; another page than MLflow's is recognised."""

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=f'["{request.headers.get("Authorization", "")}"]')

    app = web.Application()
    app.router.add_get("/{path:.*}", page)
    async with TestServer(app) as other:
        environment = {mlflow.TRACKING_URI: str(other.make_url("/")), mlflow.TRACKING_TOKEN: "t"}
        text = await mlflow.fetch("models:/m/1", "a.json", environment)
        with pytest.raises(InvalidReferenceError, match="no answer of an MLflow"):
            await mlflow.fetch("models:/m@live", "a.json", environment)

    assert text == '["Bearer t"]'
