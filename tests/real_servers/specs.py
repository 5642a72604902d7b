"""How each real model server is started, and what a request to it looks like."""

import json
import os
import random
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.real_parts.install import MissingPartError
from tests.real_parts.programs import free_port
from tests.real_servers.install import environment_of
from tests.real_servers.processes import Command
from tests.real_servers.server import Spec
from tests.real_servers.tokenizer import write_model

_SERVED: Final = Path(__file__).with_name("served")
MODEL: Final = "doubler"


def triton(folder: Path) -> Spec:
    """Return a real tritonserver with a Python back end and one model; others can be loaded by its API."""
    environment = environment_of("triton")
    packages = _packages(environment)
    bundled = packages / "pytriton/tritonserver"
    backends = folder / "backends"
    shutil.copytree(bundled / "backends", backends)
    stub = f"{sys.version_info.major}.{sys.version_info.minor}/triton_python_backend_stub"
    shutil.copy(bundled / "python_backend_stubs" / stub, backends / "python")
    for model in (MODEL, "late"):
        (folder / "models" / model / "1").mkdir(parents=True)
        shutil.copy(_SERVED / "triton/config.pbtxt", folder / "models" / model)
        shutil.copy(_SERVED / "triton/model.py", folder / "models" / model / "1")
    api, metrics = free_port(), free_port()
    command = Command(
        "tritonserver",
        (
            bundled / "bin/tritonserver",
            f"--model-repository={folder / 'models'}",
            f"--backend-directory={backends}",
            *("--model-control-mode=explicit", f"--load-model={MODEL}"),
            *("--http-address=127.0.0.1", f"--http-port={api}", "--allow-grpc=false"),
            *("--metrics-address=127.0.0.1", f"--metrics-port={metrics}"),
            *("--metrics-interval-ms=100", "--exit-timeout-secs=2"),
        ),
        folder,
        {
            "LD_LIBRARY_PATH": str(packages / "nvidia_pytriton.libs"),
            "PATH": f"{environment / 'bin'}:{os.environ['PATH']}",
        },
    )
    return Spec(
        name="triton",
        commands=(command,),
        metrics=f"http://127.0.0.1:{metrics}/metrics",
        api=f"http://127.0.0.1:{api}",
        ready=f"http://127.0.0.1:{api}/v2/health/ready",
        model=MODEL,
        inference=lambda seconds: (f"/v2/models/{MODEL}/infer", tensor(seconds)),
    )


def mlserver(folder: Path) -> Spec:
    """Return a real MLServer in one process."""
    api, grpc, metrics = free_port(), free_port(), free_port()
    for name in (MODEL, "late"):
        (folder / name).mkdir()
        shutil.copy(_SERVED / "mlserver/doubler.py", folder / name)
        shape = {"datatype": "FP32", "shape": [-1, 1]}
        settings = {"name": name, "implementation": "doubler.Doubler"}
        tensors = {"inputs": [{"name": "x", **shape}], "outputs": [{"name": "y", **shape}]}
        _write(folder / name / "model-settings.json", {**settings, **tensors})
    ports = {"http_port": api, "grpc_port": grpc, "metrics_port": metrics}
    settings_of_server = {"host": "127.0.0.1", **ports, "parallel_workers": 0, "debug": False}
    _write(folder / "settings.json", settings_of_server)
    environment = environment_of("mlserver")
    argv = (environment / "bin/python", environment / "bin/mlserver", "start", folder)
    return Spec(
        name="mlserver",
        commands=(Command("mlserver", argv, folder),),
        metrics=f"http://127.0.0.1:{metrics}/metrics",
        api=f"http://127.0.0.1:{api}",
        ready=f"http://127.0.0.1:{api}/v2/models/{MODEL}/ready",
        model=MODEL,
        inference=lambda seconds: (f"/v2/models/{MODEL}/infer", tensor(seconds)),
    )


def bentoml(folder: Path) -> Spec:
    """Return a real BentoML service with one worker."""
    port = free_port()
    shutil.copy(_SERVED / "bentoml/service.py", folder)
    argv = (
        *(environment_of("bentoml") / "bin/python", "-m", "bentoml", "serve", "service:Doubler"),
        *("--host", "127.0.0.1", "--port", str(port)),
    )
    quiet = {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(folder / "home")}
    return Spec(
        name="bentoml",
        commands=(Command("bentoml", argv, folder, quiet),),
        metrics=f"http://127.0.0.1:{port}/metrics",
        api=f"http://127.0.0.1:{port}",
        ready=f"http://127.0.0.1:{port}/readyz",
        model=MODEL,
        inference=lambda seconds: ("/double", {"x": seconds}),
    )


