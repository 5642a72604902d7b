"""`warpwatch drift report` as a program, with the real Evidently in an environment of its own."""

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from agent.cli import main
from agent.drift.bins import CategoryBins, NumericBins, smoothed
from agent.drift.intake.endpoint import Intake
from agent.drift.intake.tally import IntakeTally
from agent.drift.models import Models
from agent.drift.readings import readings
from agent.drift.reference import FeatureReference, Reference
from agent.drift.rows import Rows
from agent.drift.selection import Selection
from agent.drift.store import ReferenceStore
from agent.drift.thresholds import Threshold, to_json
from agent.drift.traffic import Traffic
from alerts.drift_scores import LEAST_PSI
from tests.alerts.test_drift_scores import judge
from tests.real_parts import report
from tests.real_parts.programs import Programs
from tests.real_parts.servers import scrape_config, start_prometheus

pytestmark = pytest.mark.timeout(400)  # the environment may have to be made first

EDGES: Final = (10.0, 20.0, 30.0, 45.123456789)
REFERENCE: Final = Reference(
    "churn",
    "3",
    (
        FeatureReference("age", NumericBins(EDGES), (500, 900, 1_100, 800, 400, 30, 0), 1.0, 99.0),
        FeatureReference("plan", CategoryBins(("free", "pro")), (2_500, 1_200, 20, 10)),
    ),
)
WATCH: Final = """
import os, sys

def note(event, _):
    if event.startswith("socket.") and event not in ("socket.__new__", "socket.gethostname"):
        with open({log!r}, "a") as file:
            file.write(event + "\\n")

sys.addaudithook(note)
with open({track!r}, "a") as file:
    file.write(os.environ.get("DO_NOT_TRACK", "-"))
"""
"""Runs at the start of every Python below the test."""
INCREASE: Final = "increase(model_drift_feature_observations_total[1m])"


def rows(count: int) -> list[dict[str, Any]]:
    """Return rows in which ages have risen and plans are as they were; some lack one."""
    numbers = random.Random(1)
    return [
        {
            "age": None if numbers.random() < 0.02 else round(numbers.uniform(5, 70), 3),
            "plan": numbers.choice(["free", "free", "pro", "team"]),
            "row_id": number,
        }
        for number in range(count)
    ]


def run(*arguments: object, python: Path | None = None, **variables: str) -> tuple[int, str]:
    """Run the command as a program; return its exit code and all it said."""
    done = subprocess.run(  # noqa: S603 - a program of the tests
        [
            str(python or report.python()),
            "-m",
            "agent.cli",
            "drift",
            "report",
            *map(str, arguments),
        ],
        env={**report.variables(), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def current(tmp_path: Path) -> Path:
    """Give a file of rows."""
    path = tmp_path / "current.ndjson"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows(2_000)))
    return path


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    """Give a reference's file."""
    path = tmp_path / "reference.json"
    path.write_text(REFERENCE.to_json())
    return path


def told(folder: Path) -> tuple[dict[str, Any], dict[str, float], str]:
    """Return our summary, Evidently's scores by column, and the page."""
    content = json.loads((folder / "drift-report.json").read_text())
    scores = {
        each["config"]["column"]: each["value"]
        for each in content["evidently"]["metrics"]
        if "column" in each["config"]
    }
    page = (folder / "drift-report.html").read_text()
    return content["warpwatch"], scores, page


def counted() -> Mapping[str, list[int]]:
    """Return how often numpy finds the rows in the reference's bins."""
    ages = [row["age"] for row in rows(2_000)]
    known = np.array([age for age in ages if age is not None])
    bins = np.bincount(np.searchsorted(EDGES, known), minlength=5)
    plans = [row["plan"] for row in rows(2_000)]
    return {
        "age": [*map(int, bins), ages.count(None), 0],
        "plan": [plans.count("free"), plans.count("pro"), 0, plans.count("team")],
    }


def psi(feature: str) -> float:
    """Return numpy's PSI of the rows."""
    now = np.array(smoothed(counted()[feature]))
    then = np.array(smoothed(REFERENCE.by_name[feature].counts))
    return float(((now - then) * np.log(now / then)).sum())


