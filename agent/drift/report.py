"""Evidently's report, with our own score in it: the only file that knows Evidently and pandas.

Evidently cuts both sides together into bins of equal width, so that one outlier hides or makes a drift. Its
report here scores each column by the PSI of the reference's own bins, counted by the code that counts live
traffic: the report and the alerts cannot disagree. See `agent.drift.report_process` for what confines it.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from html import escape
from math import isinf
from pathlib import Path
from typing import Any, Final, NamedTuple

from agent.drift import files
from agent.drift.bins import NumericBins
from agent.drift.column import Column, category, finite
from agent.drift.difference import psi, rank_shift
from agent.drift.reference import FeatureReference, InvalidReferenceError, Reference
from agent.drift.reference_file import from_json
from agent.drift.report_bins import rebuilt
from agent.drift.report_job import Job, Side, UnusableInputError
from agent.drift.report_rows import Columns, read
from agent.drift.rows import Rows
from agent.drift.traffic import Learning, Traffic

_MOST_NAMED: Final = 20
_ALIKE: Final = 1e-12
"""Of the greatest value: within it there are not numbers enough for the bins of a histogram."""
STATTEST: Final = "reference_bins_psi"
"""What our score is called among Evidently's."""


class _Compared(NamedTuple):
    """One column of the report."""

    feature: FeatureReference
    current: FeatureReference
    sides: tuple[list[object], list[object]]
    """Values to show, of the reference and of the current side."""

    @property
    def psi(self) -> float:
        return psi(self.feature, self.current)


def write(job: Job) -> None:
    """Write the report of a job as HTML and as JSON. Raises `UnusableInputError`, OSError as files do."""
    notes: list[str] = []
    compared = _chosen(job, _compared(job, notes), notes)
    snapshot = _run(job, _shown(compared, notes))
    told = {"warpwatch": _summary(job, compared, notes), "evidently": snapshot.dict()}
    folder = Path(job.output)
    folder.mkdir(parents=True, exist_ok=True)
    summary = json.dumps(told, indent=1, default=str)
    page = _headed(snapshot.get_html_str(as_iframe=False), job, notes)
    files.write(folder / "drift-report.json", summary)
    files.write(folder / "drift-report.html", page)


def _compared(job: Job, notes: list[str]) -> list[_Compared]:
    """Count both sides by the reference's bins."""
    before = (
        read("reference", job.reference, job.limits.rows, notes) if job.reference.file else None
    )
    reference = _given(job.reference) if before is None else _learned(job, before)
    now = read("current", job.current, job.limits.rows, notes) if job.current.file else None
    then = _counted(reference, before) if before is not None else {}
    shown = _counted(reference, now) if now is not None else {}
    if now is not None and (unknown := [name for name in now if not reference.knows(name)]):
        named = ", ".join(unknown[:_MOST_NAMED]) + (" and others" if unknown[_MOST_NAMED:] else "")
        notes.append(f"not in the reference, and left out: {named}")
    found = []
    for feature in reference.features:
        if now is not None and feature.name not in shown:
            notes.append(f"{feature.name} is in the reference and not in the current rows")
            continue
        if now is None:
            counts = tuple(job.current.counts.get(feature.name, ()))
            if not sum(counts):
                notes.append(f"{feature.name} has no current values")
                continue
            values: list[object] = [*rebuilt(feature, counts, job.limits.rows)]
        else:
            counts, values = shown[feature.name]
        old = then[feature.name][1] if feature.name in then else None
        if old is None:
            old = [*rebuilt(feature, feature.counts, job.limits.rows)]
        found.append(_Compared(feature, replace(feature, counts=counts), (old, values)))
    return found


def _counted(
    reference: Reference, columns: Columns
) -> dict[str, tuple[tuple[int, ...], list[object]]]:
    """Return the counts of each feature, as live traffic is counted, and its values."""
    traffic = Traffic(reference.model, reference.model_version, reference=reference)
    told: dict[str, list[object]] = {}
    for name, values in columns.items():
        made = traffic.derived(name, Column(values))
        told |= {feature: list(column.values) for feature, column in made.items()}
    traffic.add(Rows(reference.model, reference.model_version, columns, 0.0))
    return {
        name: (tuple(traffic.counters[name].counts), values)
        for name, values in told.items()
        if name in traffic.counters
    }


def _learned(job: Job, columns: Columns) -> Reference:
    """Return the reference that rows give, as it would be learned from live traffic."""
    traffic = Traffic(
        job.model,
        job.model_version,
        learning=Learning(rows=1, seconds=0.0),
        most_features=max(1, len(columns)),
    )
    reference = traffic.add(Rows(job.model, job.model_version, columns, 0.0))
    if reference is None:
        raise UnusableInputError(f"{job.reference.file}: no column in it could be compared with")
    return reference


def _given(side: Side) -> Reference:
    try:
        return from_json(side.reference)
    except InvalidReferenceError as error:
        raise UnusableInputError(f"the reference: {error}") from error


def _chosen(job: Job, compared: list[_Compared], notes: list[str]) -> list[_Compared]:
    """Return the columns that the report may have: those that differ most."""
    if not compared:
        more = f"; and {len(notes) - _MOST_NAMED} more" if notes[_MOST_NAMED:] else ""
        said = "; ".join(["the two sides have no feature in common", *notes[:_MOST_NAMED]])
        raise UnusableInputError(said + more)
    most = job.limits.columns
    ranked = sorted(compared, key=lambda each: -each.psi)
    if len(ranked) > most:
        notes.append(
            f"{most} of {len(ranked)} columns, those that differ most: the limit is {most}"
        )
    return ranked[:most]


