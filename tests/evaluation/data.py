"""Real series with and without drift, out of wheels on PyPI: census, flights, loans, annotated change points.

The files are fetched by hash into ``.tools/datasets`` and never committed. Licences: nannyml Apache-2.0 (US
Census ACS PUMS, public domain, and a synthetic set), popmon MIT (US DOT, public domain), river BSD-3 (Turing
change point data set).
"""

import importlib.util
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.real_parts.command import run
from tests.real_parts.install import TOOLS, filled

WHEELS: Final[Mapping[str, tuple[str, str]]] = {
    "nannyml": ("0.13.1", "cf5f4a33489834ae6773cb1baa33a0f98c0a3ee6ed9b43049478b25ce22fe869"),
    "popmon": ("1.4.12", "2f184745813165004aea46829b528d0852c963f847bf32bcc6a15e51703cfd14"),
}
"""Version and hash of the wheels; none of the packages is installed."""
_WITHIN: Final = {"nannyml": "nannyml/datasets/data/", "popmon": "popmon/test_data/"}

Column = Sequence[Any]
Table = Mapping[str, Column]


class Split(NamedTuple):
    """A reference and what came after it, by column."""

    reference: Table
    later: Table


def folder(package: str) -> Path:
    """Return the folder with a wheel's data files, fetched first if need be."""
    version, sha256 = WHEELS[package]
    mark = f"{package}-{version}"

    def fetch(fresh: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            pin = Path(scratch) / "pin.txt"
            pin.write_text(f"{package}=={version} --hash=sha256:{sha256}\n")
            run(
                *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
                *("--require-hashes", "--dest", scratch, "-r", pin),
            )
            with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as wheel:
                for name in wheel.namelist():
                    if name.startswith(_WITHIN[package]) and not name.endswith((".py", "/")):
                        (fresh / Path(name).name).write_bytes(wheel.read(name))
        (fresh / mark).touch()

    return filled(
        f"datasets/{package}", TOOLS / "datasets" / package, fetch, lambda at: (at / mark).exists()
    )


def census() -> Split:
    """Return employment in Massachusetts: 2015, and the three years after it, with predictions and labels."""
    import pandas as pd  # noqa: PLC0415 - of the evaluation's environment

    at = folder("nannyml")
    later = pd.read_parquet(at / "employment_MA_analysis.pq")
    labels = pd.read_parquet(at / "employment_MA_analysis_target.pq")
    later = later.merge(labels, on="id")
    reference = pd.read_parquet(at / "employment_MA_reference.pq")
    return Split(_columns(reference.drop(columns="id")), _columns(later.drop(columns="id")))


def car_loan() -> Split:
    """Return NannyML's synthetic loans, of which the second half of the later rows has drifted."""
    import pandas as pd  # noqa: PLC0415 - as above

    at = folder("nannyml")
    later = pd.read_csv(at / "synthetic_car_loan_analysis.csv")
    labels = pd.read_csv(at / "synthetic_car_loan_analysis_target.csv")
    later = later.merge(labels, on="id")
    reference = pd.read_csv(at / "synthetic_car_loan_reference.csv")
    unused = ["id", "timestamp"]
    return Split(_columns(reference.drop(columns=unused)), _columns(later.drop(columns=unused)))


def flights() -> Split:
    """Return US flights of 2015 with their week: the first half of the year, and the second."""
    import pandas as pd  # noqa: PLC0415 - as above

    at = folder("popmon")
    halves = []
    for name in ("flight_delays_reference.csv.gz", "flight_delays.csv.gz"):
        frame = pd.read_csv(at / name).sort_values("DATE", kind="stable")
        week = pd.to_datetime(frame["DATE"]).dt.dayofyear // 7
        kept = ["DEPARTURE_DELAY", "TAXI_OUT", "AIR_TIME", "DISTANCE"]
        halves.append(_columns(frame[kept].assign(week=week).dropna()))
    return Split(*halves)


class Annotated(NamedTuple):
    """A series, and where each of five people saw it change."""

    name: str
    values: Sequence[float]
    changes: Mapping[str, Sequence[int]]


def annotated() -> list[Annotated]:
    """Return river's series of the Turing change point data set, those of one column whose marks fit."""
    from river.drift import datasets  # noqa: PLC0415 - as above

    found = []
    for name in ("AirlinePassengers", "Bitcoin", "UKCoalEmploy"):
        data = getattr(datasets, name)()
        values = []
        for x, y in data:
            value = y if isinstance(y, int | float) else next(iter(x.values()))
            values.append(float(value))
        found.append(Annotated(name, values, data.annotations))
    return found


def available() -> bool:
    """Tell whether this Python is the evaluation's."""
    return all(importlib.util.find_spec(name) for name in ("pandas", "scipy", "evidently", "river"))


def _columns(frame: Any) -> Table:
    return {str(name): frame[name].tolist() for name in frame.columns}
