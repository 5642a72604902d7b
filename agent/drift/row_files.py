"""Rows from files: to learn a reference from what is on disk already.

Read are NDJSON (also BentoML's data files), CSV, Parquet and Arrow. A cell of a CSV file is a number where it
is written as one, for the format knows no types; empty cells are missing. Rows come in batches, so that a
file may be larger than memory.
"""

import csv
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import Any, Final

from agent.drift import arrow_columns
from agent.drift.intake.bentoml import ABOUT_THE_LINE
from agent.drift.intake.flatten import columns
from agent.drift.intake.json_body import parse
from agent.drift.intake.refusal import RefusedError

BATCH: Final = 1_024
LINES: Final = (".ndjson", ".jsonl", ".log")
ARROW: Final = (".arrow", ".feather", ".ipc")
_LONGEST_CELL: Final = 2**20

Columns = Mapping[str, list[object]]


class RowFileError(Exception):
    """A file cannot be read as rows; the sentence names it and says why."""


def read_rows(path: Path, left_out: Callable[[str], None] = lambda _: None) -> Iterator[Columns]:
    """Yield the rows of a file as columns, batch by batch. Raises `RowFileError`.

    ``left_out`` is told of columns whose type is that of no feature.
    """
    suffix = path.suffix.lower()
    try:
        if suffix in LINES:
            yield from _batched(_lines(path))
        elif suffix == ".csv":
            yield from _batched(_cells(path))
        elif suffix == ".parquet" or suffix in ARROW:
            yield from _arrow(path, suffix, left_out)
        else:
            known = ", ".join((*LINES, ".csv", ".parquet", *ARROW))
            raise RowFileError(f"{path}: what it is cannot be told; the name should end in {known}")
    except (OSError, UnicodeDecodeError, csv.Error, RefusedError) as error:
        raise RowFileError(f"{path}: {error}") from error


def _batched(rows: Iterator[Mapping[str, object]]) -> Iterator[Columns]:
    while batch := list(islice(rows, BATCH)):
        yield columns(batch)


def _lines(path: Path) -> Iterator[Mapping[str, object]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = parse(line)
            except RefusedError as error:
                raise RowFileError(f"{path}, line {number}: {error}") from error
            if not isinstance(row, Mapping):
                raise RowFileError(f"{path}, line {number}: a row is an object")
            yield {name: value for name, value in row.items() if name not in ABOUT_THE_LINE}


def _cells(path: Path) -> Iterator[Mapping[str, object]]:
    csv.field_size_limit(_LONGEST_CELL)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        for row in reader:
            if None in row:
                raise RowFileError(f"{path}, line {reader.line_num}: more cells than the head has")
            yield {name: _cell(text) for name, text in row.items()}


def _cell(text: str | None) -> object:
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        return text
    # "nan" and "inf" are written by programs for what is not there; "_" is Python's own
    return number if isfinite(number) and "_" not in text else None


def _arrow(path: Path, suffix: str, left_out: Callable[[str], None]) -> Iterator[Columns]:
    try:
        import pyarrow as pa  # noqa: PLC0415 - 100 MB, for these files alone
        from pyarrow import ipc, parquet  # noqa: PLC0415 - as above
    except ModuleNotFoundError as error:
        raise RowFileError(
            f"{path}: reading it needs pyarrow; run `pip install 'warpwatch[parquet]'`"
        ) from error
    batches: Any
    try:
        if suffix == ".parquet":
            batches = parquet.ParquetFile(path).iter_batches(batch_size=BATCH)
        else:
            source = pa.OSFile(str(path))
            batches = _record_batches(ipc, source)
        for batch in batches:
            yield arrow_columns.columns(batch, left_out)
    except (pa.ArrowException, ValueError, OverflowError) as error:
        raise RowFileError(f"{path}: {error}") from error


def _record_batches(ipc: Any, source: Any) -> Iterator[Any]:
    """Yield the batches of an Arrow file, or of a stream that was saved."""
    try:
        reader = ipc.open_file(source)
    except ValueError:  # ArrowInvalid: no file, perhaps a stream
        source.seek(0)
        yield from ipc.open_stream(source)
        return
    yield from (reader.get_batch(number) for number in range(reader.num_record_batches))