def kserve(folder: Path) -> Spec:
    """Return a real server of KServe's SDK."""
    port = free_port()
    python = environment_of("kserve") / "bin/python"
    argv = (python, _SERVED / "kserve/server.py", "--http_port", str(port), "--enable_grpc=False")
    return Spec(
        name="kserve",
        commands=(Command("kserve", argv, folder),),
        metrics=f"http://127.0.0.1:{port}/metrics",
        api=f"http://127.0.0.1:{port}",
        ready=f"http://127.0.0.1:{port}/v2/models/{MODEL}/ready",
        model=MODEL,
        inference=lambda seconds: (f"/v2/models/{MODEL}/infer", tensor(seconds)),
    )


def dynamo(folder: Path) -> Spec:
    """Return Dynamo's real frontend with its mocker, an engine without a GPU, behind it.

    A request for 'seconds' is one for as many hundreds of tokens; a negative one asks for another model.
    """
    write_model(folder / "model")
    api, system = free_port(), _low_port()
    python = environment_of("dynamo") / "bin/python"
    planes = {"DYN_DISCOVERY_BACKEND": "file", "DYN_FILE_KV": str(folder / "kv")}
    shared = {**planes, "DYN_REQUEST_PLANE": "tcp", "DYN_EVENT_PLANE": "zmq"}
    frontend = ("-m", "dynamo.frontend", "--http-host", "127.0.0.1", "--http-port", str(api))
    worker = ("-m", "dynamo.mocker", "--model-path", folder / "model", "--model-name", MODEL)

    def completion(seconds: float) -> tuple[str, object]:
        model = MODEL if seconds >= 0 else "elsewhere"
        tokens = max(1, round(seconds * 100))
        body = {"model": model, "prompt": "one two three", "max_tokens": tokens}
        return "/v1/completions", {**body, "ignore_eos": True}

    return Spec(
        name="dynamo",
        commands=(
            Command("frontend", (python, *frontend), folder, shared),
            Command(
                "worker",
                (python, *worker),
                folder,
                {**shared, "DYN_SYSTEM_HOST": "127.0.0.1", "DYN_SYSTEM_PORT": str(system)},
            ),
        ),
        metrics=f"http://127.0.0.1:{api}/metrics",
        api=f"http://127.0.0.1:{api}",
        ready=f"http://127.0.0.1:{api}/v1/models/{MODEL}",
        model=MODEL,
        inference=completion,
        state=folder / "kv",
    )


def ray_serve(folder: Path) -> Spec:
    """Return a real cluster of Ray on one node, with Ray Serve and one replica of one deployment.

    Its processes are some ten, all in one session. The address of its metrics is every one of the
    machine's, which it has no option against.
    """
    api, metrics, ready = free_port(), free_port(), free_port()
    # A short name: Ray puts sockets below it, and a path of a socket has at most 107 bytes.
    state = Path(tempfile.mkdtemp(prefix="ray-"))
    python = environment_of("ray_serve") / "bin/python"
    quiet = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "TMPDIR": str(folder)}
    server = _SERVED / "ray_serve/server.py"
    argv = (python, server, str(api), str(metrics), str(ready), state)
    return Spec(
        name="ray_serve",
        commands=(Command("ray", argv, folder, quiet),),
        metrics=f"http://127.0.0.1:{metrics}/metrics",
        api=f"http://127.0.0.1:{api}",
        ready=f"http://127.0.0.1:{ready}",
        model=MODEL,
        inference=lambda seconds: ("/double", {"x": seconds}),
        state=state,
        patience=150.0,
        settling=2.0,
    )


SPECS: Final[dict[str, Callable[[Path], Spec]]] = {
    "triton": triton,
    "mlserver": mlserver,
    "bentoml": bentoml,
    "kserve": kserve,
    "dynamo": dynamo,
    "ray_serve": ray_serve,
}


def tensor(value: float) -> object:
    """Return the body of a request by the open inference protocol (v2)."""
    return {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [value]}]}


def _low_port() -> int:
    """Return a free port that fits 15 bits, as Dynamo reads the one of its worker's metrics."""
    for port in random.sample(range(20000, 32768), 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise MissingPartError("no free port below 32768")


def _packages(environment: Path) -> Path:
    return next((environment / "lib").glob("python3.*")) / "site-packages"


def _write(path: Path, data: object) -> None:
    path.write_text(json.dumps(data), encoding="utf-8")
