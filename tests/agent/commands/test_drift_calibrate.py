"""`warpwatch drift calibrate`: bounds from the history of a real Prometheus, and a page that shows why."""

import errno
import json
import math
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from agent.cli import main
from agent.drift.calibration import Identity, Point, calibrate
from agent.drift.evidence import page
from agent.drift.thresholds import from_json, to_json
from tests.real_parts.backfill import start_with_history
from tests.real_parts.programs import Programs
from tests.real_parts.servers import Prometheus

WHO = {"model": "churn", "model_version": "3", "reference": "abc", "feature": "age"}
NEW = {**WHO, "feature": "plan"}
OTHER = {**WHO, "model": "fraud"}
DAY = 86_400.0
STEP = 300.0


def swinging(days: float, most: float, end: float) -> Iterator[tuple[float, float]]:
    """Return a score that swings with the day, and goes as far as ``most`` at each noon."""
    start = end - days * DAY
    for number in range(int(days * DAY / STEP) + 1):
        at = start + number * STEP
        yield at, most * math.sin(2 * math.pi * at / DAY)


def calibrated(url: str, output: Path, *words: str) -> int:
    """Return the exit code of the command."""
    told = ("--prometheus", url, "--output", str(output), *words)
    return main(["drift", "calibrate", *told])


@pytest.fixture
def prometheus(programs: Programs, tmp_path: Path) -> Prometheus:
    """Run a Prometheus with three weeks of two models' scores, and five days of a feature."""
    end = time.time()
    return start_with_history(
        programs,
        tmp_path,
        [
            ("drift:rank_shift_guarded:1h", WHO, swinging(21, 0.1, end)),
            ("drift:rank_shift_guarded:1d", WHO, swinging(21, 0.001, end)),
            ("drift:rank_shift_guarded:1h", OTHER, swinging(21, 0.2, end)),
            ("drift:psi_guarded:1d", NEW, swinging(5, 0.3, end)),
        ],
    )