def test_the_report_and_the_alerts_agree(
    current: Path, reference: Path, tmp_path: Path, promtool: Path
) -> None:
    """Evidently's score of a column, numpy's, and what the recording rules make of the counts: one number."""
    code, said = run(
        *("--current", current, "--reference", reference, "--output", tmp_path / "out")
    )

    assert code == 0, said
    ours, scores, page = told(tmp_path / "out")
    for feature in ("age", "plan"):
        assert scores[feature] == pytest.approx(psi(feature), abs=1e-12)
    assert {each["feature"]: each["psi"] for each in ours["features"]} == pytest.approx(scores)
    assert ours["rebuilt_from_bins"] == ["reference"]
    assert "REBUILT FROM BINS: the reference rows" in page
    assert judge(promtool, tmp_path, [_in_prometheus(scores)]) == ""


def _in_prometheus(scores: Mapping[str, float]) -> dict[str, Any]:
    """Return promtool's test that an hour with these rows has these scores."""
    series = []
    for feature in REFERENCE.features:
        same = f'model="churn", model_version="3", reference="r", feature="{feature.name}"'
        shares = smoothed(feature.counts)
        for label, share, count in zip(
            feature.bins.labels, shares, counted()[feature.name], strict=True
        ):
            series += [
                {
                    "series": f'model_drift_feature_observations_total{{{same}, bin="{label}"}}',
                    "values": f"0+{count / 60!r}x70",
                },
                {
                    "series": f'model_drift_reference_proportion{{{same}, bin="{label}"}}',
                    "values": f"{share!r}x70",
                },
            ]
    return {
        "interval": "1m",
        "input_series": series,
        "promql_expr_test": [
            {
                "expr": f'abs(drift:psi:1h{{feature="{name}"}} - {score!r}) < bool 1e-9',
                "eval_time": "65m",
                "exp_samples": [
                    {
                        "labels": f'{{model="churn", model_version="3", reference="r", feature="{name}"}}',
                        "value": 1,
                    }
                ],
            }
            for name, score in scores.items()
        ],
    }


def exposition(traffic: Traffic) -> str:
    """Return a metrics page of what a process exports."""
    lines = []
    for each in readings(traffic):
        pairs = zip(each.metric.labels, each.attributes, strict=True)
        labels = ",".join(f'{name}="{value}"' for name, value in pairs)
        lines.append(f"{each.metric.family}{{{labels}}} {each.value}")
    return "\n".join(lines) + "\n"


def traffic() -> Traffic:
    """Return a process's view of the rows."""
    seen = Traffic("churn", "3", reference=REFERENCE)
    columns = {name: [row[name] for row in rows(2_000)] for name in ("age", "plan")}
    seen.add(Rows("churn", "3", columns, 0.0))
    return seen


def test_rows_are_rebuilt_from_a_metrics_page(tmp_path: Path) -> None:
    """Without one row, counts alone make the report, with the same scores, and it says so at its top."""
    same = f'model="churn",model_version="3",reference="{REFERENCE.id}",feature="age"'
    learned = [
        f'model_drift_threshold{{{same},statistic="psi",window="1d"}} 99',
        f'model_drift_threshold{{{same},statistic="psi",window="1h"}} 0.001',
    ]
    (tmp_path / "metrics.txt").write_text(exposition(traffic()) + "\n".join(learned) + "\n")

    code, said = run("--metrics", tmp_path / "metrics.txt", "--output", tmp_path)

    assert code == 0, said
    ours, scores, page = told(tmp_path)
    for feature in ("age", "plan"):
        assert scores[feature] == pytest.approx(psi(feature), abs=1e-9)
    assert ours["rebuilt_from_bins"] == ["reference", "current"]
    assert ours["reference"] == REFERENCE.id
    bounds = {each["feature"]: (each["threshold"], each["drifted"]) for each in ours["features"]}
    assert bounds == {"age": (99, False), "plan": (0.25, psi("plan") > 0.25)}
    assert "REBUILT FROM BINS: the reference and current rows" in page
    assert page.index('id="warpwatch"') < page.index('<div id="root_metric')


