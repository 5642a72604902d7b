import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from math import log
from pathlib import Path
from threading import Event, Thread

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from agent.cli import main
from agent.drift.bins import CategoryBins, NumericBins
from agent.drift.difference import differences
from agent.drift.intake.endpoint import Intake
from agent.drift.intake.tally import IntakeTally
from agent.drift.models import Models
from agent.drift.reference import FeatureReference, Reference
from agent.drift.rows import Rows
from agent.drift.store import ReferenceStore

AGE = FeatureReference("age", NumericBins((18.0, 40.0)), (10, 70, 20, 0, 0), 0.0, 90.0)
OLDER = FeatureReference("age", NumericBins((18.0, 40.0)), (5, 45, 50, 0, 0), 0.0, 90.0)
PLAN = FeatureReference("plan", CategoryBins(("free", "pro")), (80, 15, 0, 5))
FIRST = Reference("churn", "3", (AGE,), origin="a test")
SECOND = Reference("churn", "3", (OLDER, PLAN), origin="another")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReferenceStore]:
    """Give a store with two references of a model, where the commands look for it."""
    monkeypatch.setenv("WARPWATCH_STATE_DIR", str(tmp_path))
    store = ReferenceStore(tmp_path / "references")
    store.use(FIRST)
    store.use(SECOND)
    yield store
    assert os.environ["WARPWATCH_STATE_DIR"] == str(tmp_path)


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return what `drift reference` prints."""
    assert main(["drift", "reference", *words]) == 0
    return capsys.readouterr().out


@pytest.mark.usefixtures("store")
def test_references_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Each has its id, whether it is in use, and where it comes from."""
    rows = json.loads(said(capsys, "list", "--json"))

    assert [(row["reference"], row["in_use"], row["origin"]) for row in rows] == [
        (FIRST.id, "", "a test"),
        (SECOND.id, "yes", "another"),
    ]
    assert FIRST.id in said(capsys, "list")


@pytest.mark.usefixtures("store")
def test_one_reference_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """The one in use without an id, another by the first digits of its id, as a table or as its file."""
    words = ("show", "churn", "--model-version", "3")

    assert "01 18..40" in said(capsys, *words, "--reference", FIRST.id[:5])
    assert said(capsys, *words, "--json") == SECOND.to_json()


@pytest.mark.usefixtures("store")
def test_two_references_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    """What a new reference would change is told in the scores of the alerts."""
    text = said(capsys, "diff", "churn", "--model-version", "3", FIRST.id)

    assert "added" in text
    assert "0.4022" in text
    assert "+0.1549" in text


def test_differences_are_by_hand() -> None:
    """PSI and rank shift are those of the smoothed shares, worked out by hand for these counts."""
    added, moved = differences(FIRST, SECOND)[::-1]

    assert (added.name, added.change, added.psi) == ("plan", "added", None)
    assert moved.psi == pytest.approx(
        -5 / 102.5 * log(5.5 / 10.5) - 25 / 102.5 * log(45.5 / 70.5) + 30 / 102.5 * log(50.5 / 20.5)
    )
    assert moved.rank_shift == pytest.approx(
        (0.05 * 5.25 + 0.45 * (10.5 + 35.25) + 0.5 * (81 + 10.25)) / 101.5 - 0.5
    )