def test_bounds_are_learned_and_written(
    prometheus: Prometheus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each score with weeks of history has a bound; one that is too new is named with what it lacks."""
    output, evidence = tmp_path / "thresholds.json", tmp_path / "evidence.html"

    code = main(
        [
            "drift",
            "calibrate",
            "--prometheus",
            prometheus.program.url,
            "--model",
            "churn",
            "--output",
            str(output),
            "--evidence",
            str(evidence),
        ]
    )

    printed = capsys.readouterr().out
    learned = {(t.feature, t.window): t for t in from_json(output.read_text())}
    assert code == 0
    assert learned["age", "1h"].value == pytest.approx(0.13, abs=1e-4)
    assert learned["age", "1d"].value == 0.02
    assert learned["age", "1h"].alerts_per_month == 0
    assert set(learned) == {("age", "1h"), ("age", "1d")}
    assert f"2 bounds written to {output}" in printed
    assert "measured for 5.0 days of 14" in printed
    assert "fraud" not in printed
    assert evidence.read_text().count("<svg") == 3


def test_rows_can_be_read_by_programs(
    prometheus: Prometheus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --json the table is data and nothing else is printed."""
    code = main(
        [
            "drift",
            "calibrate",
            "--prometheus",
            prometheus.program.url,
            "--json",
            "--output",
            str(tmp_path / "t.json"),
        ]
    )

    rows = json.loads(capsys.readouterr().out)
    assert code == 0
    assert {row["reference"] for row in rows} == {"abc"}
    assert {(row["model"], row["score"]) for row in rows} == {
        ("churn", "rank_shift 1h"),
        ("churn", "rank_shift 1d"),
        ("churn", "psi 1d"),
        ("fraud", "rank_shift 1h"),
    }


def test_a_week_that_was_not_normal_can_be_left_out(
    prometheus: Prometheus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is left out is no history: with it too little is left, and what was learned before stays."""
    output = tmp_path / "thresholds.json"
    output.write_text("before")
    now = datetime.now(UTC)
    span = f"{now - timedelta(days=9):%Y-%m-%dT%H:%M}/{now - timedelta(days=1):%Y-%m-%dT%H:%M}"

    code = calibrated(prometheus.program.url, output, "--model", "churn", "--leave-out", span)

    assert code == 1
    assert "measured for 1" in capsys.readouterr().out
    assert output.read_text() == "before"


def test_a_full_disk_leaves_what_was_learned_before(
    prometheus: Prometheus,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The file is replaced whole or not at all: half of it would be no thresholds."""
    output = tmp_path / "thresholds.json"
    before = to_json([], 1.0)
    output.write_text(before)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    assert calibrated(prometheus.program.url, output) == 1
    assert f"No space left on device: '{output}'" in capsys.readouterr().err
    assert output.read_text() == before


def test_what_was_learned_of_other_models_stays(
    prometheus: Prometheus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One model can be calibrated again without a loss; a file that is something else is not overwritten."""
    output = tmp_path / "thresholds.json"
    url = prometheus.program.url
    assert calibrated(url, output, "--model", "fraud") == 0
    (fraud,) = from_json(output.read_text())

    assert calibrated(url, output, "--model", "churn") == 0
    assert calibrated(url, output, "--model", "churn") == 0

    kept, *learned = from_json(output.read_text())
    assert kept == fraud
    assert {each.model for each in learned} == {"churn"}
    assert len(learned) == 2
    assert "2 bounds written to" in (said := capsys.readouterr().out)
    assert "beside 1 others that were in it" in said
    output.write_text("my notes")
    assert calibrated(url, output, "--model", "churn") == 1
    assert f"{output} is there, and " in capsys.readouterr().err
    assert output.read_text() == "my notes"


def test_too_short_a_history_writes_nothing(
    prometheus: Prometheus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nothing can be learned, the file that may be there stays as it was."""
    output = tmp_path / "thresholds.json"

    code = main(
        [
            "drift",
            "calibrate",
            "--prometheus",
            prometheus.program.url,
            "--least-days",
            "28",
            "--output",
            str(output),
        ]
    )

    assert code == 1
    assert "no score has 28 days of history yet; nothing written" in capsys.readouterr().err
    assert not output.exists()


def test_a_model_that_nobody_knows_is_an_error(
    prometheus: Prometheus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without any score the first thing to check is named."""
    code = main(
        [
            "drift",
            "calibrate",
            "--prometheus",
            prometheus.program.url,
            "--model",
            "chrun",
            "--output",
            str(tmp_path / "t.json"),
        ]
    )

    assert code == 1
    assert "has no drift scores; are the recording rules loaded there?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["--least-days", "40"], 2, "--least-days must be above 0 and at most --days"),
        (["--days", "nan"], 2, "--least-days must be above 0 and at most --days"),
        (["--bearer-token-file", "/nowhere/token"], 1, "/nowhere/token"),
        (["--bearer-token-file", sys.executable], 1, "no token, it is not plain text"),
        (["--bearer-token-file", "/dev/null"], 1, "/dev/null: no token"),
        (["--prometheus", "localhost:9090"], 2, "--prometheus must be a URL such as http://"),
        (["--prometheus", ""], 2, "--prometheus must be a URL such as http://"),
        (["--leave-out", "yesterday"], 2, "--leave-out yesterday: write when it began and ended"),
        (["--leave-out", "2026-11-05/2026-11-02"], 2, "--leave-out 2026-11-05/2026-11-02: write"),
        ([], 1, "gives no history"),
    ],
    ids=[
        "days",
        "nan",
        "token",
        "binary",
        "empty",
        "host",
        "no-host",
        "span",
        "backwards",
        "nobody",
    ],
)
def test_what_cannot_be_done_is_said(
    words: list[str],
    code: int,
    why: str,
    free_port: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Wrong options and a Prometheus that is not there end in a sentence, never in a traceback."""
    url = f"http://127.0.0.1:{free_port}"

    ended = calibrated(url, tmp_path / "t.json", *words)

    assert ended == code
    assert why in capsys.readouterr().err


@pytest.fixture
async def browser(chromium: Path) -> AsyncIterator[Browser]:
    """Run a browser."""
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        yield started
        await started.close()


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
async def test_evidence_can_be_read_by_day_and_night(
    browser: Browser, tmp_path: Path, scheme: str, *, dark: bool
) -> None:
    """Bound and history are drawn within the page, in colours that follow the reader's scheme."""
    points = [Point(*point) for point in swinging(21, 0.1, 30 * DAY)]
    learned = calibrate(Identity(*WHO.values()), "rank_shift", "1h", points, step=STEP)
    short = calibrate(
        Identity(**{**NEW, "feature": "<b>x</b>"}), "psi", "1d", points[:9], step=STEP
    )
    path = tmp_path / "evidence.html"
    path.write_text(page([learned, short], 30 * DAY), encoding="utf-8")
    opened = await browser.new_page(color_scheme=scheme, viewport={"width": 420, "height": 800})  # type: ignore[arg-type]

    await opened.goto(path.as_uri())

    ground, line = await opened.evaluate(
        "[getComputedStyle(document.body).backgroundColor,"
        " getComputedStyle(document.querySelector('.line')).stroke]"
    )
    texts = await opened.locator("h2").all_inner_texts()
    lows = [int(part) for part in ground[4:-1].split(",")]
    assert (max(lows) < 64) is dark
    assert line != ground
    assert texts == [
        "churn 3: age, rank_shift of 1h",
        "churn 3: <b>x</b>, psi of 1d",
    ]
    assert await opened.locator(".bound").count() == 2
    assert await opened.evaluate("document.documentElement.scrollWidth") <= 420
    await opened.close()