async def test_rows_are_rebuilt_from_a_fleet(tmp_path: Path, programs: Programs) -> None:
    """What a real Prometheus counted within a window is a report as well."""
    seen = traffic()

    async def page(_: web.Request) -> web.Response:
        seen.add(Rows("churn", "3", {"age": [50.0] * 100, "plan": ["pro"] * 100}, 0.0))
        return web.Response(text=exposition(seen))

    app = web.Application()
    app.router.add_get("/metrics", page)
    async with TestServer(app) as server:
        config = tmp_path / "prometheus.yml"
        config.write_text(json.dumps(scrape_config("drift", f"127.0.0.1:{server.port}")))
        running = await asyncio.to_thread(start_prometheus, programs, config)
        for _ in range(120):  # increase() needs some scrapes, and discovery takes its time
            if len(await asyncio.to_thread(running.query, INCREASE)) == 11:
                break
            await asyncio.sleep(0.5)
        code, said = await asyncio.to_thread(
            run,
            *("--prometheus", running.program.url, "--window", "1m", "--model", "churn"),
            *("--output", tmp_path),
        )

    assert code == 0, said
    ours, scores, _ = told(tmp_path)
    assert scores["age"] > 1
    assert ours["current_from"].startswith("the last 1m in http://")
    assert all(each["current_samples"] >= 100 for each in ours["features"])


def test_a_report_opens_no_connection(current: Path, reference: Path, tmp_path: Path) -> None:
    """No socket event is seen in the report's process, and telemetry is off."""
    log = tmp_path / "sockets"
    (tmp_path / "sitecustomize.py").write_text(
        WATCH.format(log=str(log), track=str(tmp_path / "track"))
    )
    path = f"{tmp_path}:{report.variables()['PYTHONPATH']}"

    code, said = run(
        *("--current", current, "--reference", reference, "--output", tmp_path), PYTHONPATH=path
    )

    assert code == 0, said
    assert (tmp_path / "track").read_text().endswith("1")
    events = log.read_text().split() if log.exists() else []
    # At its import urllib3 binds a socket, to see whether there is IPv6; that sends nothing.
    assert set(events) <= {"socket.bind", "socket.socketpair"}


def limits() -> Iterator[Any]:
    """Return limits that are too tight, and the words to expect."""
    yield pytest.param(("--cpu", 1), "no report within 1 s of processor time", id="cpu")
    yield pytest.param(("--wall", 1), "no report within 1 s; give fewer", id="wall")
    yield pytest.param(
        ("--memory", 600, "--wall", 60), "600 MiB of memory|within 60 s", id="memory"
    )
    yield pytest.param(("--memory", 100), "at least 600 MiB", id="hopeless")


@pytest.mark.parametrize(("tight", "words"), list(limits()))
def test_beyond_a_limit_there_are_words(
    current: Path, reference: Path, tmp_path: Path, tight: tuple[object, ...], words: str
) -> None:
    """A report that would cost too much ends, says which limit it was, and leaves nothing behind."""
    code, said = run(
        *("--current", current, "--reference", reference, "--output", tmp_path / "out", *tight)
    )

    assert code in {1, 2}
    assert any(each in said for each in words.split("|")), said
    assert "Traceback" not in said
    assert not list(tmp_path.glob("out/drift-report.*"))


def test_many_rows_and_columns_become_fewer(tmp_path: Path) -> None:
    """Of more rows a sample is taken, of more columns those that differ most, and the report says so."""
    numbers = random.Random(2)
    for name, shift in (("before", 0.0), ("after", 1.0)):
        with (tmp_path / f"{name}.csv").open("w") as file:
            file.write("a,b,c\n")
            for _ in range(3_000):
                a, b, c = (numbers.gauss(0, 1) for _ in range(3))
                file.write(f"{a},{b + shift},{c + shift / 2}\n")

    code, said = run(
        *("--current", tmp_path / "after.csv", "--reference", tmp_path / "before.csv"),
        *("--rows", 1_000, "--columns", 2, "--output", tmp_path),
    )

    assert code == 0, said
    ours, scores, page = told(tmp_path)
    assert set(scores) == {"b", "c"}
    assert [each["current_samples"] for each in ours["features"]] == [1_000, 1_000]
    assert ours["rebuilt_from_bins"] == []
    for note in ("1000 of 3000 current rows", "2 of 3 columns"):
        assert any(each.startswith(note) for each in ours["notes"])
        assert note in page
    assert "REBUILT" not in page


