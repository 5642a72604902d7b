"""`warpwatch doctor --record`, `run --replay`, and the signal that makes the agent let go of the driver."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from agent import app
from agent.cli import main
from agent.config import Config, load
from agent.config.values import Address
from agent.recording.replay import ReplayedGpus
from exporters.release import PATH
from tests.real_parts.programs import plain_environment

ANYWHERE = Address("127.0.0.1", 0)


def record(path: Path, *more: str, seconds: str = "0.3") -> int:
    """Record a simulated node."""
    return main(
        ["doctor", "--simulate", "2xT4", "--record", str(path), "--record-seconds", seconds, *more]
    )


def test_recorded_and_played(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is recorded can be examined and played, and says how."""
    monkeypatch.setenv("WARPWATCH_INTERVAL", "100ms")
    path = tmp_path / "node.jsonl.gz"

    assert record(path) == 0
    said = capsys.readouterr().out
    assert main(["doctor", "--replay", str(path), "--listen", "127.0.0.1:0"]) == 0
    examined = capsys.readouterr().out

    assert f"warpwatch run --replay {path}" in said
    assert "rounds of 2 GPUs, UUIDs, serial numbers and ids of containers replaced" in said
    assert "Tesla T4" in examined
    player = ReplayedGpus(path)
    player.open()
    assert player.device_count() == 2


def test_an_existing_file_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is there is not overwritten; the message names it."""
    path = tmp_path / "a"
    path.write_text("precious")

    assert record(path) == 2
    assert path.read_text() == "precious"
    assert f"{path} exists already" in capsys.readouterr().err


def test_divided_gpus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What MIG divides a GPU into is recorded, played and examined."""
    path = tmp_path / "divided.jsonl"
    spec = "1xH100/3g.40gb+2x1g.10gb"

    recorded = main(
        ["doctor", "--simulate", spec, "--record", str(path), "--record-seconds", "0.3"]
    )
    examined = main(["doctor", "--replay", str(path), "--listen", "127.0.0.1:0"])

    assert (recorded, examined) == (0, 0)
    assert "MIG devices: 3g.40gb, 1g.10gb, 1g.10gb" in capsys.readouterr().out


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "1e9"])
def test_no_sensible_time(tmp_path: Path, capsys: pytest.CaptureFixture[str], seconds: str) -> None:
    """A time that makes no sense is refused before a file is made."""
    assert record(tmp_path / "a", seconds=seconds) == 2
    assert "--record-seconds must be" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


def test_no_place_to_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that is not there is said by the file's name."""
    assert record(tmp_path / "nowhere" / "a") == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("more", [["--record", "gpus.jsonl"], []], ids=["record", "examine"])
def test_shadowed_binding(tmp_path: Path, more: list[str]) -> None:
    """A retired `pynvml` before nvidia-ml-py is one sentence with the cure, and leaves no file."""
    (tmp_path / "pynvml").mkdir()
    (tmp_path / "pynvml" / "__init__.py").touch()

    done = subprocess.run(  # noqa: S603 - our own interpreter and words
        [sys.executable, "-m", "agent.cli", "doctor", "--listen", "127.0.0.1:0", *more],
        env=plain_environment() | {"PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "Traceback" not in said
    assert f"{tmp_path}/pynvml/__init__.py" in said
    assert "pip uninstall pynvml, then pip install --force-reinstall nvidia-ml-py" in said
    assert not (tmp_path / "gpus.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--replay", "/nowhere/a.jsonl"], "there is no such file"),
        (["--replay", "a", "--simulate", "1xT4"], "leave one of them out"),
        (["--replay", "a", "--replay-end", "sometime"], "must be one of loop, stop"),
    ],
)
def test_nothing_to_play(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """A recording that cannot be played is wrong usage, before anything starts."""
    assert main(["run", "--listen", "127.0.0.1:0", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_replay_in_the_configuration(tmp_path: Path) -> None:
    """A recording can be named in the file and in the environment, as everything else."""
    file = tmp_path / "agent.yaml"
    file.write_text("replay: a.jsonl\nreplay_end: stop\n")

    config = load(file, {"WARPWATCH_REPLAY": "b.jsonl"}, {})

    assert (config.replay, config.replay_end) == ("b.jsonl", "stop")


async def test_signal_releases_the_driver() -> None:
    """SIGUSR1 makes the agent let go of the GPUs, and it goes on serving."""
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    config = Config(simulate="1xT4", listen=ANYWHERE, interval=0.1)
    running = asyncio.create_task(app.run(config, {}, ready=listening.set_result))
    url = await listening

    async with aiohttp.ClientSession() as session:
        await _until(session, f"{url}/metrics", "hw_gpu_memory_limit_bytes{", there=True)
        os.kill(os.getpid(), signal.SIGUSR1)
        page = await _until(session, f"{url}/metrics", "hw_gpu_memory_limit_bytes{", there=False)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert 'warpwatch_collector_status="unavailable"} 1' in page


@pytest.mark.parametrize(("who", "status"), [("loopback", 200), ("anywhere", 200), ("nobody", 404)])
async def test_who_may_have_the_driver_released(who: str, status: int) -> None:
    """The configuration says whether there is a request that releases the driver."""
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    config = Config(simulate="1xT4", listen=ANYWHERE, release_from=who)
    running = asyncio.create_task(app.run(config, {}, ready=listening.set_result))
    url = await listening

    async with aiohttp.ClientSession() as session, session.post(f"{url}{PATH}") as answer:
        answered = answer.status

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert answered == status


async def _until(session: aiohttp.ClientSession, url: str, text: str, *, there: bool) -> str:
    """Ask until a text is on a page, or is no more; the test's own limit ends it."""
    while True:
        async with session.get(url) as response:
            page = await response.text()
        if (text in page) is there:
            return page
        await asyncio.sleep(0.05)