def _shown(compared: Sequence[_Compared], notes: list[str]) -> list[_Compared]:
    """Return the columns that Evidently can show: it takes none that is empty on one side."""
    shown = []
    for each in compared:
        why = _unshowable(each)
        if not why:
            shown.append(each)
            continue
        notes.append(
            f"{each.feature.name} {why}: its PSI is {each.psi:.3g}, and Evidently cannot show it"
        )
    if not shown:
        raise UnusableInputError("; ".join(["no column can be shown", *notes[:_MOST_NAMED]]))
    return shown


def _unshowable(compared: _Compared) -> str:
    """Return why a histogram of a column cannot be drawn, nothing where it can."""
    sides = [{cell for cell in _cells(compared, side) if cell is not None} for side in (0, 1)]
    for where, cells in zip(("reference", "current"), sides, strict=True):
        if not cells:
            return f"has no usable value in the {where} rows"
    low, high = _range(sides[0] | sides[1])
    if isinf(high - low):
        return "has values that are too far apart"
    return "has values that hardly differ" if 0 < high - low <= _ALIKE * max(-low, high) else ""


def _range(cells: Iterable[float | str]) -> tuple[float, float]:
    numbers = [cell for cell in cells if isinstance(cell, float)]
    return (min(numbers), max(numbers)) if numbers else (0.0, 0.0)


def _run(job: Job, compared: Sequence[_Compared]) -> Any:
    # Seconds to import: after what was given has been read, so that mistakes in it are told at once.
    from evidently import DataDefinition, Dataset, Report  # noqa: PLC0415
    from evidently.legacy.calculations.stattests import (  # noqa: PLC0415
        StatTest,
        register_stattest,
    )
    from evidently.legacy.core import ColumnType  # noqa: PLC0415
    from evidently.presets import DataDriftPreset  # noqa: PLC0415

    scores = {each.feature.name: each.psi for each in compared}

    def score(reference: Any, _current: Any, _kind: Any, threshold: float) -> tuple[float, bool]:
        # Evidently drops what is missing before it calls; the counts have it.
        name = str(reference.name)
        return scores[name], scores[name] > job.bounds.get(name, threshold)

    register_stattest(
        StatTest(
            name=STATTEST,
            display_name="PSI in the reference's own bins",
            allowed_feature_types=[ColumnType.Numerical, ColumnType.Categorical],
            default_threshold=job.threshold,
        ),
        default_impl=score,
    )
    numeric = [each.feature.name for each in compared if isinstance(each.feature.bins, NumericBins)]
    words = [each.feature.name for each in compared if each.feature.name not in numeric]
    definition = DataDefinition(numerical_columns=numeric, categorical_columns=words)
    before, now = (
        Dataset.from_pandas(_frame(compared, side), data_definition=definition) for side in (0, 1)
    )
    return Report([DataDriftPreset(method=STATTEST)], include_tests=True).run(now, before)


def _frame(compared: Sequence[_Compared], side: int) -> Any:
    """Return one side as a table; a column that is shorter ends in missing values."""
    import pandas as pd  # noqa: PLC0415 - as in `_run`

    size = max(len(each.sides[side]) for each in compared)
    table = {}
    for each in compared:
        values = [*_cells(each, side), *[None] * (size - len(each.sides[side]))]
        numeric = isinstance(each.feature.bins, NumericBins)
        table[each.feature.name] = pd.Series(values, dtype="float64" if numeric else "object")
    return pd.DataFrame(table)


def _cells(compared: _Compared, side: int) -> list[float | str | None]:
    """Return one side's values as they were counted: what is none of the kind is missing."""
    of_kind = finite if isinstance(compared.feature.bins, NumericBins) else category
    return [of_kind(value) for value in compared.sides[side]]


def _summary(job: Job, compared: Sequence[_Compared], notes: Sequence[str]) -> dict[str, object]:
    return {
        "model": job.model,
        "model_version": job.model_version,
        "reference": job.identity,
        "reference_from": job.reference.origin,
        "current_from": job.current.origin,
        "rebuilt_from_bins": _rebuilt(job),
        "threshold": job.threshold,
        "limits": asdict(job.limits),
        "notes": list(notes),
        "features": [_facts(job, each) for each in compared],
    }


def _facts(job: Job, each: _Compared) -> dict[str, object]:
    shift = rank_shift(each.feature, each.current)
    return {
        "feature": each.feature.name,
        "psi": each.psi,
        "threshold": job.bounds.get(each.feature.name, job.threshold),
        "drifted": each.psi > job.bounds.get(each.feature.name, job.threshold),
        "rank_shift": shift,
        "reference_samples": each.feature.samples,
        "current_samples": each.current.samples,
    }


def _rebuilt(job: Job) -> list[str]:
    sides = {"reference": job.reference, "current": job.current}
    return [name for name, side in sides.items() if side.is_rebuilt]


def _headed(page: str, job: Job, notes: Sequence[str]) -> str:
    """Return the page with what it is about above it, and with a warning where rows are none."""
    model = " ".join(filter(None, (job.model, job.model_version)))
    lines = [f"Reference: {job.reference.origin}", f"Current: {job.current.origin}", *notes]
    if sides := _rebuilt(job):
        lines.insert(
            0,
            f"REBUILT FROM BINS: the {' and '.join(sides)} rows are made of counts per bin. Each column is "
            "distributed as it was counted; no row is a real one, and what correlates means nothing.",
        )
    told = "".join(f"<p>{escape(line)}</p>" for line in lines)
    style = (
        "font-family:sans-serif;padding:8px 24px;background:#fff4d6;border-bottom:2px solid #c90"
    )
    banner = f'<div id="warpwatch" style="{style}"><h1>Drift of {escape(model) or "rows"}</h1>{told}</div>'
    return page.replace("<body>", f"<body>{banner}", 1)