def test_going_back_and_forth(
    store: ReferenceStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rollback puts the one before in use, and a file puts any in use."""
    said(capsys, "rollback", "churn", "--model-version", "3")
    assert store.current("churn", "3") == FIRST
    file = tmp_path / "reference.json"
    file.write_text(SECOND.to_json())

    said(capsys, "use", str(file))

    assert store.current("churn", "3") == SECOND


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("show", "nobody"), "nobody has no reference; there are some of: churn 3"),
        (("show", "churn", "--reference", "zz", "--model-version", "3"), "no reference 'zz'"),
        (("rollback", "nobody"), "no earlier reference"),
        (("roll-back", "churn", "--model-version", "3", "--to", "zz"), "no reference 'zz'"),
        (("use", "/nowhere"), "No such file"),
        (("freeze", "churn", "--url", "http://127.0.0.1:9"), "does not answer"),
    ],
)
@pytest.mark.usefixtures("store")
def test_what_cannot_be_done_is_said(
    words: tuple[str, ...], wanted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence on stderr, and exit code 1."""
    assert main(["drift", "reference", *words]) == 1

    assert wanted in capsys.readouterr().err


def test_what_is_wrong_with_a_file_is_said_with_its_name(
    store: ReferenceStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cut short or no text at all: the file is named, and the reference in use stays."""
    cut, binary = tmp_path / "cut.json", tmp_path / "binary.json"
    cut.write_text(FIRST.to_json()[:80])
    binary.write_bytes(b"\xff\xfe\x00")

    for path, why in ((cut, "no JSON, or cut short"), (binary, "no text, so no reference")):
        assert main(["drift", "reference", "use", str(path)]) == 1
        assert f"warpwatch: {path}: {why}" in capsys.readouterr().err

    assert store.current("churn", "3") == SECOND


def test_one_damaged_model_hides_no_other(
    store: ReferenceStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The list names what is unusable and why, and goes on."""
    store.use(replace(FIRST, model="fraud"))
    (tmp_path / "references/churn/v3/history").write_bytes(b"\xff")

    churn, fraud = json.loads(said(capsys, "list", "--json"))

    assert churn["origin"].startswith("unusable: ")
    assert (fraud["model"], fraud["in_use"]) == ("fraud", "yes")


def test_a_store_that_cannot_be_read_is_named(
    store: ReferenceStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No list is shown that might lack something."""
    assert list(store.models())

    def refused(self: Path) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", refused)

    assert main(["drift", "reference", "list"]) == 1
    assert "Permission denied: '" in capsys.readouterr().err


async def test_another_program_that_answers_is_no_drift_process(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever listens at the address may answer with anything."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>")

    app = web.Application()
    app.router.add_post("/v1/references/freeze", page)
    async with TestServer(app) as server:
        words = ["drift", "reference", "freeze", "m", "--url", f"http://127.0.0.1:{server.port}"]
        code = await asyncio.to_thread(main, words)

    assert code == 1
    assert "answers, but not as a drift process does; see --url" in capsys.readouterr().err


COMMANDS = (
    ("run",),
    ("reference", "list"),
    ("reference", "learn", "m", "--rows", "a.csv"),
    ("report", "--current", "a.csv"),
)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_without_numpy_the_extra_is_named(words: tuple[str, ...], tmp_path: Path) -> None:
    """Every command that needs what is not installed says what to install."""
    (tmp_path / "numpy.py").write_text('raise ModuleNotFoundError("no numpy", name="numpy")')
    variables = {"PYTHONPATH": str(tmp_path), "WARPWATCH_STATE_DIR": str(tmp_path)}

    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "agent.cli", "drift", *words],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "pip install 'warpwatch[drift]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_state_directory_there_is_nothing_to_list(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The setting that is missing is named."""
    monkeypatch.delenv("WARPWATCH_STATE_DIR", raising=False)

    assert main(["drift", "reference", "list"]) == 2
    assert "state_dir" in capsys.readouterr().err


async def test_learning_ends_on_request(tmp_path: Path) -> None:
    """The process freezes what it learned, keeps it, and counts against it; a second time is refused."""
    store = ReferenceStore(tmp_path)
    models = Models(clock=lambda: 5.0, store=store)
    models.add(Rows("m", "1", {"a": [1.0, 2.0, 3.0]}, 0.0))
    app = web.Application()
    app.add_routes(Intake(models, IntakeTally()).routes())
    async with TestServer(app) as server, ClientSession() as session:
        url = server.make_url("/v1/references/freeze").with_query(model="m", model_version="1")
        async with session.post(url) as answer:
            frozen = (await answer.json())["reference"]
        async with session.post(url) as answer:
            again = answer.status
        models.add(Rows("blank", "", {"a": [None, None]}, 0.0))
        blank = url.with_query(model="blank")
        async with session.post(blank) as answer:
            assert answer.status == 409
            assert "yet that could be compared" in await answer.text()
        async with session.get(server.make_url("/v1/references")) as answer:
            state, _ = await answer.json()

    kept = store.current("m", "1")
    assert kept is not None
    assert (kept.id, again, state["reference"], state["learning"]) == (frozen, 409, frozen, False)


def test_a_reference_put_in_use_elsewhere_is_taken_up(tmp_path: Path) -> None:
    """The process follows the store and counts from 0; a damaged file changes nothing and is told once."""
    store = ReferenceStore(tmp_path)
    store.use(FIRST)
    models = Models(clock=lambda: 5.0, store=store)
    models.add(Rows("churn", "3", {"age": [30]}, 0.0))
    models.count()
    models.refresh()
    assert models.take() == ((), ())

    store.use(SECOND)
    models.refresh()
    models.refresh()

    traffic = models.find("churn", "3")
    assert traffic is not None
    assert traffic.reference == SECOND
    assert sum(traffic.counters["age"].counts) == 0
    _, (happened,) = models.take()
    assert SECOND.id in happened.body
    (tmp_path / "churn/v3/history").write_text("damaged\n")
    models.refresh()
    models.refresh()
    assert traffic.reference == SECOND
    assert len(models.take()[0]) == 1


LARGE = Reference(
    "churn",
    "3",
    tuple(FeatureReference(f"f{n}", NumericBins((1.0,)), (5, 5, 0, 0)) for n in range(60)),
)


def test_a_reference_with_too_many_features_is_refused(
    store: ReferenceStore,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is named, with how many there are and the option that would take it; what was in use stays."""
    file = tmp_path / "large.json"
    file.write_text(LARGE.to_json())
    words = ["drift", "reference", "use", str(file)]

    assert main(words) == 1
    refused = capsys.readouterr().err
    assert store.current("churn", "3") == SECOND
    monkeypatch.setenv("WARPWATCH_DRIFT_MAX_FEATURES", "60")
    assert main(words) == 0

    assert all(word in refused for word in (LARGE.id, "60 features", "50", "drift.max_features"))
    assert store.history("churn", "3")[-1] == LARGE.id


def test_nobody_goes_back_to_a_reference_that_is_too_large(
    store: ReferenceStore, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rollback is refused as the reference itself would be."""
    store.use(LARGE)
    store.use(FIRST)

    assert main(["drift", "reference", "rollback", "churn", "--model-version", "3"]) == 1

    assert "drift.max_features" in capsys.readouterr().err
    assert store.current("churn", "3") == FIRST


def test_freezing_says_what_was_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """The columns that there was no room for are named beside the reference."""
    models = Models(clock=lambda: 5.0, most_features=1)
    models.add(Rows("m", "", {"a": [1.0, 2.0], "b": [1, 2], "c": [1, 2]}, 0.0))
    ready, done = Event(), Event()
    told: list[str] = []

    async def process() -> None:
        app = web.Application()
        app.add_routes(Intake(models, IntakeTally()).routes())
        async with TestServer(app) as server:
            told.append(str(server.make_url("/")))
            ready.set()
            await asyncio.to_thread(done.wait)

    thread = Thread(target=lambda: asyncio.run(process()))
    thread.start()
    ready.wait()
    try:
        code = main(["drift", "reference", "freeze", "m", "--url", told[0]])
    finally:
        done.set()
        thread.join()

    said = capsys.readouterr()
    assert code == 0
    assert "m is compared with" in said.out
    assert "drift.max_features: b, c" in said.err
