"""Rows from files: to learn a reference from what is on disk already.

Read are NDJSON (also BentoML's data files), CSV, Parquet and Arrow. A cell of a CSV file is a number where it
is written as one, for the format knows no types; empty cells are missing. Rows come in batches, so that a
file may be larger than memory.
"""

import csv
import gzip
import io
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import IO, Any, Final, cast

from agent.drift import arrow_columns
from agent.drift.intake.bentoml import ABOUT_THE_LINE
from agent.drift.intake.flatten import MAX_KEYS, MOST_CELLS, columns
from agent.drift.intake.json_body import parse
from agent.drift.intake.names import bounded
from agent.drift.intake.refusal import RefusedError

BATCH: Final = 1_024
LINES: Final = (".ndjson", ".jsonl", ".json", ".log")
PARQUET: Final = (".parquet", ".pq")
ARROW: Final = (".arrow", ".feather", ".ipc")
_LONGEST_CELL: Final = 2**20

Columns = Mapping[str, list[object]]


class RowFileError(Exception):
    """A file cannot be read as rows; the sentence names it and says why."""


def read_rows(path: Path, left_out: Callable[[str], None] = lambda _: None) -> Iterator[Columns]:
    """Yield the rows of a file as columns, batch by batch. Raises `RowFileError`.

    ``left_out`` is told of columns whose type is that of no feature.
    """
    suffix = _suffix(path)
    try:
        if suffix in LINES:
            yield from _batched(_lines(path))
        elif suffix == ".csv":
            yield from _cells(path)
        elif suffix in (*PARQUET, *ARROW):
            yield from _arrow(path, suffix, left_out)
        else:
            known = ", ".join((*LINES, ".csv", *PARQUET, *ARROW))
            raise RowFileError(
                f"{path}: what it is cannot be told; the name should end in {known}; or in .gz after the "
                "first ones"
            )
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error, RefusedError) as error:
        raise RowFileError(f"{path}: {error}") from error


def _suffix(path: Path) -> str:
    """Return what the name says that is in the file; of text also where it is compressed."""
    if path.suffix.lower() != ".gz":
        return path.suffix.lower()
    inner = Path(path.stem).suffix.lower()
    return inner if inner in (*LINES, ".csv") else ".gz"


def _opened(path: Path) -> IO[bytes]:
    """Open a file, or what is compressed in it."""
    return cast("IO[bytes]", gzip.open(path)) if path.suffix.lower() == ".gz" else path.open("rb")


def _batched(rows: Iterator[Mapping[str, object]]) -> Iterator[Columns]:
    while batch := list(islice(rows, BATCH)):
        yield columns(batch)


def _lines(path: Path) -> Iterator[Mapping[str, object]]:
    with _opened(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = parse(line)
            except RefusedError as error:
                raise RowFileError(f"{path}, line {number}: {error}") from error
            if not isinstance(row, Mapping):
                raise RowFileError(f"{path}, line {number}: a row is an object")
            if len(row) > MAX_KEYS:
                raise RowFileError(
                    f"{path}, line {number}: {len(row)} fields, and {MAX_KEYS} are read at most; take Parquet"
                )
            yield {name: value for name, value in row.items() if name not in ABOUT_THE_LINE}


def _cells(path: Path) -> Iterator[Columns]:
    csv.field_size_limit(_LONGEST_CELL)
    with io.TextIOWrapper(_opened(path), encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        head = [bounded(name) for name in next(reader, ())]
        if twice := [name for name, count in Counter(head).items() if count > 1]:
            raise RowFileError(
                f"{path}: two columns have the name {twice[0]!r}; rename one of them"
            )
        rows = _rows_of_cells(path, reader, len(head))
        while batch := list(islice(rows, _at_once(len(head)))):
            yield {
                name: list(cells)
                for name, cells in zip(head, zip(*batch, strict=True), strict=True)
            }


def _at_once(columns: int) -> int:
    """Return how many rows of so many columns are a batch."""
    return max(1, min(BATCH, MOST_CELLS // max(1, columns)))


def _rows_of_cells(path: Path, reader: Any, width: int) -> Iterator[list[object]]:
    """Yield rows of the head's width: what a row lacks at its end is missing."""
    for row in reader:
        if len(row) > width:
            raise RowFileError(f"{path}, line {reader.line_num}: more cells than the head has")
        if row:
            yield [*map(_cell, row), *[None] * (width - len(row))]


def _cell(text: str) -> object:
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
        if suffix in PARQUET:
            file = parquet.ParquetFile(path)
            batches = file.iter_batches(batch_size=_at_once(file.metadata.num_columns))
        else:
            source = pa.OSFile(str(path))
            batches = _record_batches(ipc, source)
        for batch in batches:
            yield arrow_columns.columns(batch, left_out)
    except (pa.ArrowException, ValueError, OverflowError) as error:
        if isinstance(error, MemoryError):  # Arrow's own is one; the file is not to blame
            raise
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