def test_a_column_that_went_silent_is_in_the_report(tmp_path: Path, reference: Path) -> None:
    """Evidently takes no empty column; its drift is the greatest there can be, and is told all the same."""
    silent = [{**row, "plan": None, "new": 1} for row in rows(500)]
    path = tmp_path / "silent.ndjson"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in silent))

    code, said = run(*("--current", path, "--reference", reference, "--output", tmp_path))

    assert code == 0, said
    ours, scores, page = told(tmp_path)
    assert set(scores) == {"age"}
    (plan,) = (each for each in ours["features"] if each["feature"] == "plan")
    assert plan["drifted"] is True
    assert plan["psi"] > 5
    assert "plan has no usable value in the current rows: its PSI is" in page
    assert "not in the reference, and left out: new" in ours["notes"]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([5], ""),
        ([1e17, 1e17 + 16], "a has values that hardly differ: its PSI is"),
        ([-1.7e308, 1.7e308], "a has values that are too far apart: its PSI is"),
    ],
    ids=["constant", "alike", "apart"],
)
def test_columns_without_a_histogram_harm_no_report(
    values: list[float], why: str, tmp_path: Path
) -> None:
    """A constant is shown, also rebuilt; what no histogram can show is told, and the others are shown."""
    lines = [{"a": values[n % len(values)], "b": n % 97} for n in range(300)]
    (tmp_path / "rows.ndjson").write_text("".join(f"{json.dumps(row)}\n" for row in lines))
    learned = ("reference", "learn", "m", "--rows", tmp_path / "rows.ndjson")
    assert main([*map(str, ("drift", *learned, "--output", tmp_path / "r.json"))]) == 0

    code, said = run(
        *("--current", tmp_path / "rows.ndjson", "--reference", tmp_path / "r.json"),
        *("--output", tmp_path),
    )

    assert code == 0, said
    ours, scores, _ = told(tmp_path)
    assert "b" in scores
    assert ("a" in scores) is (not why)
    assert any(why in note for note in ours["notes"]) or not why
    assert {each["feature"] for each in ours["features"]} == {"a", "b"}


def test_a_process_that_has_counted_nothing_yet_is_told_so(tmp_path: Path) -> None:
    """Counters at 0 are no traffic to compare with, and the words say of which feature."""
    (tmp_path / "metrics.txt").write_text(exposition(Traffic("churn", "3", reference=REFERENCE)))

    code, said = run("--metrics", tmp_path / "metrics.txt", "--output", tmp_path)

    assert code == 1
    assert "no feature in common; age has no current values; plan has no current values" in said


def state(tmp_path: Path) -> Path:
    """Make a state directory with the reference in use, and what was calibrated of it."""
    ReferenceStore(tmp_path / "references").use(REFERENCE)
    bound = Threshold(
        model="churn",
        model_version="3",
        reference=REFERENCE.id,
        feature="plan",
        statistic="psi",
        window="1d",
        value=1e-6,
    )
    (tmp_path / "thresholds.json").write_text(to_json([bound], 1.0))
    return tmp_path


def test_the_report_drifts_where_the_alert_would(current: Path, tmp_path: Path) -> None:
    """Against the reference in use a column is judged by its own bound, and by the alert's default else."""
    code, said = run(
        *("--current", current, "--model", "churn", "--model-version", "3", "--output", tmp_path),
        WARPWATCH_STATE_DIR=str(state(tmp_path)),
    )

    assert code == 0, said
    ours, _, _ = told(tmp_path)
    found = {each["feature"]: (each["threshold"], each["drifted"]) for each in ours["features"]}
    assert found["plan"] == (1e-6, True)
    assert found["age"][0] == LEAST_PSI == 0.25


def left(folder: Path) -> list[Path]:
    """Return the scratch folders that a report did not remove."""
    return list(folder.glob("warpwatch-*"))


async def test_a_report_of_the_rows_that_a_process_keeps(tmp_path: Path) -> None:
    """The reservoir of a real process is one side, and no row stays on the disk."""
    models = Models(
        clock=lambda: 5.0,
        store=ReferenceStore(state(tmp_path) / "references"),
        selections=[Selection(model="churn", reservoir=400)],
    )
    columns = {name: [row[name] for row in rows(900)] for name in ("age", "plan", "row_id")}
    models.add(Rows("churn", "3", columns, 5.0))
    app = web.Application()
    app.add_routes(Intake(models, IntakeTally()).routes())
    async with TestServer(app) as server:
        url = f"http://127.0.0.1:{server.port}"
        words = ("--reservoir", url, "--output", tmp_path / "out", "--model")
        here = partial(run, WARPWATCH_STATE_DIR=str(tmp_path), TMPDIR=str(tmp_path))
        ended = await asyncio.to_thread(here, *words, "churn", "--model-version", "3")
        missing = await asyncio.to_thread(here, *words, "fraud")

    assert ended[0] == 0, ended[1]
    ours, _, _ = told(tmp_path / "out")
    assert [each["current_samples"] for each in ours["features"]] == [400, 400]
    assert ours["current_from"] == f"a sample of the rows that {url} saw"
    assert left(tmp_path) == []
    assert missing[0] == 1
    assert "no rows are kept of this model; see drift.models[].reservoir" in missing[1]


