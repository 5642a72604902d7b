import asyncio
import csv
import json
import math
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pyarrow import ipc, parquet

from agent.catalogue.drift import FEATURE_OBSERVATIONS
from agent.cli import main
from agent.drift.bins import NumericBins
from agent.drift.embedding import Projection
from agent.drift.performance import Calibration
from agent.drift.rebase import counts_of, rebased
from agent.drift.reference import FeatureReference, InvalidReferenceError, Reference
from agent.drift.row_files import RowFileError, read_rows
from agent.drift.rows import SCORE
from agent.drift.store import ReferenceStore
from tests.real_parts.backfill import start_with_history
from tests.real_parts.programs import Programs

ROWS: list[dict[str, Any]] = [
    {"age": number % 60 + 0.5, "plan": "free" if number % 3 else "pro", "email": None}
    for number in range(3_000)
]
AGE = FeatureReference("age", NumericBins((18.0, 40.0)), (10, 70, 20, 0, 0), 0.0, 90.0)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReferenceStore:
    """Give the store that the commands use."""
    monkeypatch.setenv("WARPWATCH_STATE_DIR", str(tmp_path / "state"))
    return ReferenceStore(tmp_path / "state" / "references")


def as_lines(path: Path) -> Path:
    """Write the rows as NDJSON."""
    path.write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    return path


def as_csv(path: Path) -> Path:
    """Write the rows as CSV."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ROWS[0])
        writer.writeheader()
        writer.writerows(ROWS)
    return path


def learn(*words: str | Path) -> int:
    """Run the command."""
    return main(["drift", "reference", "learn", "churn", "--model-version", "3", *map(str, words)])


def test_files_of_any_kind_give_the_same_rows(tmp_path: Path) -> None:
    """NDJSON and CSV, and Parquet and Arrow where pyarrow is there, are read alike, in batches."""
    files = [as_lines(tmp_path / "a.ndjson"), as_csv(tmp_path / "a.csv")]

    found = [list(read_rows(path)) for path in files]

    assert all(len(batches) == 3 for batches in found)
    first = found[0][0]
    assert found[1][0] == first
    assert first["age"][:2] == [0.5, 1.5]
    assert first["email"][0] is None


def test_parquet_and_arrow_are_read(tmp_path: Path) -> None:
    """Columns of both formats, and of Arrow's stream, are those of the rows."""
    table = pa.Table.from_pylist(ROWS)
    parquet.write_table(table, tmp_path / "a.parquet")
    with ipc.new_file(str(tmp_path / "a.arrow"), table.schema) as file:
        file.write_table(table)
    with ipc.new_stream(str(tmp_path / "b.arrow"), table.schema) as stream:
        stream.write_table(table)

    for name in ("a.parquet", "a.arrow", "b.arrow"):
        ages = [age for batch in read_rows(tmp_path / name) for age in batch["age"]]
        assert ages == [row["age"] for row in ROWS]


ODD: dict[str, Any] = {
    "price": pa.array([Decimal("1.25"), None], pa.decimal128(10, 2)),
    "half": pa.array([0.5, 2.0], pa.float32()).cast(pa.float16()),
    "plan": pa.array(["a", "b"]).dictionary_encode(),
    "user": pa.array([{"age": 3, "home": {"city": "x"}}, None]),
    "vector": pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32(), 2)),
    "large": pa.array([2**63, 2**64 - 1], pa.uint64()),
    "nothing": pa.nulls(2),
    "when": pa.array([1, 2], pa.timestamp("ns")),
    "day": pa.array([1, 2], pa.date32()),
    "bytes": pa.array([b"\xff", b""]),
    "map": pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int64())),
    "times": pa.array([[1], [2]], pa.list_(pa.timestamp("ns"))),
    "view": pa.array(["a", None], pa.string_view()),
    "runs": pa.RunEndEncodedArray.from_arrays([2], pa.array(["a"])),
}


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_every_arrow_type_is_read_or_named(tmp_path: Path, name: str) -> None:
    """Decimals, structures and vectors are features; times, bytes and maps are told not to be."""
    unwritten = {"half", "runs"} if name == "a.parquet" else set()
    columns = {key: each for key, each in ODD.items() if key not in unwritten}
    table = pa.table(columns)
    if name == "a.parquet":
        parquet.write_table(table, tmp_path / name)
    else:
        with ipc.new_file(tmp_path / name, table.schema) as file:
            file.write_table(table)
    left_out: list[str] = []

    (batch,) = read_rows(tmp_path / name, left_out.append)

    assert {key: list(values) for key, values in batch.items() if key not in {"half", "runs"}} == {
        "price": [1.25, None],
        "plan": ["a", "b"],
        "user.age": [3, None],
        "user.home.city": ["x", None],
        "vector": [[1.0, 2.0], [3.0, 4.0]],
        "large": [2**63, 2**64 - 1],
        "nothing": [None, None],
        "view": ["a", None],
    }
    assert batch.get("runs", ["a", "a"]) == ["a", "a"]
    assert batch.get("half", [0.5, 2.0]) == [0.5, 2.0]
    assert [each.partition(" ")[0] for each in left_out] == ["when", "day", "bytes", "map", "times"]


