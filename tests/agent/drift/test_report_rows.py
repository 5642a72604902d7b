import gzip
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from agent.drift import arrow_columns, report_rows
from agent.drift.report_job import Side, UnusableInputError
from agent.drift.report_rows import read


def side(path: Path) -> Side:
    """Return a side of a report."""
    return Side(origin="", file=str(path))


def test_each_row_is_as_likely_as_any_other(tmp_path: Path) -> None:
    """The sample is of the whole file, not of its beginning, and its rows are whole."""
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + "".join(f"{n},{-n}\n" for n in range(20_000)))
    notes: list[str] = []

    columns = read("current", side(path), 2_000, notes)

    ages = [n for n in columns["a"] if isinstance(n, float)]
    assert len(set(ages)) == 2_000
    assert sum(ages) / 2_000 == pytest.approx(10_000, rel=0.05)
    assert columns["b"] == [-age for age in ages]
    assert notes == ["2000 of 20000 current rows, chosen at random: the limit is 2000"]


def test_of_very_many_columns_fewer_rows_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is held in memory is bounded by cells, and the report says what that made of the limit."""
    monkeypatch.setattr(report_rows, "_MOST_CELLS", 1_000)
    parquet.write_table(pa.table({f"c{n}": [0.5] * 50 for n in range(100)}), tmp_path / "a.pq")
    notes: list[str] = []

    columns = read("reference", side(tmp_path / "a.pq"), 5_000, notes)

    assert {len(values) for values in columns.values()} == {10}
    assert notes == ["10 of 50 reference rows, chosen at random: the limit is 10, for 100 columns"]


def test_columns_may_come_and_go(tmp_path: Path) -> None:
    """A row that lacks a column misses it; the ids of rows are no column, and compressed rows are rows."""
    path = tmp_path / "a.ndjson.gz"
    lines = [*[b'{"a": 1, "row_id": 7}\n'] * 1_500, *[b'{"b": "x"}\n'] * 1_500]
    path.write_bytes(gzip.compress(b"".join(lines)))

    columns = read("current", side(path), 5_000, [])

    assert columns == {"a": [1] * 1_500 + [None] * 1_500, "b": [None] * 1_500 + ["x"] * 1_500}


def test_what_arrow_lacks_memory_for_is_not_the_files_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is named by whoever set it, not as a damage of the file."""
    parquet.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")

    def full(*_: object) -> None:
        raise pa.ArrowMemoryError("malloc of size 40000 failed")

    monkeypatch.setattr(arrow_columns, "columns", full)

    with pytest.raises(MemoryError):
        read("current", side(tmp_path / "a.parquet"), 10, [])


def test_a_compressed_file_that_is_cut_short_is_named(tmp_path: Path) -> None:
    """Half of a download is no rows."""
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"a\n" + b"1\n" * 10_000)[:-20])

    with pytest.raises(UnusableInputError, match=r"a.csv.gz: Compressed file ended"):
        read("current", side(path), 10, [])