@pytest.mark.parametrize("damaged", ["thresholds.json", f"references/churn/v3/{REFERENCE.id}.json"])
def test_what_is_damaged_in_the_state_directory_is_named(
    damaged: str,
    current: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A report that would judge by half of what was learned is none."""
    (state(tmp_path) / damaged).write_text("{")
    monkeypatch.setenv("WARPWATCH_STATE_DIR", str(tmp_path))
    words = ("--current", str(current), "--model", "churn", "--model-version", "3")

    assert main(["drift", "report", *words]) == 1
    assert str(tmp_path / damaged) in capsys.readouterr().err


def test_the_same_rows_do_not_drift_from_themselves(tmp_path: Path) -> None:
    """A file is read as for a reference: words that look like missing or like truth stay what they are."""
    lines = ["age,plan,zip", *(f"{n % 40},{'NA' if n % 3 else 'null'},True" for n in range(300))]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    learned = ("reference", "learn", "churn", "--rows", tmp_path / "rows.csv")

    assert main([*map(str, ("drift", *learned, "--output", tmp_path / "r.json"))]) == 0
    code, said = run(
        *("--current", tmp_path / "rows.csv", "--reference", tmp_path / "r.json"),
        *("--output", tmp_path),
    )

    assert code == 0, said
    ours, _, _ = told(tmp_path)
    assert {each["feature"]: each["psi"] for each in ours["features"]} == {
        "age": pytest.approx(0, abs=0.001),
        "plan": 0,
        "zip": 0,
    }


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("rows.xlsx", "x", "the name should end in .ndjson"),
        ("rows.ndjson", "", "there are no rows"),
        ("rows.ndjson", '{"a": 1}\n[1]\n', "line 2: a row is an object"),
        ("rows.ndjson", '{"a": 1}\n{"a"\n', "line 2"),
        ("rows.parquet", "PAR1", "rows.parquet"),
        ("rows.ndjson", '{"height": 1}\n', "no feature in common"),
        ("rows.ndjson", '{"age": null, "plan": null}\n', "no column can be shown; "),
        ("rows.csv.gz", "x", "rows.csv.gz: Not a gzipped file"),
        ("rows.xlsx.gz", "x", "the name should end in"),
    ],
)
def test_bad_rows_are_named(
    tmp_path: Path, reference: Path, name: str, content: str, words: str
) -> None:
    """What cannot be read is named, with what would do."""
    (tmp_path / name).write_text(content)

    code, said = run(
        *("--current", tmp_path / name, "--reference", reference, "--output", tmp_path)
    )

    assert code == 1
    assert words in said
    assert "Traceback" not in said


def test_without_the_libraries_the_extra_is_named(
    current: Path, reference: Path, tmp_path: Path
) -> None:
    """An environment without Evidently says what to install."""
    code, said = run(
        *("--current", current, "--reference", reference, "--output", tmp_path),
        python=Path(sys.executable),
    )

    assert code == 1
    assert "pip install 'warpwatch[report]'" in said


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("--prometheus", "localhost:9090"), 2, "--prometheus must be a URL"),
        (("--prometheus", ""), 2, "--prometheus must be a URL"),
        (("--reservoir", "localhost:9411"), 2, "--reservoir must be a URL"),
        (("--reservoir", "http://127.0.0.1:9"), 2, "say which with --model"),
        (("--reservoir", "http://127.0.0.1:9", "--model", "m"), 1, "http://127.0.0.1:9: Cannot"),
        (("--metrics", "ftp://a"), 2, "--metrics must be a URL"),
        (("--metrics", "localhost:9411"), 1, "the address of a process begins with http://"),
        (("--metrics", ""), 1, "no metrics page|is a directory|Is a directory"),
        (("--current", "a.csv", "--threshold", "nan"), 2, "--threshold must be a number above 0"),
        (("--current", "a.csv", "--rows", "0"), 2, "must be above 0"),
        (("--current", "a.csv"), 1, "give --reference FILE, or --model"),
    ],
)
def test_where_counts_come_from_is_checked_first(
    words: tuple[str, ...], code: int, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An address that is none, and a limit that is none, are named with their flag."""
    assert main(["drift", "report", *words]) == code

    said = capsys.readouterr().err
    assert any(each in said for each in why.split("|")), said