def test_columns_that_became_no_feature_are_named_with_the_reason(
    store: ReferenceStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All missing, vectors without leave, or no name: none is lost without a word."""
    table = pa.table(
        {
            "age": [1.0, 2.0] * 10,
            "gone": pa.nulls(20),
            "nan": [math.nan] * 20,
            "vector": [[0.0] * 8] * 20,
            "": [1] * 20,
            **{f"c{number}": [1.0] * 20 for number in range(40)},
        }
    )
    parquet.write_table(table, tmp_path / "a.parquet")

    code = learn("--rows", tmp_path / "a.parquet")

    said = capsys.readouterr().err
    assert code == 0
    assert "left out: 'gone', 'nan': no value in it" in said
    assert "left out: 'vector': it has vectors; declare it" in said
    assert "left out: '': it has no name" in said
    kept = store.current("churn", "3")
    assert kept is not None
    assert "age" in kept.by_name


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    """Which of them is meant, nobody can tell."""
    ages = pa.array([1, 2])
    table = pa.Table.from_arrays([ages, ages], names=["age", "age"])
    with ipc.new_file(tmp_path / "a.arrow", table.schema) as file:
        file.write_table(table)

    with pytest.raises(RowFileError, match="two columns have the name 'age'"):
        list(read_rows(tmp_path / "a.arrow"))


def test_what_is_left_out_is_told(
    tmp_path: Path, store: ReferenceStore, capsys: pytest.CaptureFixture[str]
) -> None:
    """A reference that lacks a column says so when it is made."""
    table = pa.table({"age": [1.0, 2.0], "when": pa.array([1, 2], pa.timestamp("ns"))})
    parquet.write_table(table, tmp_path / "a.parquet")

    code = learn("--rows", tmp_path / "a.parquet")

    assert code == 0
    assert "left out: when (timestamp[ns])" in capsys.readouterr().err
    assert store.current("churn", "3") is not None


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.ndjson", b'{"a": 1}\n{"a": \n', "line 2"),
        ("a.ndjson", b"[1]\n", "a row is an object"),
        ("a.csv", b"a,b\n1,2,3\n", "line 2: more cells"),
        ("a.csv", b"a,b,a\n1,2,3\n", "two columns have the name 'a'; rename one"),
        (
            "a.ndjson",
            json.dumps(dict.fromkeys(map(str, range(10_001)), 1)).encode(),
            "10001 fields",
        ),
        ("a.csv", b"\xff\xfe\x00", "codec"),
        ("a.txt", b"", "the name should end in"),
    ],
)
def test_what_is_no_rows_is_named(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    """File, line and what is wrong with it."""
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(RowFileError, match=said) as raised:
        list(read_rows(path))
    assert name in str(raised.value)


def test_a_reference_is_learned_from_files(
    store: ReferenceStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All rows of all files make it, and it is in use at once."""
    assert learn("--rows", as_lines(tmp_path / "a.ndjson"), as_csv(tmp_path / "b.csv")) == 0

    reference = store.current("churn", "3")
    assert reference is not None
    assert reference.origin == "learned from 6000 rows of files"
    assert reference.by_name["age"].samples == 6_000
    assert reference.id in capsys.readouterr().out


def test_a_reference_can_be_written_to_a_file(tmp_path: Path) -> None:
    """Without a state directory it is made for others."""
    output = tmp_path / "reference.json"

    assert learn("--rows", as_lines(tmp_path / "a.ndjson"), "--output", output) == 0

    assert json.loads(output.read_text())["model"] == "churn"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "name either --rows"),
        (("--rows", "a.ndjson", "--prometheus", "http://x"), 2, "name either --rows"),
        (("--rows", "/nowhere.csv"), 1, "No such file"),
        (("--prometheus", "localhost:9090"), 2, "--prometheus must be a URL"),
        (("--prometheus", ""), 2, "--prometheus must be a URL"),
        (("--rows", "a.csv", "--model-version", "v" * 200), 2, "is no name that payloads can have"),
        (("--rows", "a.csv", "--model-version", " 3"), 2, "' 3' is no name that payloads can have"),
        (("--prometheus", "http://127.0.0.1:9", "--days", "0"), 2, "--days"),
        (("--prometheus", "http://127.0.0.1:9"), 1, "no reference whose bins"),
    ],
)
@pytest.mark.usefixtures("store")
def test_what_cannot_be_learned_is_said(
    words: tuple[str, ...], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sentence, and the exit code that tells usage from failure."""
    assert learn(*words) == code

    assert said in capsys.readouterr().err


def test_bins_are_filled_with_other_traffic() -> None:
    """Counts of Prometheus make a new reference with the old bins; one without counts is none."""
    old = Reference("churn", "3", (AGE,))

    new = rebased(
        old, {("age", "00 ..18"): 5.2, ("age", "01 18..40"): 100.4}, origin="history", created=1.0
    )

    assert new.by_name["age"].bins == AGE.bins
    assert new.by_name["age"].counts == (5, 100, 0, 0, 0)
    assert new.id != old.id
    with pytest.raises(InvalidReferenceError, match="no counts"):
        rebased(old, {}, origin="", created=0.0)


def test_what_was_not_counted_is_left_out_whole() -> None:
    """An embedding of which a direction is lost, and what a score was worth without the score, go with it."""
    names = ("emb.pc0", "emb.distance", SCORE)
    features = tuple(FeatureReference(name, NumericBins((0.5,)), (9, 9, 0, 0)) for name in names)
    vector = Projection("emb", (0.0,) * 8, ((1.0,) * 8,))
    old = Reference("m", "", (AGE, *features), (vector,), Calibration((5, 5), (3, 4)))
    counts = {(name, "00 ..0.5"): 8.0 for name in ("emb.pc0", "age")}

    new = rebased(old, {**counts, ("age", "00 ..18"): 5.0}, origin="", created=1.0)

    assert [feature.name for feature in new.features] == ["age"]
    assert (new.projections, new.calibration) == ((), None)
    whole = {(name, "00 ..0.5"): 8.0 for name in names}
    assert rebased(old, whole, origin="", created=1.0).projections == (vector,)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-3", "x", None])
def test_counts_that_are_none_are_left_out(value: object) -> None:
    """A server that answers with nonsense makes no reference of it."""
    series = {"metric": {"feature": "age", "bin": "00 ..18"}, "value": [1, value]}

    assert counts_of([series]) == {}


async def test_history_is_asked_for_the_reference_in_use(
    store: ReferenceStore, capsys: pytest.CaptureFixture[str]
) -> None:
    """The query names model, version and reference, so that no other bins are mixed in."""
    old = Reference("churn", "3", (AGE,))
    store.use(old)
    asked: list[str] = []

    async def query(request: web.Request) -> web.Response:
        asked.append(str((await request.post())["query"]))
        value = "70" if len(asked) == 1 else "500"
        series = {"metric": {"feature": "age", "bin": "01 18..40"}, "value": [1, value]}
        return web.json_response({"status": "success", "data": {"result": [series]}})

    app = web.Application()
    app.add_routes([web.post("/api/v1/query", query)])
    async with TestServer(app) as server:
        url = str(server.make_url("/"))
        code = await asyncio.to_thread(learn, "--prometheus", url, "--days", "7")

    assert code == 0, capsys.readouterr().err
    assert f'reference="{old.id}"' in asked[0]
    assert "[604800s]" in asked[0]
    new = store.current("churn", "3")
    assert new is not None
    assert new.by_name["age"].counts == (0, 70, 0, 0, 0)
    assert "7 days of traffic" in new.origin
    assert "count_over_time(group(" in asked[1]
    assert "70 values of 'age' are few" in capsys.readouterr().err


def test_files_with_too_many_columns_are_refused(
    store: ReferenceStore,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Which columns matter is for those who know them to say; none is left out without a word."""
    monkeypatch.setenv("WARPWATCH_DRIFT_MAX_FEATURES", "1")

    assert learn("--rows", as_lines(tmp_path / "a.ndjson")) == 1

    said = capsys.readouterr().err
    assert "such as plan" in said
    assert "drift.max_features" in said
    assert store.current("churn", "3") is None


def test_what_a_real_prometheus_remembers_becomes_a_reference(
    store: ReferenceStore, programs: Programs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Counts of all replicas within the days; fewer days than were asked for are told, here and in it."""
    old = Reference("churn", "3", (AGE,))
    store.use(old)
    end, each = time.time(), 60.0
    who = {"model": "churn", "model_version": "3", "reference": old.id, "feature": "age"}
    series = [
        (
            FEATURE_OBSERVATIONS.family,
            {**who, "bin": label, "instance": instance},
            [(end - 3 * 86_400 + n * each, float(n * rate)) for n in range(3 * 1_440 + 1)],
        )
        for instance in "ab"
        for label, rate in (("00 ..18", 0), ("01 18..40", 7), ("02 40..", 3))
    ]
    prometheus = start_with_history(programs, tmp_path, series)

    code = learn("--prometheus", prometheus.program.url, "--days", "14")

    said = capsys.readouterr().err
    assert code == 0, said
    assert "has 3 of the 14 days" in said or "has 3.01 of the 14 days" in said
    new = store.current("churn", "3")
    assert new is not None
    assert new.origin.startswith("3")
    counts = new.by_name["age"].counts
    assert counts[0] == 0
    assert counts[1] == pytest.approx(2 * 7 * 4_320, rel=0.01)
    assert counts[2] == pytest.approx(2 * 3 * 4_320, rel=0.01)
    assert counts[3:] == (0, 0)
    assert (
        learn("--prometheus", prometheus.program.url, "--days", "14") == 1
    )  # of the new one: nothing
    assert "Prometheus has no counts of churn against" in capsys.readouterr().err
